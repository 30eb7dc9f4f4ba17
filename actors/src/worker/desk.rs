//! What a worker has of its process: the calls in flight and the link. The main structure is
//! [`Desk`].
//!
//! The router puts calls on it and takes from it what has ended, without a message: that would be a
//! turn of the event loop more for each call.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use actix::Addr;

use super::core::{Action, Core, End, Ended, Part, Patience, TICK};
use crate::alarm::{Alarm, now};
use crate::backend::{Backend, Class, KillReason, Link, LinkEvent, Outcome, Phase, Request, Unsent};
use crate::id::{CallId, ClassId, WorkerKey};
use crate::job::Job;
use crate::panic::{Breakdown, caught};
use crate::router::{Answer, Done, Release, Router, WorkerDown, WorkerKilled};
use crate::supervisor::{RetireReason, RetireWanted, Supervisor, WorkerExited};

/// How often a process is looked at from outside: its memory, whether it is stopped.
const INSPECT: Duration = Duration::from_millis(250);

/// The desk of one worker, for its actor and for the router of the same arbiter.
pub(crate) type SharedDesk<B> = Rc<RefCell<Desk<B>>>;

/// Where a supervisor leaves the desks of new workers for its router, and workers ring when
/// something has ended.
pub struct Desks<B: Backend>(Rc<Hall<B>>);

struct Hall<B: Backend> {
    new: RefCell<Vec<(WorkerKey, SharedDesk<B>)>>,
    router: RefCell<Option<Waker>>,
    breakdown: Breakdown,
}

impl<B: Backend> Default for Desks<B> {
    fn default() -> Self {
        Self(Rc::new(Hall {
            new: RefCell::default(),
            router: RefCell::default(),
            breakdown: Breakdown::default(),
        }))
    }
}

impl<B: Backend> Clone for Desks<B> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<B: Backend> Desks<B> {
    /// The desk of a worker that has just come.
    pub(crate) fn take(&self, key: WorkerKey) -> Option<SharedDesk<B>> {
        let mut new = self.0.new.borrow_mut();
        let index = new.iter().position(|(of, _)| *of == key)?;
        Some(new.swap_remove(index).1)
    }

    /// Who is to be woken from now on.
    pub(crate) fn listen(&self, waker: &Waker) {
        set_waker(&mut self.0.router.borrow_mut(), waker);
    }

    /// Records that an actor of the pool panicked.
    pub(crate) fn report_panic(&self, actor: &'static str, payload: &(dyn Any + Send)) {
        self.0.breakdown.report(actor, payload);
        self.ring();
    }

    /// The first panic of the pool's actors.
    pub(crate) fn breakdown(&self) -> &Breakdown {
        &self.0.breakdown
    }

    fn ring(&self) {
        if let Some(waker) = &*self.0.router.borrow() {
            waker.wake_by_ref();
        }
    }
}

fn set_waker(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(place) => place.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}

/// What has ended since it was last asked for, is to go elsewhere, and whether the worker is
/// stalled.
pub(crate) struct News<B: Backend> {
    pub(crate) done: Vec<Done>,
    pub(crate) requeue: Vec<Job<B>>,
    /// Calls of functions that this process does not have.
    pub(crate) lacking: Vec<Job<B>>,
    pub(crate) stalled: bool,
    /// The function whose abandoned call occupies the process.
    pub(crate) abandoned: Option<ClassId>,
}

/// The calls of one process, and its link.
pub(crate) struct Desk<B: Backend> {
    spec: WorkerSpec<B>,
    link: B::Link,
    core: Core<Job<B>>,
    done: Vec<Done>,
    requeue: Vec<Job<B>>,
    lacking: Vec<Job<B>>,
    /// Calls that were interrupted because the process is being ended; they are lost with it.
    cut_short: Vec<Job<B>>,
    told_stalled: bool,
    told_abandoned: Option<ClassId>,
    calls: u64,
    inspect_at: Instant,
    stopped_since: Option<Instant>,
    stage: Stage,
    /// Why the actors ended the process.
    killed: Option<KillReason>,
    /// How the worker is told that there is something for it to do.
    waker: Option<Waker>,
    /// When the worker looks here next by itself.
    looks_at: Option<Instant>,
}

/// Where a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// The supervisor was asked to replace the process.
    RetireAsked,
    /// The process was told to finish.
    Leaving,
    /// The process is being killed.
    Killed,
    /// The process is gone; calls that still come go back.
    Lost,
}

/// A call, and what the router counts it for.
pub(crate) struct Assigned<B: Backend> {
    pub(crate) job: Job<B>,
    pub(crate) charge: u32,
}

/// Whom a worker serves, and how.
pub(crate) struct WorkerSpec<B: Backend> {
    pub(crate) key: WorkerKey,
    pub(crate) desks: Desks<B>,
    pub(crate) router: Addr<Router<B>>,
    pub(crate) supervisor: Addr<Supervisor<B>>,
    pub(crate) patience: Patience,
    pub(crate) max_attempts: u32,
    pub(crate) retire: RetireLimits,
}

/// When a process has served long enough; the jitter is already in the numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RetireLimits {
    pub(crate) max_calls: Option<u64>,
    pub(crate) at: Option<Instant>,
    pub(crate) max_rss: Option<u64>,
}

impl<B: Backend> Desk<B> {
    pub(super) fn start(spec: WorkerSpec<B>, link: B::Link) -> SharedDesk<B> {
        let (key, desks) = (spec.key, spec.desks.clone());
        let desk = Rc::new(RefCell::new(Self {
            core: Core::new(link.capacity().min(CallId::MAX_INDEX), spec.patience),
            spec,
            link,
            done: Vec::new(),
            requeue: Vec::new(),
            lacking: Vec::new(),
            cut_short: Vec::new(),
            told_stalled: false,
            told_abandoned: None,
            calls: 0,
            inspect_at: now() + INSPECT,
            stopped_since: None,
            stage: Stage::Serving,
            killed: None,
            waker: None,
            looks_at: None,
        }));
        desks.0.new.borrow_mut().push((key, Rc::clone(&desk)));
        desk
    }

    /// Takes calls and writes them to the process at once. Returns whether there is news.
    pub(crate) fn assign(&mut self, calls: &mut VecDeque<Assigned<B>>, now: Instant) -> bool {
        // One by one: should the link panic over a call, the router still has the others.
        while let Some(assigned) = calls.pop_front() {
            self.send(assigned, now);
        }
        if let Some(waker) = &self.waker {
            // What it does not take now the worker writes; an error comes as an event.
            let _ = self.link.poll_flush(&mut TaskContext::from_waker(waker));
            let sooner = |next| self.looks_at.is_none_or(|at| next < at);
            if self.next_look(now).is_some_and(sooner) {
                waker.wake_by_ref();
            }
        }
        self.has_news()
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.done.is_empty()
            || !self.requeue.is_empty()
            || !self.lacking.is_empty()
            || self.core.is_stalled() != self.told_stalled
            || self.core.abandoned() != self.told_abandoned
    }

    /// Takes the news, and leaves an empty buffer for the next.
    pub(crate) fn take_news(&mut self, buffer: Vec<Done>) -> News<B> {
        let (stalled, abandoned) = (self.core.is_stalled(), self.core.abandoned());
        (self.told_stalled, self.told_abandoned) = (stalled, abandoned);
        let (done, requeue) = (std::mem::replace(&mut self.done, buffer), std::mem::take(&mut self.requeue));
        News { done, requeue, lacking: std::mem::take(&mut self.lacking), stalled, abandoned }
    }

    /// Settles what came, sends what is staged, minds the time, until the process is gone.
    pub(super) fn poll(&mut self, alarm: &mut Alarm, cx: &mut TaskContext<'_>) {
        let now = now();
        set_waker(&mut self.waker, cx.waker());
        while self.stage != Stage::Lost {
            match self.link.poll_event(cx) {
                Poll::Ready(event) => self.on_event(event, now),
                Poll::Pending => break,
            }
        }
        if self.stage != Stage::Lost {
            if alarm.is_due(now, cx) {
                self.sweep(now);
                if self.inspect_at <= now {
                    self.inspect(now);
                }
            }
            // A pending flush has registered its waker; an error comes as an event.
            let _ = self.link.poll_flush(cx);
            self.check_calls();
            alarm.set(self.next_look(now), cx);
            self.looks_at = alarm.at();
        }
        if self.has_news() {
            self.spec.desks.ring();
        }
    }

    fn send(&mut self, assigned: Assigned<B>, now: Instant) {
        let Assigned { job, charge } = assigned;
        let (class, deadline) = (job.class, job.deadline);
        let takes = matches!(self.stage, Stage::Serving | Stage::RetireAsked);
        let Some(id) = self.core.next_id().filter(|_| takes) else {
            self.requeue.push(job);
            self.give_back(class, charge, None, Answer::None);
            return;
        };
        match self.link.send(id, &job.call, deadline) {
            Ok(()) => self.core.sent(job, class, charge, deadline, now),
            Err(Unsent::NoFunction) => {
                self.lacking.push(job);
                self.give_back(class, charge, None, Answer::None);
            }
            Err(Unsent::Refused(error)) => {
                let answer = answer(job, Err(error), Some(now), now);
                self.give_back(class, charge, None, answer);
            }
        }
    }

    fn on_event(&mut self, event: LinkEvent<B>, now: Instant) {
        // It goes on, so it is not stopped.
        self.stopped_since = None;
        match event {
            LinkEvent::Done { id, result, service } => {
                let Some(Ended { job, class, charge, sent }) = self.core.ended(id) else {
                    tracing::warn!(slot = %self.spec.key.slot, call = %id, "dropped an answer to a call that is not in flight");
                    return;
                };
                self.calls += 1;
                let answer = job.map_or(Answer::None, |job| answer(job, result, Some(sent), now));
                self.give_back(class, charge, service, answer);
            }
            LinkEvent::Skipped(id) => {
                let Some(Ended { job, class, charge, .. }) = self.core.ended(id) else { return };
                self.requeue.extend(job);
                self.give_back(class, charge, None, Answer::None);
            }
            LinkEvent::Interrupted(id) => {
                let Some(Ended { job, class, charge, .. }) = self.core.ended(id) else { return };
                match job {
                    // The call was not cancelled, so the process ends. The call keeps its place
                    // until then: a drain waits for what becomes of it.
                    Some(job) => self.cut_short.push(job),
                    None => self.give_back(class, charge, None, Answer::None),
                }
            }
            LinkEvent::Lost(exit) => self.on_lost(exit, now),
        }
    }

    /// Gives back the place of a call.
    fn give_back(&mut self, class: Class, charge: u32, service: Option<Duration>, answer: Answer) {
        self.done.push(Done { class, release: Some(Release { charge, service }), answer });
    }

    /// The process is gone: calls that had not started go on elsewhere, the others end.
    fn on_lost(&mut self, exit: B::Exit, now: Instant) {
        let mut lost_calls = 0;
        let cut_short = std::mem::take(&mut self.cut_short).into_iter().map(|job| (job, Part::Bystander));
        let lost = self.core.lost(|id| self.link.phase(id));
        // The pool knows why it ended the process, and that none of these calls was the reason. A
        // call may have stopped its own process.
        let unexplained = matches!(self.killed, None | Some(KillReason::Stopped));
        let is_suspect = |part: Part| part == Part::Suspect && unexplained;
        let several = lost.iter().filter(|(_, part)| is_suspect(*part)).count() > 1;
        for (mut job, part) in cut_short.chain(lost) {
            if part == Part::NotStarted {
                self.requeue.push(job);
                continue;
            }
            lost_calls += 1;
            job.attempts += 1;
            job.suspected += u32::from(is_suspect(part));
            if job.call.idempotent() && job.attempts < self.spec.max_attempts {
                job.last_exit = Some(exit.clone());
                // The last attempt shows which of several calls ends its workers.
                job.alone = several && job.attempts + 1 == self.spec.max_attempts;
                self.requeue.push(job);
                continue;
            }
            let (class, attempts) = (job.class, job.attempts);
            let outcome = if job.call.idempotent() && job.suspected == attempts {
                Outcome::Quarantined { attempts, exit: exit.clone() }
            } else {
                Outcome::WorkerLost { exit: exit.clone() }
            };
            let answer = answer(job, Err(outcome.into()), None, now);
            self.done.push(Done { class, release: None, answer });
        }
        self.leave(exit, lost_calls);
    }

    /// The worker is done with its process.
    fn leave(&mut self, exit: B::Exit, lost_calls: usize) {
        let (key, requeued) = (self.spec.key, self.requeue.len());
        let by_host = matches!(self.killed, Some(KillReason::Stuck | KillReason::Stopped));
        self.stage = Stage::Lost;
        // The router takes the news before it lets the desk go.
        self.spec.router.do_send(WorkerDown { key });
        let pid = self.link.pid();
        self.spec.supervisor.do_send(WorkerExited { key, pid, exit, by_host, lost_calls, requeued });
    }

    /// The worker panicked: its calls end, and its process ends with the link, which nobody polls
    /// any more.
    pub(super) fn break_down(&mut self, payload: &(dyn Any + Send)) {
        self.spec.desks.report_panic("worker", payload);
        if self.stage == Stage::Lost {
            return;
        }
        let exit = B::unobserved(self.link.pid());
        let cut_short = std::mem::take(&mut self.cut_short).into_iter().map(|job| (job, Part::Bystander));
        // Should it be the link that panics, each call counts as started. The process lives until
        // the router has let the link go, and starts nothing that was taken back.
        let phase = |link: &B::Link, id| caught(|| link.phase(id)).unwrap_or(Phase::Running);
        for id in self.core.unstarted(|id| phase(&self.link, id)) {
            let _ = caught(|| self.link.revoke(id));
        }
        let lost = self.core.lost(|id| phase(&self.link, id));
        for (job, part) in cut_short.chain(lost) {
            if part == Part::NotStarted {
                self.requeue.push(job);
            } else {
                let class = job.class;
                let answer = answer(job, Err(Outcome::WorkerLost { exit: exit.clone() }.into()), None, now());
                self.done.push(Done { class, release: None, answer });
            }
        }
        self.leave(exit, 0);
    }

    fn sweep(&mut self, now: Instant) {
        let link = &self.link;
        for action in self.core.sweep(now, |id| link.phase(id), Job::is_abandoned) {
            match action {
                Action::End { id, job, why } => {
                    self.link.cancel(id);
                    let class = job.class;
                    let answer = match why {
                        End::Abandoned => Answer::Abandoned,
                        End::Expired => {
                            // Asked after the cancellation: until then it may start, not least
                            // because the one before it was interrupted. It may also have run on a
                            // worker that died.
                            let started = job.attempts > 0 || self.link.phase(id) != Phase::Sent;
                            answer(job, Err(Outcome::DeadlineExceeded { started }.into()), None, now)
                        }
                    };
                    self.done.push(Done { class, release: None, answer });
                }
                Action::Cancel(id) => self.link.cancel(id),
                Action::Revoke(ids) => self.revoke(ids),
                Action::Kill => self.kill(KillReason::Stuck),
            }
        }
        self.sweep_cut_short(now);
    }

    /// A process that somebody else ends may take its time; the callers of what it has cut short do
    /// not wait longer than they would have otherwise.
    fn sweep_cut_short(&mut self, now: Instant) {
        let expired = |job: &Job<B>| job.deadline.is_some_and(|deadline| deadline <= now);
        for job in self.cut_short.extract_if(.., |job| job.is_abandoned() || expired(job)) {
            let class = job.class;
            let outcome = Outcome::DeadlineExceeded { started: true };
            let answer = answer(job, Err(outcome.into()), None, now);
            self.done.push(Done { class, release: None, answer });
        }
    }

    fn next_cut_short(&self, now: Instant) -> Option<Instant> {
        let deadlines = self.cut_short.iter().filter_map(|job| job.deadline);
        (!self.cut_short.is_empty()).then(|| deadlines.chain([now + TICK]).min()).flatten()
    }

    /// Takes back what has not started. It is certain only if the same call runs before and after,
    /// or the process stands still.
    fn revoke(&mut self, ids: Vec<CallId>) {
        let before = self.core.running(|id| self.link.phase(id));
        for &id in &ids {
            self.link.revoke(id);
        }
        let after = self.core.running(|id| self.link.phase(id));
        let blocked = before.is_some() && before == after;
        let link = &self.link;
        self.requeue.extend(self.core.take_revoked(ids, blocked, |id| link.phase(id)));
    }

    fn inspect(&mut self, now: Instant) {
        self.inspect_at = now + INSPECT;
        // One that has nothing to do may stand still; not one that is to leave.
        let awaited = self.core.in_flight() > 0 || self.stage == Stage::Leaving;
        if awaited && self.link.is_stopped() {
            let since = *self.stopped_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= self.spec.patience.kill_grace {
                self.kill(KillReason::Stopped);
            }
        } else {
            self.stopped_since = None;
        }
        let limits = &self.spec.retire;
        if limits.at.is_some_and(|at| at <= now) {
            self.ask_to_retire(RetireReason::MaxLifetime);
        } else if limits.max_rss.is_some_and(|max| self.link.rss().is_some_and(|rss| rss > max)) {
            self.ask_to_retire(RetireReason::MaxRss);
        }
    }

    fn check_calls(&mut self) {
        if self.spec.retire.max_calls.is_some_and(|max| self.calls >= max) {
            self.ask_to_retire(RetireReason::MaxCalls);
        }
    }

    fn ask_to_retire(&mut self, reason: RetireReason) {
        if self.stage == Stage::Serving {
            self.stage = Stage::RetireAsked;
            self.spec.supervisor.do_send(RetireWanted { key: self.spec.key, reason });
        }
    }

    /// The process finishes what it has, and exits.
    pub(super) fn drain(&mut self) {
        if matches!(self.stage, Stage::Serving | Stage::RetireAsked) {
            self.stage = Stage::Leaving;
            self.link.drain();
        }
    }

    pub(super) fn kill(&mut self, reason: KillReason) {
        if matches!(self.stage, Stage::Killed | Stage::Lost) {
            return;
        }
        self.stage = Stage::Killed;
        self.killed = Some(reason);
        // It takes nothing more; told before the process is gone, lest calls go to and fro until
        // then.
        let (key, abandoned) = (self.spec.key, self.core.abandoned());
        self.spec.router.do_send(WorkerKilled { key, abandoned });
        self.link.kill(reason);
    }

    fn next_look(&self, now: Instant) -> Option<Instant> {
        let inspect = match self.stage {
            Stage::Lost => return None,
            Stage::Serving => self.retires().then_some(self.inspect_at),
            Stage::Leaving => Some(self.inspect_at),
            Stage::RetireAsked | Stage::Killed => None,
        };
        let inspect = inspect.or((self.core.in_flight() > 0).then_some(self.inspect_at));
        [inspect, self.core.next_sweep(now), self.next_cut_short(now)].into_iter().flatten().min()
    }

    const fn retires(&self) -> bool {
        let limits = &self.spec.retire;
        limits.at.is_some() || limits.max_rss.is_some()
    }
}

/// Answers a caller.
fn answer<B: Backend>(
    job: Job<B>,
    result: Result<B::Reply, B::Error>,
    sent: Option<Instant>,
    now: Instant,
) -> Answer {
    let error = result.as_ref().err().map(B::kind);
    let latency = now.saturating_duration_since(job.admitted);
    let wait = sent.map(|sent| sent.saturating_duration_since(job.admitted));
    if job.settle(result) { Answer::Heard { error, latency, wait } } else { Answer::Abandoned }
}
