//! What the benches have in common. The main structure is [`report::Report`].
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

/// Whether short runs are wanted: in CI (`PYPROC_BENCH_QUICK`), and whenever `cargo bench` is not
/// what runs us.
pub(crate) fn quick() -> bool {
    std::env::var_os("PYPROC_BENCH_QUICK").is_some_and(|value| value != "0")
        || !std::env::args().any(|argument| argument == "--bench")
}

/// One of two, by whether short runs are wanted.
pub(crate) fn full_or_quick<T>(full: T, short: T) -> T {
    if quick() { short } else { full }
}

/// Whether a bench of our own is not wanted: others were asked for by name, or only a list of tests
/// is, of which it has none.
pub(crate) fn skipped(name: &str) -> bool {
    let mut words = std::env::args().skip(1);
    let names = || std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    words.any(|word| word == "--list" || word == "--profile-time")
        || (names().next().is_some() && !names().any(|wanted| name.contains(&wanted)))
}

/// How long one measurement takes that is repeated and compared with another.
pub(crate) fn turn() -> Duration {
    Duration::from_millis(full_or_quick(600, 80))
}

/// How often such a pair of measurements is repeated.
pub(crate) fn rounds() -> usize {
    full_or_quick(9, 3)
}

/// The argument of section 7 of the design: `predict({"value": 42})`.
pub(crate) const PREDICT: &[u8] = br#"{"value":42}"#;
