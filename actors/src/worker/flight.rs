//! One call in flight. The main structure in this module is [`Flight`].

use std::time::{Duration, Instant};

use super::action::Action;
use crate::call::{CallStage, CallStatus, Function, Phase};
use crate::id::{CallId, WorkerKey};
use crate::reason::{CancelReason, KillReason};

/// How often an interrupt is repeated until the call ends.
const REPEAT: Duration = Duration::from_millis(20);

/// A call, and what is known about it.
#[derive(Debug)]
pub(super) struct Flight<J> {
    pub(super) state: State<J>,
    pub(super) sent: Instant,
    pub(super) order: u64,
    pub(super) function: Function,
    pub(super) charge: u32,
    pub(super) deadline: Option<Instant>,
}

/// A call that the process has finished with.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended<J> {
    /// The call, if its caller still waits.
    pub job: Option<J>,
    /// Its function.
    pub function: Function,
    /// The cost that the router charged for it.
    pub charge: u32,
    /// When it was sent to the process.
    pub sent: Instant,
}

/// Who waits for a call.
#[derive(Debug)]
pub(super) enum State<J> {
    /// The caller waits.
    Live(J),
    /// The caller waits no longer for this process, which still has the call.
    Settled,
    /// As settled, and the process is to stop it.
    Cancelled { since: Instant, signalled: Instant },
}

impl<J> From<Flight<J>> for Ended<J> {
    fn from(flight: Flight<J>) -> Self {
        let Flight { state, function, charge, sent, .. } = flight;
        let job = match state {
            State::Live(job) => Some(job),
            State::Settled | State::Cancelled { .. } => None,
        };
        Self { job, function, charge, sent }
    }
}

impl<J> Flight<J> {
    /// Whether the running call was interrupted and has not ended since.
    pub(super) fn ignores_interrupts(&self, now: Instant, kill_grace: Duration) -> bool {
        let enough = REPEAT.min(kill_grace);
        matches!(self.state, State::Cancelled { since, .. } if now.saturating_duration_since(since) >= enough)
    }

    /// The call at `now`. Since `progressed` the process has ended no call, so a function that runs
    /// alone had started by then.
    pub(super) fn status(
        &self,
        key: WorkerKey,
        (progressed, now): (Instant, Instant),
        phase: Phase,
        admitted: &impl Fn(&J) -> Instant,
    ) -> CallStatus {
        let waits = |job: &J| (admitted(job), self.deadline);
        let (since, deadline) = match &self.state {
            State::Live(job) => waits(job),
            State::Settled | State::Cancelled { .. } => (self.sent, None),
        };
        let started = if self.function.overlapping { self.sent } else { self.sent.max(progressed) };
        let cancelled = matches!(self.state, State::Cancelled { .. });
        CallStatus {
            function: self.function.id,
            worker: Some(key),
            stage: match phase {
                Phase::Sent => CallStage::Sent,
                Phase::Running if cancelled => CallStage::Cancelled,
                Phase::Running => CallStage::Running,
                Phase::Finished => CallStage::Finished,
            },
            age: now.saturating_duration_since(since),
            running: (phase == Phase::Running).then(|| now.saturating_duration_since(started)),
            left: deadline.map(|deadline| deadline.saturating_duration_since(now)),
        }
    }

    /// Decides whether to cancel the call, to interrupt it once more, or to kill the process.
    pub(super) fn sweep(
        &mut self,
        id: CallId,
        now: Instant,
        kill_grace: Duration,
        phase: &impl Fn(CallId) -> Phase,
        is_abandoned: &impl Fn(&J) -> bool,
    ) -> Option<Action<J>> {
        match &mut self.state {
            State::Live(job) => {
                let reason = if is_abandoned(job) {
                    CancelReason::Abandoned
                } else if self.deadline.is_some_and(|deadline| deadline <= now) {
                    CancelReason::DeadlinePassed
                } else {
                    return None;
                };
                let cancelled = State::Cancelled { since: now, signalled: now };
                let State::Live(job) = std::mem::replace(&mut self.state, cancelled) else { return None };
                Some(Action::End { id, job, reason })
            }
            State::Cancelled { since, signalled } => {
                if phase(id) != Phase::Running {
                    // The process skips it when its turn comes. Should it start all the same, the
                    // grace counts from its start.
                    *since = now;
                    return None;
                }
                if now.saturating_duration_since(*since) >= kill_grace {
                    return Some(Action::Kill(KillReason::Stuck));
                }
                let due = now.saturating_duration_since(*signalled) >= REPEAT;
                due.then(|| {
                    *signalled = now;
                    Action::Cancel(id)
                })
            }
            State::Settled => None,
        }
    }
}
