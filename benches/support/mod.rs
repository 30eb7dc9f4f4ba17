//! Shared support of the benches. The main structure is [`report::Report`].
#![allow(dead_code, reason = "each bench uses its part")]

pub(crate) mod alloc;
pub(crate) mod floor;
pub(crate) mod flow;
pub(crate) mod machine;
pub(crate) mod pool;
pub(crate) mod profile;
pub(crate) mod report;
pub(crate) mod sample;

use std::time::Duration;

/// Whether runs are short: with `PYPROC_BENCH_QUICK`, as in CI, and without `cargo bench`.
pub(crate) fn quick() -> bool {
    std::env::var_os("PYPROC_BENCH_QUICK").is_some_and(|value| value != "0")
        || !std::env::args().any(|argument| argument == "--bench")
}

/// One of two values, for full or short runs.
pub(crate) fn full_or_quick<T>(full: T, short: T) -> T {
    if quick() { short } else { full }
}

/// Whether to skip a bench without criterion: the filter does not name it, or only a list of tests
/// is requested.
pub(crate) fn skipped(name: &str) -> bool {
    let mut words = std::env::args().skip(1);
    let names = || std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    words.any(|word| word == "--list" || word == "--profile-time")
        || (names().next().is_some() && !names().any(|wanted| name.contains(&wanted)))
}

/// The length of one turn of a side-by-side measurement.
pub(crate) fn turn() -> Duration {
    Duration::from_millis(full_or_quick(600, 80))
}

/// The number of rounds of a side-by-side measurement.
pub(crate) fn rounds() -> usize {
    full_or_quick(9, 3)
}

/// The argument of `predict`.
pub(crate) const PREDICT: &[u8] = br#"{"value":42}"#;
