//! Checks that a pool leaves nothing behind. The main item is [`alone`].

use std::fs;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::CAP;
use super::processes::children;

/// Runs a test on its own runtime while no other test of this kind runs, and checks that the test
/// leaves no process, zombie, descriptor or shared memory.
///
/// The counts are those of the whole process, so a binary must not mix such tests with others.
pub(crate) fn alone(test: impl Future<Output = ()>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The first runtime opens what the process then keeps, such as tokio's pipe for signals.
    actix_rt::System::new().block_on(async {});
    let before = (descriptors().len(), mappings());
    actix_rt::System::new().block_on(test);
    let deadline = Instant::now() + CAP;
    // Another thread reaps the killed processes.
    while !children().is_empty() || descriptors().len() > before.0 {
        let left = (children(), descriptors());
        assert!(
            Instant::now() < deadline,
            "processes and descriptors are left: {left:?}; {} descriptors before",
            before.0
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(mappings(), before.1, "mappings of slot tables are left");
}

/// The open descriptors of this process, as what they name.
pub(crate) fn descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    // The descriptor of the directory itself is closed after the read.
    entries
        .filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.display().to_string()))
        .filter(|target| !target.ends_with("/fd"))
        .collect()
}

/// How many slot tables and other files in memory are mapped.
pub(crate) fn mappings() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    maps.lines().filter(|line| line.contains("/memfd:")).count()
}
