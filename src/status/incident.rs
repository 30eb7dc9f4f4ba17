//! Workers that crashed, were killed or failed to start. The main structure is [`Incident`].

use std::fmt;
use std::time::SystemTime;

use actix_pyproc_actors::call::CallStatus;
use actix_pyproc_actors::id::{Generation, SlotId};
use actix_pyproc_actors::reason::RetireReason;
use actix_pyproc_actors::supervisor::WorkerEvent;
use serde::{Deserialize, Serialize};

use super::recent::CallRow;
use crate::backend::PythonBackend;
use crate::backend::failures::unix_ms;
use crate::error::ExitCause;

/// A process that ended although the pool had not asked it to, or that failed to start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Incident {
    /// When, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// Its slot.
    pub slot: SlotId,
    /// Which process of the pool.
    pub generation: Generation,
    /// Its process id, if it lived long enough to have one.
    pub pid: Option<u32>,
    /// Why it ended.
    pub cause: EndCause,
    /// How it ended, in one line.
    pub what: String,
    /// How many of its calls had started: they are lost, or retried because they are idempotent.
    pub lost_calls: usize,
    /// How many of its calls had not started: they were requeued for other workers.
    pub requeued: usize,
    /// The calls that had started, also those whose callers had their answers, at most 20: the
    /// oldest that ran, then the oldest that had ended and whose replies were not sent.
    pub calls: Vec<CallRow>,
    /// The last lines of its standard error, oldest first.
    pub stderr: Vec<String>,
    /// The stacks of its threads, if it was killed because it was stuck.
    pub stacks: Option<String>,
}

/// Why a process ended, was replaced, or failed to start.
///
/// [`ExitCause`] has the details of an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndCause {
    /// It exited by itself, or the pool did not send the signal that killed it.
    #[default]
    Crashed,
    /// It drained as the pool asked.
    Drained,
    /// The pool killed it because a cancelled call did not end.
    Stuck,
    /// The pool killed it because it was stopped and did not continue.
    Stopped,
    /// The pool killed it because it did not drain in time.
    DrainTimeout,
    /// The pool shut down.
    Shutdown,
    /// The pool killed it because it was not ready in time.
    StartTimeout,
    /// It closed its socket.
    Disconnected,
    /// It survived SIGKILL.
    Unkillable,
    /// It violated the protocol.
    Protocol,
    /// It did not become ready.
    StartFailed,
    /// It reached `max_calls`.
    MaxCalls,
    /// It reached `max_lifetime`.
    MaxLifetime,
    /// It exceeded `max_rss`.
    MaxRss,
    /// A cause that a newer gateway reported.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A formatter is a serializer for the names of unit variants.
        self.serialize(f)
    }
}

impl From<&ExitCause> for EndCause {
    fn from(cause: &ExitCause) -> Self {
        match cause {
            ExitCause::Crashed => Self::Crashed,
            ExitCause::Drained => Self::Drained,
            ExitCause::Stuck => Self::Stuck,
            ExitCause::Stopped => Self::Stopped,
            ExitCause::DrainTimeout => Self::DrainTimeout,
            ExitCause::Shutdown => Self::Shutdown,
            ExitCause::StartTimeout => Self::StartTimeout,
            ExitCause::Disconnected => Self::Disconnected,
            ExitCause::Unkillable => Self::Unkillable,
            ExitCause::Protocol(_) => Self::Protocol,
        }
    }
}

impl From<RetireReason> for EndCause {
    fn from(reason: RetireReason) -> Self {
        match reason {
            RetireReason::MaxCalls => Self::MaxCalls,
            RetireReason::MaxLifetime => Self::MaxLifetime,
            RetireReason::MaxRss => Self::MaxRss,
        }
    }
}

impl Incident {
    /// The incident that an event reports at `now`, if it reports one. `names` returns the names of
    /// the functions by their numbers.
    pub(super) fn of(
        event: &WorkerEvent<PythonBackend>,
        now: SystemTime,
        names: impl FnOnce() -> Vec<String>,
    ) -> Option<Self> {
        let at_unix_ms = unix_ms(now);
        match event {
            WorkerEvent::Exited { worker, pid, exit, expected: false, lost_calls, started, requeued } => {
                Some(Self {
                    at_unix_ms,
                    slot: worker.slot,
                    generation: worker.generation,
                    pid: Some(*pid),
                    cause: EndCause::from(&exit.cause),
                    what: exit.to_string(),
                    lost_calls: *lost_calls,
                    requeued: *requeued,
                    calls: calls(started, names),
                    stderr: exit.stderr_tail.to_vec(),
                    stacks: exit.stacks.as_deref().map(ToOwned::to_owned),
                })
            }
            WorkerEvent::StartFailed { worker, error } => Some(Self {
                at_unix_ms,
                slot: worker.slot,
                generation: worker.generation,
                pid: error.exit().map(|exit| exit.pid),
                cause: EndCause::StartFailed,
                what: error.to_string(),
                lost_calls: 0,
                requeued: 0,
                calls: Vec::new(),
                stderr: error.details().lines().map(ToOwned::to_owned).collect(),
                stacks: error.exit().and_then(|exit| exit.stacks.as_deref()).map(ToOwned::to_owned),
            }),
            _ => None,
        }
    }

    /// Removes what shows code and data of the worker: its standard error, its stacks and the text
    /// of its exception.
    #[cfg(feature = "http")]
    pub(crate) fn redact(&mut self) {
        self.stderr.clear();
        self.stacks = None;
        if self.cause == EndCause::StartFailed {
            "failed to start".clone_into(&mut self.what);
        }
    }
}

fn calls(started: &[CallStatus], names: impl FnOnce() -> Vec<String>) -> Vec<CallRow> {
    if started.is_empty() {
        return Vec::new();
    }
    let names = names();
    started.iter().map(|call| CallRow::new(call, &names)).collect()
}
