//! What has happened to the workers of a pool since it started. The main structure is [`Journal`].

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use actix::{Actor, Context, Handler, Message, MessageResult};
use actix_pyproc_actors::supervisor::WorkerEvent;

use super::crash::{self, Crash};
use super::incident::{EndCause, Incident};
use crate::backend::{BackendHandle, PythonBackend};

/// How many incidents are kept.
const KEPT: usize = 20;

/// Counts starts and ends, and keeps the last incidents. It subscribes to the events of the pool as
/// any other actor can, so it never delays a call.
pub(crate) struct Journal {
    history: History,
    backend: BackendHandle,
}

/// What the journal has recorded.
#[derive(Clone, Debug, Default, PartialEq, Message)]
#[rtype(result = "()")]
pub(crate) struct History {
    pub(super) starts: u64,
    pub(super) start_failures: u64,
    /// Processes that were replaced, by cause.
    pub(super) restarts: BTreeMap<EndCause, u64>,
    pub(super) half_open: bool,
    pub(super) panic: Option<String>,
    /// The latest first.
    pub(super) incidents: VecDeque<Incident>,
    /// The same, with equal ones grouped.
    pub(super) crashes: Vec<Crash>,
}

impl History {
    fn record(
        &mut self,
        event: &WorkerEvent<PythonBackend>,
        now: SystemTime,
        names: impl FnOnce() -> Vec<String>,
    ) {
        match event {
            WorkerEvent::Started { .. } => self.starts += 1,
            WorkerEvent::StartFailed { .. } => self.start_failures += 1,
            WorkerEvent::Exited { exit, expected: false, .. } => self.restarted(EndCause::from(&exit.cause)),
            WorkerEvent::Retiring { reason, .. } => self.restarted(EndCause::from(*reason)),
            WorkerEvent::BreakerHalfOpened => self.half_open = true,
            WorkerEvent::Panicked { actor, message } => self.panic = Some(format!("{actor}: {message}")),
            WorkerEvent::BreakerOpened { .. } | WorkerEvent::BreakerClosed => self.half_open = false,
            _ => {}
        }
        if let Some(incident) = Incident::of(event, now, names) {
            crash::add(&mut self.crashes, incident.clone());
            self.incidents.truncate(KEPT - 1);
            self.incidents.push_front(incident);
        }
    }

    fn restarted(&mut self, cause: EndCause) {
        *self.restarts.entry(cause).or_default() += 1;
    }
}

impl Journal {
    pub(crate) fn new(backend: BackendHandle) -> Self {
        Self { history: History::default(), backend }
    }
}

impl Actor for Journal {
    type Context = Context<Self>;
}

impl Handler<WorkerEvent<PythonBackend>> for Journal {
    type Result = ();

    fn handle(&mut self, event: WorkerEvent<PythonBackend>, _: &mut Context<Self>) {
        self.history.record(&event, SystemTime::now(), || self.backend.function_names());
    }
}

/// Asks for the history.
#[derive(Message)]
#[rtype(result = "History")]
pub(crate) struct GetHistory {
    /// Whether it has incidents and crashes, and not only counters.
    pub(crate) incidents: bool,
}

impl Handler<GetHistory> for Journal {
    type Result = MessageResult<GetHistory>;

    fn handle(&mut self, get: GetHistory, _: &mut Context<Self>) -> Self::Result {
        let history = &self.history;
        MessageResult(match get.incidents {
            true => history.clone(),
            false => History {
                starts: history.starts,
                start_failures: history.start_failures,
                restarts: history.restarts.clone(),
                half_open: history.half_open,
                panic: history.panic.clone(),
                ..History::default()
            },
        })
    }
}

/// Asks for the panic that broke the pool, if one did.
#[cfg(feature = "http")]
#[derive(Message)]
#[rtype(result = "Option<String>")]
pub(crate) struct GetPanic;

#[cfg(feature = "http")]
impl Handler<GetPanic> for Journal {
    type Result = Option<String>;

    fn handle(&mut self, _: GetPanic, _: &mut Context<Self>) -> Self::Result {
        self.history.panic.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use actix_pyproc_actors::id::{Generation, SlotId, WorkerKey};
    use actix_pyproc_actors::reason::RetireReason;
    use actix_pyproc_actors::supervisor::WorkerEvent;

    use actix_pyproc_actors::call::{CallStage, CallStatus};
    use actix_pyproc_actors::id::FunctionId;

    use super::{EndCause, History, KEPT};
    use crate::backend::PythonBackend;
    use crate::error::{Exit, ExitCause, ExitStatus, StartError};

    const WORKER: WorkerKey = WorkerKey { slot: SlotId(1), generation: Generation(3) };

    fn exited(expected: bool, cause: ExitCause) -> WorkerEvent<PythonBackend> {
        let status = ExitStatus::Signal { number: 9, core_dumped: false };
        let started = CallStatus {
            function: FunctionId(1),
            worker: Some(WORKER),
            stage: CallStage::Running,
            age: Duration::from_millis(1700),
            running: Some(Duration::from_millis(1500)),
            left: None,
        };
        WorkerEvent::Exited {
            worker: WORKER,
            pid: 77,
            exit: Arc::new(Exit::new(77, status, cause)),
            expected,
            lost_calls: 1,
            started: Arc::new([started]),
            requeued: 2,
        }
    }

    fn record(history: &mut History, event: &WorkerEvent<PythonBackend>) {
        history.record(event, SystemTime::UNIX_EPOCH, || vec!["f".to_owned(), "g".to_owned()]);
    }

    #[test]
    fn restarts_are_counted_by_cause_and_asked_ends_are_none() {
        let mut history = History::default();
        record(&mut history, &exited(false, ExitCause::Crashed));
        record(&mut history, &exited(false, ExitCause::Stuck));
        record(&mut history, &exited(true, ExitCause::Drained));
        record(&mut history, &WorkerEvent::Retiring { worker: WORKER, reason: RetireReason::MaxRss });
        record(&mut history, &WorkerEvent::StartFailed { worker: WORKER, error: StartError::Stopped });
        let restarts: Vec<_> = history.restarts.iter().map(|(cause, count)| (*cause, *count)).collect();
        assert_eq!(restarts, [(EndCause::Crashed, 1), (EndCause::Stuck, 1), (EndCause::MaxRss, 1)]);
        assert_eq!((history.starts, history.start_failures), (0, 1));
        let causes: Vec<_> = history.incidents.iter().map(|incident| incident.cause.to_string()).collect();
        assert_eq!(causes, ["start_failed", "stuck", "crashed"], "the latest first");
        let crash = &history.incidents[2];
        assert_eq!(crash.what, "killed by SIGKILL");
        let call = &crash.calls[0];
        assert_eq!((call.function.as_str(), call.age_ms, call.running_ms), ("g", 1700, Some(1500)));
    }

    #[test]
    fn only_the_last_incidents_are_kept() {
        let mut history = History::default();
        (0..KEPT + 5).for_each(|_| record(&mut history, &exited(false, ExitCause::Crashed)));
        let crashes = history.restarts[&EndCause::Crashed];
        assert_eq!((history.incidents.len(), crashes), (KEPT, KEPT as u64 + 5));
        assert_eq!((history.crashes.len(), history.crashes[0].count), (1, KEPT as u64 + 5));
    }
}
