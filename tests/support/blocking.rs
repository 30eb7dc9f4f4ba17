//! Waiting in tests without a runtime. The main item is [`until`].

use std::thread;
use std::time::{Duration, Instant};

use super::CAP;

/// Calls `event` until it returns something.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut event: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = event() {
            return value;
        }
        assert!(begun.elapsed() < CAP, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
