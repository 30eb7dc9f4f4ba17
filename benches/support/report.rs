//! The results of a bench, for people and for `docs/benchmarks.md`. The main structure is
//! [`Report`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alloc::counted;
use super::machine::{self, Machine};
use super::pool::{Host, Work};
use super::sample::{Sample, Until};

/// The rows of one bench. They are written when the report is dropped.
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
        let printed: Vec<String> =
            row.figures.iter().map(|(name, value)| format!("{name} {}", rounded(*value))).collect();
        println!("{:<44} {}", format!("{}/{}", self.bench, row.id), printed.join(", "));
        self.rows.push(row);
    }

    /// Adds a measurement of a pool, with the allocations of a call and the memory of the workers.
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

    /// A figure of a row, if the report has it.
    pub(crate) fn figure(&self, id: &str, figure: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.id == id)?.figures.get(figure).copied()
    }

    fn path(bench: &str) -> PathBuf {
        machine::target().join("bench-report").join(format!("{bench}.json"))
    }

    /// The last report of a bench.
    pub(crate) fn read(bench: &str) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(bench)).ok()?).ok()
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // There are no rows if criterion only profiles, or if the filter excludes all.
        if self.rows.is_empty() || std::thread::panicking() {
            return;
        }
        let path = Self::path(&self.bench);
        let text = serde_json::to_vec_pretty(self).expect("the report can be encoded");
        std::fs::create_dir_all(path.parent().expect("the path has a parent"))
            .expect("a directory for the reports");
        std::fs::write(path, text).expect("the report is written");
    }
}

/// How long allocations are counted.
const COUNTED: Duration = Duration::from_millis(200);

/// The average allocations of one call.
pub(crate) struct PerCall {
    pub(crate) count: f64,
    pub(crate) bytes: f64,
}

/// What one call allocates in this process, from argument to result.
pub(crate) fn allocated_per_call(host: &Host, work: &Work, callers: usize) -> PerCall {
    // The first calls grow the buffers.
    host.run(work, callers, Until::For(COUNTED / 4));
    let sample = Sample::new();
    let (sample, allocated) = counted(|| host.run_into(sample, work, callers, Until::For(COUNTED)));
    let per = |total: u64| total as f64 / sample.calls() as f64;
    PerCall { count: per(allocated.count), bytes: per(allocated.bytes) }
}

/// A number for people: four digits, or all digits before the point.
pub(crate) fn rounded(value: f64) -> String {
    match value.abs() {
        _ if value.fract() == 0.0 => format!("{value}"),
        1000.0.. => format!("{value:.0}"),
        100.0.. => format!("{value:.1}"),
        10.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
