//! The calls in flight of one process, and its link. The main structure is [`Inflight`].
//!
//! The router puts calls into it and takes out what has changed, without a message: a message would
//! cost one more turn of the event loop per call.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use actix::Recipient;

use super::action::Action;
use super::core::Core;
use super::fate::{Fate, Trial};
use super::flight::Ended;
use super::messages::{RetireWanted, WorkerDown, WorkerExited, WorkerKilled};
use super::policy::Policy;
use crate::alarm::{Alarm, now};
use crate::backend::{Backend, Link, LinkEvent, Outcome, Routable, Unsent};
use crate::call::{CallStage, CallStatus, Function, LISTED_CALLS, Phase, oldest};
use crate::id::{CallId, FunctionId, WorkerKey};
use crate::job::Job;
use crate::panic::caught;
use crate::reason::{CancelReason, KillReason};
use crate::waker::{RouterWaker, set_waker};

/// A call, and the cost that the router charged for it.
pub(crate) struct Assignment<B: Backend> {
    pub(crate) job: Job<B>,
    pub(crate) charge: u32,
}

/// The process of a worker, its policy, and the recipients of its messages.
pub(crate) struct WorkerSpec<B: Backend> {
    pub(crate) key: WorkerKey,
    pub(crate) policy: Policy,
    pub(crate) killed: Recipient<WorkerKilled>,
    pub(crate) down: Recipient<WorkerDown>,
    pub(crate) retire: Recipient<RetireWanted>,
    pub(crate) exited: Recipient<WorkerExited<B>>,
}

/// What became of one call: its place is free again, its caller was answered, or both.
pub(crate) struct Settled {
    pub(crate) function: Function,
    pub(crate) release: Option<Release>,
    pub(crate) answer: Answer,
}

/// The place of a call that occupies its worker no longer.
pub(crate) struct Release {
    pub(crate) charge: u32,
    pub(crate) service: Option<Duration>,
}

/// What the caller got.
pub(crate) enum Answer {
    /// Nothing now: it was answered before, or the call continues elsewhere.
    None,
    /// Nothing: the caller has dropped its future.
    Abandoned,
    /// A reply, or an error of this kind.
    Received {
        error: Option<&'static str>,
        latency: Duration,
        /// From admission to dispatch. `None` if the time of the dispatch is no longer known.
        wait: Option<Duration>,
    },
}

/// What has changed since the router asked last.
pub(crate) struct Changes<B: Backend> {
    pub(crate) settled: Vec<Settled>,
    pub(crate) requeue: Vec<Job<B>>,
    /// Calls of functions that the process does not have.
    pub(crate) lacking: Vec<Job<B>>,
    pub(crate) stalled: bool,
    /// The function whose abandoned call occupies the process.
    pub(crate) abandoned: Option<FunctionId>,
}

/// The calls of one process, and its link.
pub(crate) struct Inflight<B: Backend> {
    spec: WorkerSpec<B>,
    router: RouterWaker,
    link: B::Link,
    core: Core<Job<B>>,
    settled: Vec<Settled>,
    requeue: Vec<Job<B>>,
    lacking: Vec<Job<B>>,
    reported_stalled: bool,
    reported_abandoned: Option<FunctionId>,
    /// When the process sent its last event.
    progressed: Instant,
    /// Wakes the worker's task.
    waker: Option<Waker>,
    /// When the worker's task wakes next by itself.
    wakes_at: Option<Instant>,
}

impl<B: Backend> Inflight<B> {
    pub(super) fn new(spec: WorkerSpec<B>, link: B::Link, router: RouterWaker) -> Self {
        let now = now();
        Self {
            core: Core::new(link.capacity().min(CallId::MAX_INDEX), spec.policy, now),
            spec,
            router,
            link,
            settled: Vec::new(),
            requeue: Vec::new(),
            lacking: Vec::new(),
            reported_stalled: false,
            reported_abandoned: None,
            progressed: now,
            waker: None,
            wakes_at: None,
        }
    }

    /// Takes calls and writes them to the process at once. Returns whether there are changes.
    pub(crate) fn assign(&mut self, calls: &mut VecDeque<Assignment<B>>, now: Instant) -> bool {
        // One by one: if the link panics over a call, the router still has the others.
        while let Some(assignment) = calls.pop_front() {
            self.send(assignment, now);
        }
        if let Some(waker) = &self.waker {
            // The worker's task writes what is not written now. `poll_event` reports errors.
            let _ = self.link.poll_flush(&mut TaskContext::from_waker(waker));
            let sooner = |next| self.wakes_at.is_none_or(|at| next < at);
            if self.core.next_wake(now).is_some_and(sooner) {
                waker.wake_by_ref();
            }
        }
        self.has_changes()
    }

    pub(crate) fn has_changes(&self) -> bool {
        !self.settled.is_empty()
            || !self.requeue.is_empty()
            || !self.lacking.is_empty()
            || self.core.is_stalled() != self.reported_stalled
            || self.core.abandoned() != self.reported_abandoned
    }

    /// Takes the changes, and leaves an empty buffer for the next.
    pub(crate) fn take_changes(&mut self, buffer: Vec<Settled>) -> Changes<B> {
        let (stalled, abandoned) = (self.core.is_stalled(), self.core.abandoned());
        (self.reported_stalled, self.reported_abandoned) = (stalled, abandoned);
        Changes {
            settled: std::mem::replace(&mut self.settled, buffer),
            requeue: std::mem::take(&mut self.requeue),
            lacking: std::mem::take(&mut self.lacking),
            stalled,
            abandoned,
        }
    }

    /// The calls that the process has, in no order.
    pub(crate) fn calls(&self, now: Instant) -> Vec<CallStatus> {
        let admitted = |job: &Job<B>| job.admitted;
        self.core.calls(self.spec.key, (self.progressed, now), |id| self.link.phase(id), admitted)
    }

    /// Handles the events of the process and what is due, and writes what is staged.
    pub(super) fn poll(&mut self, alarm: &mut Alarm, cx: &mut TaskContext<'_>) {
        let now = now();
        set_waker(&mut self.waker, cx.waker());
        while !self.core.is_lost() {
            match self.link.poll_event(cx) {
                Poll::Ready(event) => self.on_event(event, now),
                Poll::Pending => break,
            }
        }
        if !self.core.is_lost() {
            if alarm.is_due(now, cx) {
                self.sweep(now);
            }
            // A pending flush has registered its waker. `poll_event` reports errors.
            let _ = self.link.poll_flush(cx);
            if let Some(action) = self.core.check_calls() {
                self.perform(action, now);
            }
            alarm.set(self.core.next_wake(now), cx);
            self.wakes_at = alarm.at();
        }
        if self.has_changes() {
            self.router.wake();
        }
    }

    fn send(&mut self, assignment: Assignment<B>, now: Instant) {
        let Assignment { job, charge } = assignment;
        let (function, deadline) = (job.function, job.deadline);
        let Some(id) = self.core.next_id() else {
            self.requeue.push(job);
            self.release(function, charge, None, Answer::None);
            return;
        };
        match self.link.send(id, function.id, &job.call, deadline) {
            Ok(()) => self.core.sent(job, function, charge, deadline, now),
            Err(Unsent::NoFunction) => {
                self.lacking.push(job);
                self.release(function, charge, None, Answer::None);
            }
            Err(Unsent::Rejected(error)) => {
                let answer = self.answer(job, Err(error), Some(now), now);
                self.release(function, charge, None, answer);
            }
        }
    }

    fn on_event(&mut self, event: LinkEvent<B>, now: Instant) {
        match event {
            LinkEvent::Done { id, result, service } => {
                let Some(Ended { job, function, charge, sent }) = self.core.answered(id) else {
                    let slot = self.spec.key.slot;
                    tracing::warn!(target: "pyproc::worker", %slot, call = %id, "dropped an answer to a call that is not in flight");
                    return;
                };
                self.progressed = now;
                let answer = job.map_or(Answer::None, |job| self.answer(job, result, Some(sent), now));
                self.release(function, charge, service, answer);
            }
            LinkEvent::Skipped(id) => {
                self.progressed = now;
                let Some(Ended { job, function, charge, .. }) = self.core.skipped(id) else { return };
                self.requeue.extend(job);
                self.release(function, charge, None, Answer::None);
            }
            LinkEvent::Interrupted(id) => {
                self.progressed = now;
                let Some(Ended { function, charge, .. }) = self.core.interrupted(id) else { return };
                self.release(function, charge, None, Answer::None);
            }
            LinkEvent::Lost(exit) => self.on_lost(exit, now),
        }
    }

    /// Frees the place of a call.
    fn release(&mut self, function: Function, charge: u32, service: Option<Duration>, answer: Answer) {
        self.settled.push(Settled { function, release: Some(Release { charge, service }), answer });
    }

    /// Answers a caller whose call still occupies its place, or is lost with it.
    fn settle(&mut self, job: Job<B>, error: B::Error, now: Instant) {
        let function = job.function;
        let answer = self.answer(job, Err(error), None, now);
        self.settled.push(Settled { function, release: None, answer });
    }

    fn on_lost(&mut self, exit: B::Exit, now: Instant) {
        let by_host = self.core.is_killed_by_host();
        let started = self.started(now);
        let trial = |job: &Job<B>| Trial { idempotent: job.call.idempotent(), deaths: job.deaths };
        let lost = self.core.lost(|id| self.link.phase(id), trial);
        self.settle_lost(lost, (exit, started), by_host, now);
    }

    /// The calls that have started: the oldest that run, then the oldest that have ended.
    fn started(&self, now: Instant) -> Arc<[CallStatus]> {
        let calls = self.calls(now).into_iter().filter(|call| call.stage != CallStage::Sent);
        let (run, ended) = calls.partition(|call| call.running.is_some());
        oldest(run).into_iter().chain(oldest(ended)).take(LISTED_CALLS).collect()
    }

    /// Settles the calls of a process that has ended, and reports its end.
    fn settle_lost(
        &mut self,
        lost: Vec<(Job<B>, Fate)>,
        (exit, started): (B::Exit, Arc<[CallStatus]>),
        by_host: bool,
        now: Instant,
    ) {
        let mut lost_calls = 0;
        for (mut job, fate) in lost {
            lost_calls += usize::from(fate != Fate::Requeued);
            let outcome = match fate {
                Fate::Requeued => {
                    self.requeue.push(job);
                    continue;
                }
                Fate::Retried { deaths, alone } => {
                    job.deaths = deaths;
                    job.alone = alone;
                    job.last_exit = Some(exit.clone());
                    self.requeue.push(job);
                    continue;
                }
                Fate::Quarantined { attempts } => Outcome::Quarantined { attempts, exit: exit.clone() },
                Fate::Lost => Outcome::WorkerLost { exit: exit.clone() },
            };
            self.settle(job, outcome.into(), now);
        }
        let (key, requeued) = (self.spec.key, self.requeue.len());
        // The router takes the last changes before it drops its side of this.
        self.spec.down.do_send(WorkerDown { key });
        let pid = self.link.pid();
        self.spec.exited.do_send(WorkerExited { key, pid, exit, by_host, lost_calls, started, requeued });
    }

    /// The worker panicked. Its calls end, and its process ends with the link, which is not polled
    /// any more.
    pub(super) fn break_down(&mut self) {
        if self.core.is_lost() {
            return;
        }
        let exit = B::unobserved(self.link.pid());
        let by_host = self.core.is_killed_by_host();
        // If the link panics, each call counts as started. The process lives until the router has
        // dropped the link, but it does not start what was revoked.
        let phase = |link: &B::Link, id| caught(|| link.phase(id)).unwrap_or(Phase::Running);
        for id in self.core.unstarted(|id| phase(&self.link, id)) {
            let _ = caught(|| self.link.revoke(id));
        }
        let lost = self.core.lost_unobserved(|id| phase(&self.link, id));
        // The link may panic again, so nothing is known about the calls.
        self.settle_lost(lost, (exit, Arc::default()), by_host, now());
    }

    /// Answers a caller.
    fn answer(
        &mut self,
        job: Job<B>,
        result: Result<B::Reply, B::Error>,
        sent: Option<Instant>,
        now: Instant,
    ) -> Answer {
        let error = match &result {
            Ok(_) => None,
            // Read once, so that all that counts errors agrees.
            Err(_) if job.is_abandoned() => return Answer::Abandoned,
            Err(error) => {
                self.link.failed(job.function.id, error, now);
                Some(B::kind(error))
            }
        };
        let latency = now.saturating_duration_since(job.admitted);
        let wait = sent.map(|sent| sent.saturating_duration_since(job.admitted));
        if job.settle(result) || error.is_some() {
            Answer::Received { error, latency, wait }
        } else {
            Answer::Abandoned
        }
    }

    fn sweep(&mut self, now: Instant) {
        let link = &self.link;
        for action in self.core.sweep(now, |id| link.phase(id), Job::is_abandoned) {
            self.perform(action, now);
        }
        let link = &self.link;
        if let Some(action) = self.core.inspect(now, || link.is_stopped(), || link.rss()) {
            self.perform(action, now);
        }
    }

    fn perform(&mut self, action: Action<Job<B>>, now: Instant) {
        match action {
            Action::End { id, job, reason } => {
                self.link.cancel(id);
                self.end(id, job, reason, now);
            }
            Action::Cancel(id) => self.link.cancel(id),
            Action::Revoke { ids, running } => {
                ids.iter().for_each(|&id| self.link.revoke(id));
                let link = &self.link;
                self.requeue.extend(self.core.take_revoked(ids, running, |id| link.phase(id)));
            }
            Action::Expire(job) => {
                let outcome = Outcome::DeadlineExceeded { started: true };
                self.settle(job, outcome.into(), now);
            }
            Action::Kill(reason) => self.kill(reason),
            Action::Retire(reason) => {
                self.spec.retire.do_send(RetireWanted { key: self.spec.key, reason });
            }
        }
    }

    /// Answers the caller of a call that was cancelled.
    fn end(&mut self, id: CallId, job: Job<B>, reason: CancelReason, now: Instant) {
        match reason {
            CancelReason::Abandoned => {
                let (function, answer) = (job.function, Answer::Abandoned);
                self.settled.push(Settled { function, release: None, answer });
            }
            CancelReason::DeadlinePassed => {
                // The phase is read after the cancellation. Until then the call may start, for
                // example because the one before it was interrupted. It may also have run in a
                // worker that died.
                let started = job.deaths.count > 0 || self.link.phase(id) != Phase::Sent;
                self.settle(job, Outcome::DeadlineExceeded { started }.into(), now);
            }
        }
    }

    /// Asks the process to finish its calls and exit.
    pub(super) fn drain(&mut self) {
        if self.core.drain() {
            self.link.drain();
        }
    }

    pub(super) fn kill(&mut self, reason: KillReason) {
        if self.core.kill(reason) {
            // Reported before the process has ended, so that the router sends no calls that would
            // only come back.
            let (key, abandoned) = (self.spec.key, self.core.abandoned());
            self.spec.killed.do_send(WorkerKilled { key, abandoned });
            self.link.kill(reason);
        }
    }
}
