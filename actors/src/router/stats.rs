//! What the router has counted. The main structure in this module is [`Stats`].

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::core::Availability;
use super::distribution::Distribution;
use crate::id::ClassId;

/// Three significant digits, up to an hour in microseconds.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are right")
}

/// Counters since the pool's start.
pub(crate) struct Stats {
    ok: u64,
    errors: Vec<(&'static str, u64)>,
    abandoned: u64,
    requeued: u64,
    latency: Histogram<u64>,
    wait: Histogram<u64>,
    /// By the number of the class, so that a call needs no look-up.
    classes: Vec<ClassStats>,
}

/// What became of the calls of one class.
#[derive(Default)]
struct ClassStats {
    ok: u64,
    errors: Vec<(&'static str, u64)>,
    abandoned: u64,
    latency: Distribution,
    wait: Distribution,
}

impl Stats {
    pub(crate) fn new() -> Self {
        Self {
            ok: 0,
            errors: Vec::new(),
            abandoned: 0,
            requeued: 0,
            latency: histogram(),
            wait: histogram(),
            classes: Vec::new(),
        }
    }

    fn class(&mut self, class: ClassId) -> &mut ClassStats {
        let index = class.0 as usize;
        if index >= self.classes.len() {
            self.classes.resize_with(index + 1, ClassStats::default);
        }
        &mut self.classes[index]
    }

    /// A call had an answer: `None` for a reply, else the error's kind.
    pub(crate) fn answered(&mut self, class: ClassId, error: Option<&'static str>, latency: Duration) {
        match error {
            None => {
                self.ok += 1;
                self.latency.saturating_record(micros(latency));
                let class = self.class(class);
                class.ok += 1;
                class.latency.record(latency);
            }
            Some(kind) => self.failed(Some(class), kind),
        }
    }

    /// A call ended with an error; one of a function that does not exist has no class.
    pub(crate) fn failed(&mut self, class: Option<ClassId>, kind: &'static str) {
        count(&mut self.errors, kind);
        if let Some(class) = class {
            count(&mut self.class(class).errors, kind);
        }
    }

    pub(crate) fn waited(&mut self, class: ClassId, wait: Duration) {
        self.wait.saturating_record(micros(wait));
        self.class(class).wait.record(wait);
    }

    pub(crate) fn abandoned(&mut self, class: ClassId) {
        self.abandoned += 1;
        self.class(class).abandoned += 1;
    }

    pub(crate) fn requeued(&mut self, calls: usize) {
        self.requeued += calls as u64;
    }

    pub(crate) fn status(
        &self,
        queued: usize,
        availability: Availability,
        workers: Vec<WorkerStatus>,
    ) -> RouterStatus {
        RouterStatus {
            admission: admission(availability),
            queued,
            in_flight: workers.iter().map(|worker| worker.in_flight as usize).sum(),
            ok: self.ok,
            errors: self.errors.iter().copied().collect(),
            abandoned: self.abandoned,
            requeued: self.requeued,
            latency: LatencyStatus::of(&self.latency),
            queue_wait: LatencyStatus::of(&self.wait),
            workers,
            classes: self.classes.iter().map(ClassStats::status).collect(),
        }
    }
}

impl ClassStats {
    fn status(&self) -> ClassStatus {
        ClassStatus {
            ok: self.ok,
            errors: self.errors.iter().copied().collect(),
            abandoned: self.abandoned,
            latency: self.latency.clone(),
            queue_wait: self.wait.clone(),
        }
    }
}

fn count(errors: &mut Vec<(&'static str, u64)>, kind: &'static str) {
    match errors.iter_mut().find(|(known, _)| *known == kind) {
        Some((_, count)) => *count += 1,
        None => errors.push((kind, 1)),
    }
}

const fn admission(availability: Availability) -> &'static str {
    match availability {
        Availability::Open => "open",
        Availability::Unavailable { .. } => "unavailable",
        Availability::ShuttingDown | Availability::Over => "shutting_down",
    }
}

/// What the router knows, since the pool's start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RouterStatus {
    /// Whether calls are let in: `open`, `unavailable` or `shutting_down`; empty if the router is
    /// gone.
    pub admission: &'static str,
    /// Calls that wait for a worker.
    pub queued: usize,
    /// Calls that are with workers.
    pub in_flight: usize,
    /// Calls that returned.
    pub ok: u64,
    /// Calls that did not, by the kind of their error.
    pub errors: BTreeMap<&'static str, u64>,
    /// Calls whose caller went away before the answer.
    pub abandoned: u64,
    /// How often a call that had not started was given to another worker.
    pub requeued: u64,
    /// From admission to answer, of calls that returned.
    pub latency: LatencyStatus,
    /// From admission to the hand-over to a worker.
    pub queue_wait: LatencyStatus,
    /// A row per worker that serves or drains.
    pub workers: Vec<WorkerStatus>,
    /// What became of the calls of each class, by its number.
    pub classes: Vec<ClassStatus>,
}

/// What became of the calls of one class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClassStatus {
    /// Calls that returned.
    pub ok: u64,
    /// Calls that did not, by the kind of their error.
    pub errors: BTreeMap<&'static str, u64>,
    /// Calls whose caller went away before the answer.
    pub abandoned: u64,
    /// From admission to answer, of calls that returned.
    pub latency: Distribution,
    /// From admission to the hand-over to a worker.
    pub queue_wait: Distribution,
}

/// Quantiles in microseconds, exact to three digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LatencyStatus {
    /// How many were measured.
    pub count: u64,
    /// The median.
    pub p50_us: u64,
    /// 95 % are at most this.
    pub p95_us: u64,
    /// 99 % are at most this.
    pub p99_us: u64,
    /// The largest.
    pub max_us: u64,
}

impl LatencyStatus {
    fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.50),
            p95_us: histogram.value_at_quantile(0.95),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        }
    }
}

impl From<&Distribution> for LatencyStatus {
    fn from(distribution: &Distribution) -> Self {
        Self {
            count: distribution.count(),
            p50_us: distribution.quantile_us(0.50),
            p95_us: distribution.quantile_us(0.95),
            p99_us: distribution.quantile_us(0.99),
            max_us: distribution.max_us(),
        }
    }
}

/// One worker, as the router sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerStatus {
    /// Its slot.
    pub slot: u32,
    /// Which process of the slot.
    pub generation: u32,
    /// The calls it has.
    pub in_flight: u32,
    /// The calls it has ended.
    pub calls: u64,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
