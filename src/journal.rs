//! What has happened to the workers of a pool since it started. The main structure is [`Journal`].

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix::{Actor, Context, Handler, Message, MessageResult};
use serde::Serialize;

use crate::{ExitCause, RetireReason, WorkerEvent};

/// How many incidents are kept.
const KEPT: usize = 20;

/// Counts starts and ends, and keeps the last incidents. It hears of them as any subscriber does,
/// so it is never in the way of a call.
#[derive(Default)]
pub(crate) struct Journal(History);

/// What the journal knows.
#[derive(Clone, Debug, Default, PartialEq, Message)]
#[rtype(result = "()")]
pub(crate) struct History {
    pub(crate) starts: u64,
    pub(crate) start_failures: u64,
    /// Processes that were replaced, by the cause: a reason to retire, or why they ended.
    pub(crate) restarts: BTreeMap<&'static str, u64>,
    pub(crate) half_open: bool,
    pub(crate) panic: Option<String>,
    pub(crate) incidents: VecDeque<Incident>,
}

/// A process that ended unasked, or that did not become ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Incident {
    /// When, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// The slot.
    pub slot: u32,
    /// Which process of the pool.
    pub generation: u32,
    /// Its process id, if it lived long enough to have one.
    pub pid: Option<u32>,
    /// `crashed`, `stuck`, `stopped`, `disconnected`, `protocol`, `drain_timeout` or
    /// `start_failed`.
    pub cause: &'static str,
    /// How it ended, in one line.
    pub what: String,
    /// How many calls had started and are lost, or are tried again because they are idempotent.
    pub lost_calls: usize,
    /// How many calls that had not started went to other workers.
    pub requeued: usize,
    /// The last lines of standard error, oldest first.
    pub stderr: Vec<String>,
    /// The stacks of its threads, if it was killed because it was stuck.
    pub stacks: Option<String>,
}

impl History {
    fn hear(&mut self, event: &WorkerEvent) {
        match event {
            WorkerEvent::Started { .. } => self.starts += 1,
            WorkerEvent::StartFailed { .. } => self.start_failures += 1,
            WorkerEvent::Exited { exit, expected: false, .. } => self.restart(cause_name(&exit.cause)),
            WorkerEvent::Retiring { reason, .. } => self.restart(reason_name(*reason)),
            WorkerEvent::BreakerHalfOpened => self.half_open = true,
            WorkerEvent::Panicked { actor, message } => self.panic = Some(format!("{actor}: {message}")),
            WorkerEvent::BreakerOpened { .. } | WorkerEvent::BreakerClosed => self.half_open = false,
            _ => {}
        }
        if let Some(incident) = Incident::of(event) {
            self.incidents.truncate(KEPT - 1);
            self.incidents.push_front(incident);
        }
    }

    fn restart(&mut self, cause: &'static str) {
        *self.restarts.entry(cause).or_default() += 1;
    }
}

impl Incident {
    fn of(event: &WorkerEvent) -> Option<Self> {
        let at_unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
        let at_unix_ms = u64::try_from(at_unix_ms).unwrap_or(u64::MAX);
        match event {
            WorkerEvent::Exited { slot, generation, pid, exit, expected: false, lost_calls, requeued } => {
                Some(Self {
                    at_unix_ms,
                    slot: slot.0,
                    generation: generation.0,
                    pid: Some(*pid),
                    cause: cause_name(&exit.cause),
                    what: exit.to_string(),
                    lost_calls: *lost_calls,
                    requeued: *requeued,
                    stderr: exit.stderr_tail.to_vec(),
                    stacks: exit.stacks.as_deref().map(ToOwned::to_owned),
                })
            }
            WorkerEvent::StartFailed { slot, generation, error } => Some(Self {
                at_unix_ms,
                slot: slot.0,
                generation: generation.0,
                pid: error.exit().map(|exit| exit.pid),
                cause: "start_failed",
                what: format!("failed to {error}"),
                lost_calls: 0,
                requeued: 0,
                stderr: error.details().lines().map(ToOwned::to_owned).collect(),
                stacks: error.exit().and_then(|exit| exit.stacks.as_deref()).map(ToOwned::to_owned),
            }),
            _ => None,
        }
    }
}

const fn cause_name(cause: &ExitCause) -> &'static str {
    match cause {
        ExitCause::Crashed => "crashed",
        ExitCause::Drained => "drained",
        ExitCause::Stuck => "stuck",
        ExitCause::Stopped => "stopped",
        ExitCause::DrainTimeout => "drain_timeout",
        ExitCause::Shutdown => "shutdown",
        ExitCause::StartTimeout => "start_timeout",
        ExitCause::Disconnected => "disconnected",
        ExitCause::Unkillable => "unkillable",
        ExitCause::Protocol(_) => "protocol",
    }
}

const fn reason_name(reason: RetireReason) -> &'static str {
    match reason {
        RetireReason::MaxCalls => "max_calls",
        RetireReason::MaxLifetime => "max_lifetime",
        RetireReason::MaxRss => "max_rss",
    }
}

impl Actor for Journal {
    type Context = Context<Self>;
}

impl Handler<WorkerEvent> for Journal {
    type Result = ();

    fn handle(&mut self, event: WorkerEvent, _: &mut Context<Self>) {
        self.0.hear(&event);
    }
}

/// Asks for all that the journal knows.
#[derive(Message)]
#[rtype(result = "History")]
pub(crate) struct GetHistory;

impl Handler<GetHistory> for Journal {
    type Result = MessageResult<GetHistory>;

    fn handle(&mut self, _: GetHistory, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{History, KEPT};
    use crate::{Exit, ExitCause, ExitStatus, Generation, RetireReason, SlotId, StartError, WorkerEvent};

    fn exited(expected: bool, cause: ExitCause) -> WorkerEvent {
        let status = ExitStatus::Signal { number: 9, core_dumped: false };
        WorkerEvent::Exited {
            slot: SlotId(1),
            generation: Generation(3),
            pid: 77,
            exit: Arc::new(Exit::new(77, status, cause)),
            expected,
            lost_calls: 1,
            requeued: 2,
        }
    }

    #[test]
    fn restarts_are_counted_by_cause_and_asked_ends_are_none() {
        let mut history = History::default();
        history.hear(&exited(false, ExitCause::Crashed));
        history.hear(&exited(false, ExitCause::Stuck));
        history.hear(&exited(true, ExitCause::Drained));
        let (slot, generation) = (SlotId(1), Generation(3));
        history.hear(&WorkerEvent::Retiring { slot, generation, reason: RetireReason::MaxRss });
        history.hear(&WorkerEvent::StartFailed { slot, generation, error: StartError::Stopped });
        let restarts: Vec<_> = history.restarts.iter().map(|(cause, count)| (*cause, *count)).collect();
        assert_eq!(restarts, [("crashed", 1), ("max_rss", 1), ("stuck", 1)]);
        assert_eq!((history.starts, history.start_failures), (0, 1));
        let causes: Vec<_> = history.incidents.iter().map(|incident| incident.cause).collect();
        assert_eq!(causes, ["start_failed", "stuck", "crashed"], "the latest first");
        assert_eq!(history.incidents[2].what, "killed by SIGKILL");
    }

    #[test]
    fn only_the_last_incidents_are_kept() {
        let mut history = History::default();
        (0..KEPT + 5).for_each(|_| history.hear(&exited(false, ExitCause::Crashed)));
        assert_eq!((history.incidents.len(), history.restarts["crashed"]), (KEPT, KEPT as u64 + 5));
    }
}
