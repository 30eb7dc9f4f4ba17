//! What a load run measured. The main structure is [`Figures`].

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use serde::Serialize;

use crate::console::{note, stdout};
use crate::load::Tally;

/// The figures of `bench` and `chaos`, as `--json` prints them.
#[derive(Serialize)]
pub(crate) struct Figures {
    calls: u64,
    ok: u64,
    pub(crate) errors: BTreeMap<&'static str, u64>,
    seconds: f64,
    rps: f64,
    p50_us: f64,
    p95_us: f64,
    p99_us: f64,
    max_us: f64,
    restarts: u64,
}

impl Figures {
    pub(crate) fn new(tally: &Tally, restarts: u64) -> Self {
        let tenths = |value: f64| (value * 10.0).round() / 10.0;
        let us = |quantile| tenths(tally.quantile_us(quantile));
        Self {
            calls: tally.answered(),
            ok: tally.ok,
            errors: tally.errors.clone(),
            seconds: (tally.elapsed.as_secs_f64() * 1e3).round() / 1e3,
            rps: tenths(tally.rate()),
            p50_us: us(0.50),
            p95_us: us(0.95),
            p99_us: us(0.99),
            max_us: us(1.0),
            restarts,
        }
    }

    pub(crate) fn print_table(&self) -> io::Result<()> {
        let mut out = stdout();
        writeln!(out, "{:<10} {:>12.0}", "calls/s", self.rps)?;
        writeln!(out, "{:<10} {:>12} in {:.2} s", "calls", self.calls, self.seconds)?;
        for (name, us) in
            [("p50", self.p50_us), ("p95", self.p95_us), ("p99", self.p99_us), ("max", self.max_us)]
        {
            writeln!(out, "{name:<10} {us:>12.1} µs")?;
        }
        for (kind, count) in &self.errors {
            writeln!(out, "{kind:<10} {count:>12}")?;
        }
        if self.restarts > 0 {
            note(format_args!("{} workers died and were replaced", self.restarts));
        }
        Ok(())
    }
}
