//! Checks the allocations of a small call in Rust, from argument to result, against `budget.toml`.
//! It counts and does not time, so a busy machine does not matter. The main structure is
//! [`Budget`].

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use serde::Deserialize;
use support::pool::{Host, Work};
use support::report::{allocated_per_call, rounded};
use support::skipped;

#[global_allocator]
static ALLOCATOR: support::alloc::Counting = support::alloc::Counting;

/// The limits for one call, by the number of callers.
#[derive(Deserialize)]
struct Budget {
    callers: BTreeMap<String, Limit>,
}

#[derive(Deserialize)]
struct Limit {
    bytes: f64,
    allocations: f64,
}

fn main() -> ExitCode {
    if skipped("budget") {
        return ExitCode::SUCCESS;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("budget.toml");
    let text = std::fs::read_to_string(path).expect("the budget is committed");
    let budget: Budget = toml::from_str(&text).expect("the budget is TOML");
    let host = Host::workers(1);
    let mut kept = true;
    for (callers, limit) in &budget.callers {
        let number = callers.parse().expect("the key is a number of callers");
        // The batches of calls vary from run to run; the minimum of a few runs does not.
        let (bytes, allocations) = (0..5)
            .map(|_| allocated_per_call(&host, &Work::predict(), number))
            .fold((f64::INFINITY, f64::INFINITY), |(bytes, count), per_call| {
                (bytes.min(per_call.bytes), count.min(per_call.count))
            });
        for (what, found, most) in
            [("bytes", bytes, limit.bytes), ("allocations", allocations, limit.allocations)]
        {
            let verdict = if found <= most { "ok" } else { "OVER BUDGET" };
            println!("{callers:>4} callers: {:>9} {what} a call, at most {most}: {verdict}", rounded(found));
            kept &= found <= most;
        }
    }
    ExitCode::from(u8::from(!kept))
}
