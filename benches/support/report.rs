//! What a bench has found, for people and for `docs/benchmarks.md`. The main structure is
//! [`Report`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alloc::counted;
use super::machine::{self, Machine};
use super::pool::{Host, Work};
use super::sample::{Sample, Until};

/// The rows of one bench; written when it is dropped.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) bench: String,
    pub(crate) machine: Machine,
    pub(crate) quick: bool,
    pub(crate) rows: Vec<Row>,
}

/// One measurement.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) figures: BTreeMap<String, f64>,
}

impl Report {
    pub(crate) fn new(bench: &str) -> Self {
        Self { bench: bench.into(), machine: Machine::look(), quick: super::quick(), rows: Vec::new() }
    }

    /// Adds a row and prints it.
    pub(crate) fn add<'a>(
        &mut self,
        id: impl Into<String>,
        figures: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        let figures: BTreeMap<String, f64> =
            figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let row = Row { id: id.into(), figures };
        let told: Vec<String> =
            row.figures.iter().map(|(name, value)| format!("{name} {}", rounded(*value))).collect();
        println!("{:<44} {}", format!("{}/{}", self.bench, row.id), told.join(", "));
        self.rows.push(row);
    }

    /// Adds what was measured of a pool, and what its calls allocate and its workers hold.
    pub(crate) fn add_load(
        &mut self,
        id: impl Into<String>,
        host: &Host,
        work: &Work,
        callers: usize,
        sample: &Sample,
    ) {
        let PerCall { count, bytes } = allocated_per_call(host, work, callers);
        let costs = [
            ("bytes_per_call", bytes),
            ("allocations_per_call", count),
            ("worker_rss_mib", host.worker_rss() as f64 / f64::from(1 << 20)),
        ];
        self.add(id, sample.figures().into_iter().chain(costs));
    }

    /// A figure of a row of the report that a bench has left, if it has.
    pub(crate) fn figure(&self, id: &str, figure: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.id == id)?.figures.get(figure).copied()
    }

    fn path(bench: &str) -> PathBuf {
        machine::target().join("bench-report").join(format!("{bench}.json"))
    }

    /// The report that a bench has left.
    pub(crate) fn read(bench: &str) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(bench)).ok()?).ok()
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // Where criterion profiles or only a part was asked for there may be nothing to tell.
        if self.rows.is_empty() || std::thread::panicking() {
            return;
        }
        let path = Self::path(&self.bench);
        let text = serde_json::to_vec_pretty(self).expect("it has a JSON");
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a directory for the reports");
        std::fs::write(path, text).expect("the report is written");
    }
}

/// How long allocations are counted, for an average over many calls.
const COUNTED: Duration = Duration::from_millis(200);

/// Allocations of one call, on average.
pub(crate) struct PerCall {
    pub(crate) count: f64,
    pub(crate) bytes: f64,
}

/// What one call allocates in this process, on the whole way and back.
pub(crate) fn allocated_per_call(host: &Host, work: &Work, callers: usize) -> PerCall {
    // Buffers have their size after the first calls.
    host.run(work, callers, Until::For(COUNTED / 4));
    let sample = Sample::new();
    let (sample, allocated) = counted(|| host.run_into(sample, work, callers, Until::For(COUNTED)));
    let per = |total: u64| total as f64 / sample.calls() as f64;
    PerCall { count: per(allocated.count), bytes: per(allocated.bytes) }
}

/// A number as people read it: four digits, or all before the point.
pub(crate) fn rounded(value: f64) -> String {
    match value.abs() {
        _ if value.fract() == 0.0 => format!("{value}"),
        1000.0.. => format!("{value:.0}"),
        100.0.. => format!("{value:.1}"),
        10.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
