//! What is left of a pool: nothing. The main item is [`alone`].

use std::fs;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::CAP;

/// Runs a test on a runtime of its own while no other one of its kind runs, and sees to it that the
/// test leaves no process, zombie, descriptor or shared memory.
pub(crate) fn alone(test: impl Future<Output = ()>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // What the process has once and keeps, such as tokio's pipe for signals, is there from the
    // first runtime on.
    actix_rt::System::new().block_on(async {});
    let before = (descriptors().len(), mappings());
    actix_rt::System::new().block_on(test);
    let deadline = Instant::now() + CAP;
    // Those that were killed are reaped by another thread.
    while !children().is_empty() || descriptors().len() > before.0 {
        let left = (children(), descriptors());
        assert!(
            Instant::now() < deadline,
            "processes and descriptors are left: {left:?}; before {}",
            before.0
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(mappings(), before.1, "mappings of slot tables are left");
}

/// The open descriptors of this process, as what they name.
pub(crate) fn descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").expect("there is a /proc");
    // One is closed when it has been read: that of the directory.
    entries
        .filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.display().to_string()))
        .filter(|target| !target.ends_with("/fd"))
        .collect()
}

/// How many slot tables and other files in memory are mapped.
pub(crate) fn mappings() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("there is a /proc");
    maps.lines().filter(|line| line.contains("/memfd:")).count()
}

/// The processes that this one has started and not reaped.
pub(crate) fn children() -> Vec<u32> {
    let own = std::process::id();
    processes().into_iter().filter(|process| process.parent == own).map(|process| process.pid).collect()
}

/// The processes in these groups; a zombie counts if it is ours to reap.
pub(crate) fn members(groups: &[u32]) -> Vec<u32> {
    let own = std::process::id();
    let counts = |it: &Process| groups.contains(&it.group) && (it.state != 'Z' || it.parent == own);
    processes().into_iter().filter(counts).map(|it| it.pid).collect()
}

/// Whether a process exists that is no zombie.
pub(crate) fn lives(pid: u32) -> bool {
    processes().iter().any(|process| process.pid == pid && process.state != 'Z')
}

struct Process {
    pid: u32,
    state: char,
    parent: u32,
    group: u32,
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("there is a /proc");
    entries
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            // One that has just gone has no file any more.
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            Some(Process {
                pid,
                state: fields.next()?.chars().next()?,
                parent: fields.next()?.parse().ok()?,
                group: fields.next()?.parse().ok()?,
            })
        })
        .collect()
}
