//! A pool at one moment. The main structure is [`PoolStatus`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_pyproc_actors::router::{Availability, CallTally, Distribution, FunctionStatus, RouterStatus};
use actix_pyproc_actors::supervisor::SlotStatus;
use serde::{Deserialize, Serialize};

use super::crash::Crash;
use super::incident::{EndCause, Incident};
use super::journal::History;
use super::recent::{CallRow, LogLine};
use super::slot::SlotRow;
use crate::backend::PythonBackend;
use crate::backend::failures::FailureRow;
use crate::process::cpu::CpuTime;
use crate::process::recent::RecentLine;

/// A pool at one moment: a row per slot, and counters and latency quantiles since the start.
///
/// Fields that are missing when it is deserialized have their default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PoolStatus {
    /// A row per slot, by number.
    pub slots: Vec<SlotRow>,
    /// How many slots serve.
    pub serving: usize,
    /// Whether the pool admits calls.
    pub admission: AdmissionState,
    /// How many calls wait for a worker.
    pub queued: usize,
    /// How many calls workers have.
    pub in_flight: usize,
    /// How all calls ended, and how long they took.
    #[serde(flatten)]
    pub calls: CallTally,
    /// How often a call that had not started was requeued.
    pub requeued: u64,
    /// How often a process was replaced after it had ended by itself.
    pub restarts: u64,
    /// How often a process was replaced after the pool had killed it, because a call did not end or
    /// because the process was stopped.
    pub kills: u64,
    /// A row per function that was called, by name.
    pub functions: Vec<FunctionRow>,
    /// How many processes became ready.
    pub starts: u64,
    /// How many processes failed to start.
    pub start_failures: u64,
    /// How many processes were replaced, by cause.
    pub restarts_by_cause: BTreeMap<EndCause, u64>,
    /// The panic of an actor that broke the pool for good.
    pub panic: Option<String>,
    /// The last 20 processes that crashed, were killed or failed to start; the latest first.
    pub incidents: Vec<Incident>,
    /// The same and earlier ones, with equal ones grouped: the last 20 different ones, the latest
    /// first.
    pub crashes: Vec<Crash>,
    /// Why calls failed: by function, kind and type of exception; the latest first.
    pub failures: Vec<FailureRow>,
    /// The calls that wait for a worker or occupy one: the oldest 20, the oldest first.
    pub oldest_calls: Vec<CallRow>,
    /// The last 200 lines of all workers, oldest first.
    pub log: Vec<LogLine>,
}

/// Whether a pool admits calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AdmissionState {
    /// Calls are admitted.
    Open,
    /// The breaker is open: calls are rejected, because no worker serves and none is expected soon.
    Unavailable,
    /// The breaker is half-open: calls are rejected while one start is tried.
    HalfOpen,
    /// Calls are rejected: the pool is draining or has shut down.
    #[default]
    ShuttingDown,
    /// A state that a newer gateway reported.
    #[serde(other)]
    Unknown,
}

/// What decides whether a pool is ready.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness {
    pub(crate) admission: AdmissionState,
    /// How many slots serve.
    pub(crate) serving: usize,
    /// How many slots there are.
    pub(crate) workers: usize,
    /// Whether an actor has panicked.
    pub(crate) is_broken: bool,
}

/// The calls of one function.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FunctionRow {
    /// Its name.
    pub function: String,
    /// How its calls ended, and how long they took.
    #[serde(flatten)]
    pub calls: CallTally,
    /// What [`CallTally::latency`] is made from; not serialized. Two of these can be subtracted.
    #[serde(skip)]
    pub latencies: Distribution,
    /// From admission to answer, of calls that ended with an error, by its kind; not serialized.
    #[serde(skip)]
    pub error_latencies: BTreeMap<Cow<'static, str>, Distribution>,
    /// What [`CallTally::queue_wait`] is made from; not serialized.
    #[serde(skip)]
    pub queue_waits: Distribution,
}

/// What the backend of a pool knows.
pub(crate) struct Observed {
    /// The names of the functions, by their numbers.
    pub(crate) names: Vec<String>,
    pub(crate) failures: Vec<FailureRow>,
    pub(crate) output: Vec<RecentLine>,
    /// The processor time of each slot.
    pub(crate) cpu: Vec<CpuTime>,
}

impl PoolStatus {
    pub(crate) fn new(
        mut calls: RouterStatus,
        slots: Vec<SlotStatus<PythonBackend>>,
        history: History,
        Observed { names, failures, output, cpu }: Observed,
    ) -> Self {
        let oldest_calls = calls.oldest_calls.iter().map(|call| CallRow::new(call, &names)).collect();
        let functions = std::mem::take(&mut calls.functions);
        let mut functions: Vec<FunctionRow> = (names.into_iter().zip(functions))
            .filter(|(_, function)| function.was_called())
            .map(|(name, function)| FunctionRow::new(name, function))
            .collect();
        functions.sort_by(|one, other| one.function.cmp(&other.function));
        let slots: Vec<SlotRow> =
            (slots.into_iter().zip(cpu)).map(|(slot, cpu)| SlotRow::new(&calls, slot, cpu)).collect();
        Self {
            serving: slots.iter().filter(|slot| slot.pid.is_some()).count(),
            restarts: slots.iter().map(|slot| slot.restarts).sum(),
            kills: slots.iter().map(|slot| slot.kills).sum(),
            slots,
            admission: AdmissionState::of(calls.availability, history.half_open),
            queued: calls.queued,
            in_flight: calls.in_flight,
            calls: calls.calls,
            requeued: calls.requeued,
            functions,
            starts: history.starts,
            start_failures: history.start_failures,
            restarts_by_cause: history.restarts,
            panic: history.panic,
            incidents: history.incidents.into(),
            crashes: history.crashes,
            failures,
            oldest_calls,
            log: output.into_iter().map(LogLine::from).collect(),
        }
    }

    /// Removes what shows code and data of the workers.
    #[cfg(feature = "http")]
    pub(crate) fn redact(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.last_stderr.clear());
        self.incidents.iter_mut().for_each(Incident::redact);
        self.crashes.iter_mut().for_each(Crash::redact);
        self.failures.iter_mut().for_each(|failure| failure.traceback = None);
        self.log.clear();
    }
}

impl AdmissionState {
    pub(crate) const fn of(availability: Availability, half_open: bool) -> Self {
        match availability {
            Availability::Open => Self::Open,
            Availability::Unavailable { .. } if half_open => Self::HalfOpen,
            Availability::Unavailable { .. } => Self::Unavailable,
            Availability::ShuttingDown | Availability::Stopped => Self::ShuttingDown,
        }
    }
}

#[cfg(feature = "http")]
impl From<&PoolStatus> for Readiness {
    fn from(status: &PoolStatus) -> Self {
        let PoolStatus { admission, serving, ref slots, ref panic, .. } = *status;
        Self { admission, serving, workers: slots.len(), is_broken: panic.is_some() }
    }
}

impl FunctionRow {
    fn new(name: String, function: FunctionStatus) -> Self {
        let FunctionStatus { calls, latencies, error_latencies, queue_waits, .. } = function;
        Self { function: name, calls, latencies, error_latencies, queue_waits }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{AdmissionState, PoolStatus};
    use crate::status::{CallStage, EndCause, LineSource, SlotState};

    /// A status, with the keys that version 0.1 wrote and those that came later.
    fn written() -> Value {
        let latency = json!({"count": 2, "p50_us": 1, "p95_us": 2, "p99_us": 2, "max_us": 2});
        json!({
            "slots": [{
                "slot": 1, "state": "backoff", "generation": null, "pid": null, "uptime_ms": null,
                "rss_bytes": null, "cpu_ms": null, "cpu_total_ms": 70, "in_flight": 0, "calls": 0, "restarts": 1, "kills": 1,
                "last_exit": "killed by SIGKILL", "last_stderr": ["a", "b"],
            }],
            "serving": 0, "admission": "half_open", "queued": 1, "in_flight": 0,
            "ok": 2, "errors": {"exception": 3, "worker_lost": 1}, "abandoned": 1, "requeued": 4,
            "restarts": 1, "kills": 1, "latency": latency, "queue_wait": latency,
            "functions": [{
                "function": "predict", "ok": 2, "errors": {"exception": 3}, "abandoned": 0,
                "latency": latency, "queue_wait": latency,
            }],
            "starts": 2, "start_failures": 1, "restarts_by_cause": {"crashed": 1, "max_calls": 1},
            "panic": null,
            "incidents": [{
                "at_unix_ms": 9, "slot": 1, "generation": 2, "pid": 77, "cause": "start_failed",
                "what": "failed to start", "lost_calls": 1, "requeued": 2, "calls": [],
                "stderr": ["last"], "stacks": null,
            }],
            "crashes": [], "oldest_calls": [{
                "function": "predict", "slot": 1, "stage": "running", "age_ms": 5, "running_ms": 4,
                "left_ms": null,
            }],
            "failures": [{
                "function": "predict", "kind": "exception", "type_name": "ValueError", "count": 3,
                "at_unix_ms": 9, "message": "m", "traceback": "t",
            }],
            "log": [{
                "number": 1, "at_unix_ms": 9, "slot": 0, "pid": 7, "source": "stderr", "level": "warn",
                "logger": "", "text": "a",
            }],
        })
    }

    #[test]
    fn json_is_read_and_written_back_without_a_change() {
        let status: PoolStatus = serde_json::from_value(written()).expect("it is a status");
        assert_eq!(status.admission, AdmissionState::HalfOpen);
        assert_eq!((status.calls.ok, status.calls.errors["exception"]), (2, 3));
        assert_eq!(status.restarts_by_cause[&EndCause::MaxCalls], 1);
        assert_eq!(status.incidents[0].cause, EndCause::StartFailed);
        assert_eq!(serde_json::to_value(&status).expect("it has a JSON"), written());
        let text = serde_json::to_string(&status).expect("it has a JSON");
        assert_eq!(serde_json::from_str::<PoolStatus>(&text).expect("it is a status"), status);
    }

    #[test]
    fn missing_fields_have_their_default() {
        let status: PoolStatus = serde_json::from_value(json!({"serving": 2})).expect("it is a status");
        assert_eq!(status, PoolStatus { serving: 2, ..PoolStatus::default() });
    }

    #[test]
    fn words_of_a_newer_gateway_are_unknown() {
        let written = json!({
            "admission": "resting",
            "slots": [{"state": "hibernating"}],
            "restarts_by_cause": {"cosmic_ray": 1},
            "oldest_calls": [{"stage": "dreaming"}],
            "log": [{"source": "telepathy"}],
        });
        let status: PoolStatus = serde_json::from_value(written).expect("it is a status");
        assert_eq!((status.admission, status.slots[0].state), (AdmissionState::Unknown, SlotState::Unknown));
        assert_eq!(status.restarts_by_cause[&EndCause::Unknown], 1);
        let (stage, source) = (status.oldest_calls[0].stage, status.log[0].source);
        assert_eq!((stage, source), (CallStage::Unknown, LineSource::Unknown));
    }
}
