//! What the router counts. The main structures in this module are [`Stats`] and [`CallTally`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::distribution::Distribution;
use super::limits::Availability;
use super::quantiles::{LatencyStatus, Quantiles};
use crate::call::CallStatus;
use crate::id::{FunctionId, WorkerKey};

/// Counters since the start of the pool.
pub(crate) struct Stats {
    total: Totals,
    /// By the number of the function, so that a call needs no lookup.
    functions: Vec<Counters>,
    requeued: u64,
}

/// How the calls of a pool ended.
struct Totals {
    ok: u64,
    errors: Vec<(&'static str, u64)>,
    abandoned: u64,
    latency: Quantiles,
    wait: Quantiles,
}

/// How the calls of a function ended.
#[derive(Default)]
struct Counters {
    returned: Distribution,
    /// By the kind of the error. A kind that did not occur takes no memory.
    errors: Vec<(&'static str, Distribution)>,
    abandoned: u64,
    wait: Distribution,
}

impl Stats {
    pub(crate) fn new() -> Self {
        let total = Totals {
            ok: 0,
            errors: Vec::new(),
            abandoned: 0,
            latency: Quantiles::new(),
            wait: Quantiles::new(),
        };
        Self { total, functions: Vec::new(), requeued: 0 }
    }

    fn function(&mut self, function: FunctionId) -> &mut Counters {
        let index = function.0 as usize;
        if index >= self.functions.len() {
            self.functions.resize_with(index + 1, Counters::default);
        }
        &mut self.functions[index]
    }

    /// A call was answered: `error` is `None` for a reply, else the kind of the error.
    pub(crate) fn answered(&mut self, function: FunctionId, error: Option<&'static str>, latency: Duration) {
        match error {
            None => {
                self.total.ok += 1;
                self.total.latency.record(latency);
                self.function(function).returned.record(latency);
            }
            Some(kind) => {
                self.ended_with_error(kind);
                of_kind(&mut self.function(function).errors, kind).record(latency);
            }
        }
    }

    /// Counts an error in the totals. It is all that counts a call whose function is not known.
    pub(crate) fn ended_with_error(&mut self, kind: &'static str) {
        *of_kind(&mut self.total.errors, kind) += 1;
    }

    pub(crate) fn waited(&mut self, function: FunctionId, wait: Duration) {
        self.total.wait.record(wait);
        self.function(function).wait.record(wait);
    }

    pub(crate) fn abandoned(&mut self, function: FunctionId) {
        self.total.abandoned += 1;
        self.function(function).abandoned += 1;
    }

    pub(crate) fn requeued(&mut self, calls: usize) {
        self.requeued += calls as u64;
    }

    pub(crate) fn status(
        &self,
        queued: usize,
        availability: Availability,
        workers: Vec<WorkerStatus>,
        oldest_calls: Vec<CallStatus>,
    ) -> RouterStatus {
        RouterStatus {
            availability,
            queued,
            in_flight: workers.iter().map(|worker| worker.in_flight as usize).sum(),
            calls: self.total.tally(),
            requeued: self.requeued,
            workers,
            oldest_calls,
            functions: self.functions.iter().map(FunctionStatus::of).collect(),
        }
    }
}

/// The entry of a kind of errors.
fn of_kind<'a, T: Default>(errors: &'a mut Vec<(&'static str, T)>, kind: &'static str) -> &'a mut T {
    let index = errors.iter().position(|(known, _)| *known == kind).unwrap_or_else(|| {
        errors.push((kind, T::default()));
        errors.len() - 1
    });
    &mut errors[index].1
}

impl Totals {
    fn tally(&self) -> CallTally {
        CallTally {
            ok: self.ok,
            errors: self.errors.iter().map(|(kind, count)| (Cow::Borrowed(*kind), *count)).collect(),
            abandoned: self.abandoned,
            latency: self.latency.status(),
            queue_wait: self.wait.status(),
        }
    }
}

impl Counters {
    fn tally(&self) -> CallTally {
        CallTally {
            ok: self.returned.count(),
            errors: self.errors.iter().map(|(kind, of)| (Cow::Borrowed(*kind), of.count())).collect(),
            abandoned: self.abandoned,
            latency: LatencyStatus::from(&self.returned),
            queue_wait: LatencyStatus::from(&self.wait),
        }
    }
}

/// How calls ended, and how long they took, since the start of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CallTally {
    /// Calls that returned.
    pub ok: u64,
    /// Calls that ended with an error, by the kind of the error.
    pub errors: BTreeMap<Cow<'static, str>, u64>,
    /// Calls whose caller dropped the future before the answer.
    pub abandoned: u64,
    /// From admission to answer, of calls that returned.
    pub latency: LatencyStatus,
    /// From admission to the dispatch to a worker.
    pub queue_wait: LatencyStatus,
}

/// What the router knows. The default is the status of a router that has stopped.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RouterStatus {
    /// Whether it admits calls.
    pub availability: Availability,
    /// Calls that wait for a worker.
    pub queued: usize,
    /// Calls that workers have.
    pub in_flight: usize,
    /// All calls; its quantiles are exact to three digits.
    pub calls: CallTally,
    /// How often a call that had not started was put back in the queue.
    pub requeued: u64,
    /// A row per worker that serves or drains.
    pub workers: Vec<WorkerStatus>,
    /// The oldest 20 calls that wait for a worker or occupy one, the oldest first.
    pub oldest_calls: Vec<CallStatus>,
    /// The calls of each function, by its number.
    pub functions: Vec<FunctionStatus>,
}

/// The calls of one function.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FunctionStatus {
    /// How they ended; quantiles are exact to 6 %.
    pub calls: CallTally,
    /// What [`CallTally::latency`] is made from.
    pub latencies: Distribution,
    /// From admission to answer, of calls that ended with an error, by its kind.
    pub error_latencies: BTreeMap<Cow<'static, str>, Distribution>,
    /// What [`CallTally::queue_wait`] is made from.
    pub queue_waits: Distribution,
}

impl FunctionStatus {
    fn of(counters: &Counters) -> Self {
        Self {
            calls: counters.tally(),
            latencies: counters.returned.clone(),
            error_latencies: counters.errors.iter().map(|(kind, of)| ((*kind).into(), of.clone())).collect(),
            queue_waits: counters.wait.clone(),
        }
    }

    /// Whether the function was called at all.
    #[must_use]
    pub fn was_called(&self) -> bool {
        self.calls != CallTally::default()
    }
}

/// One worker, as the router sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Which process.
    pub key: WorkerKey,
    /// The calls it has.
    pub in_flight: u32,
    /// The calls that have ended in it.
    pub calls: u64,
}
