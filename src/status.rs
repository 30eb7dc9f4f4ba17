//! What a pool says of itself. The main structure is [`PoolStatus`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_pyproc_actors::id::WorkerKey;
use actix_pyproc_actors::router::core::Availability;
use actix_pyproc_actors::router::{Distribution, FunctionStatus, LatencyStatus, RouterStatus};
use actix_pyproc_actors::supervisor::SlotStatus;
use actix_pyproc_actors::supervisor::core::SlotState;
use serde::Serialize;

use crate::backend::PythonBackend;
use crate::journal::{History, Incident};
use crate::process::proc::{cpu_time, rss};

/// A pool at one moment: a row per slot, counters since the start, latency quantiles.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PoolStatus {
    /// A row per slot, by number.
    pub slots: Vec<SlotRow>,
    /// How many slots serve.
    pub serving: usize,
    /// Whether calls are let in: `open`; `unavailable` while no worker serves and none is expected
    /// soon (the breaker is open), `half_open` while one start is tried; `shutting_down` once the
    /// pool drains.
    pub admission: &'static str,
    /// Calls that wait for a worker.
    pub queued: usize,
    /// Calls that are with workers.
    pub in_flight: usize,
    /// Calls that returned.
    pub ok: u64,
    /// Calls that did not, by the kind of their error.
    pub errors: BTreeMap<Cow<'static, str>, u64>,
    /// Calls whose caller went away before the answer.
    pub abandoned: u64,
    /// How often a call that had not started was given to another worker.
    pub requeued: u64,
    /// How often a process that had ended by itself was replaced.
    pub restarts: u64,
    /// How often a process was replaced that the pool had killed, because a call did not end or
    /// because it was stopped.
    pub kills: u64,
    /// From admission to answer, of calls that returned.
    pub latency: LatencyStatus,
    /// From admission to the hand-over to a worker.
    pub queue_wait: LatencyStatus,
    /// A row per function that was called, by name.
    pub functions: Vec<FunctionRow>,
    /// How many processes became ready.
    pub starts: u64,
    /// How many did not.
    pub start_failures: u64,
    /// Processes that were replaced, by the cause: `crashed`, `stuck`, …, or `max_calls`,
    /// `max_lifetime`, `max_rss`.
    pub restarts_by_cause: BTreeMap<&'static str, u64>,
    /// The panic of an actor that broke the pool for good.
    pub panic: Option<String>,
    /// The last processes that ended unasked or did not start, the latest first; at most 20.
    pub incidents: Vec<Incident>,
}

/// What became of the calls of one function.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunctionRow {
    /// Its name.
    pub function: String,
    /// Calls that returned.
    pub ok: u64,
    /// Calls that did not, by the kind of their error.
    pub errors: BTreeMap<Cow<'static, str>, u64>,
    /// Calls whose caller went away before the answer.
    pub abandoned: u64,
    /// From admission to answer, of calls that returned.
    pub latency: LatencyStatus,
    /// From admission to the hand-over to a worker.
    pub queue_wait: LatencyStatus,
    /// What `latency` is made from; two of these can be subtracted.
    #[serde(skip)]
    pub latencies: Distribution,
    /// What `queue_wait` is made from.
    #[serde(skip)]
    pub queue_waits: Distribution,
}

/// One slot at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlotRow {
    /// Its number.
    pub slot: u32,
    /// What it does: `starting`, `serving`, `replacing`, `backoff`, `resting`, `draining` or
    /// `stopped`.
    pub state: &'static str,
    /// Which process of the pool serves in it.
    pub generation: Option<u32>,
    /// Its process id.
    pub pid: Option<u32>,
    /// How long it has served, in milliseconds.
    pub uptime_ms: Option<u64>,
    /// Its resident memory, in bytes.
    pub rss_bytes: Option<u64>,
    /// The processor time that it has used, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// The calls it has.
    pub in_flight: u32,
    /// The calls it has ended.
    pub calls: u64,
    /// How often the slot's process was replaced after it had ended by itself.
    pub restarts: u64,
    /// How often the slot's process was replaced after the pool had killed it.
    pub kills: u64,
    /// How the slot's last process ended.
    pub last_exit: Option<String>,
    /// The last lines of that process on standard error.
    pub last_stderr: Vec<String>,
}

impl PoolStatus {
    pub(crate) fn new(
        mut calls: RouterStatus,
        slots: Vec<SlotStatus<PythonBackend>>,
        history: History,
        names: Vec<String>,
    ) -> Self {
        let functions = std::mem::take(&mut calls.functions);
        let mut functions: Vec<FunctionRow> = (names.into_iter().zip(functions))
            .filter(|(_, function)| function.was_called())
            .map(|(name, function)| FunctionRow::new(name, function))
            .collect();
        functions.sort_by(|one, other| one.function.cmp(&other.function));
        let slots: Vec<SlotRow> = slots.into_iter().map(|slot| SlotRow::new(&calls, slot)).collect();
        Self {
            serving: slots.iter().filter(|slot| slot.pid.is_some()).count(),
            restarts: slots.iter().map(|slot| slot.restarts).sum(),
            kills: slots.iter().map(|slot| slot.kills).sum(),
            slots,
            admission: match calls.availability {
                Availability::Open => "open",
                Availability::Unavailable { .. } if history.half_open => "half_open",
                Availability::Unavailable { .. } => "unavailable",
                Availability::ShuttingDown | Availability::Over => "shutting_down",
            },
            queued: calls.queued,
            in_flight: calls.in_flight,
            ok: calls.calls.ok,
            errors: calls.calls.errors,
            abandoned: calls.calls.abandoned,
            requeued: calls.requeued,
            latency: calls.calls.latency,
            queue_wait: calls.calls.queue_wait,
            functions,
            starts: history.starts,
            start_failures: history.start_failures,
            restarts_by_cause: history.restarts,
            panic: history.panic,
            incidents: history.incidents.into(),
        }
    }
}

impl FunctionRow {
    fn new(name: String, function: FunctionStatus) -> Self {
        let FunctionStatus { calls, latencies, queue_waits, .. } = function;
        Self {
            function: name,
            ok: calls.ok,
            errors: calls.errors,
            abandoned: calls.abandoned,
            latency: calls.latency,
            queue_wait: calls.queue_wait,
            latencies,
            queue_waits,
        }
    }
}

impl SlotRow {
    fn new(calls: &RouterStatus, slot: SlotStatus<PythonBackend>) -> Self {
        let key = slot.generation.map(|generation| WorkerKey { slot: slot.slot, generation });
        let worker = calls.workers.iter().find(|worker| Some(worker.key) == key);
        Self {
            slot: slot.slot.0,
            state: state_name(slot.state),
            generation: slot.generation.map(|generation| generation.0),
            pid: slot.pid,
            uptime_ms: slot.uptime.map(|uptime| u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX)),
            rss_bytes: slot.pid.and_then(rss),
            cpu_ms: slot.pid.and_then(cpu_time),
            in_flight: worker.map_or(0, |worker| worker.in_flight),
            calls: worker.map_or(0, |worker| worker.calls),
            restarts: slot.restarts,
            kills: slot.kills,
            last_exit: slot.last_exit.as_ref().map(ToString::to_string),
            last_stderr: slot.last_exit.map_or_else(Vec::new, |exit| exit.stderr_tail.to_vec()),
        }
    }
}

const fn state_name(state: SlotState) -> &'static str {
    match state {
        SlotState::Starting => "starting",
        SlotState::Serving => "serving",
        SlotState::Replacing => "replacing",
        SlotState::Backoff => "backoff",
        SlotState::Resting => "resting",
        SlotState::Draining => "draining",
        SlotState::Stopped => "stopped",
    }
}
