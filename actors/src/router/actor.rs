//! The router as an actor: it performs what [`Core`] decides. The main structure is [`Router`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::dev::MessageResponse;
use actix::fut::ActorFuture;
use actix::{Actor, Addr, AsyncContext, Context, Message};
use tokio::sync::oneshot;

use super::core::Core;
use super::limits::{Availability, Limits, Rejection};
use super::load::Entry;
use super::stats::Stats;
use crate::alarm::{Alarm, now};
use crate::backend::{Backend, Outcome, Panic, Routable};
use crate::call::Deaths;
use crate::id::WorkerKey;
use crate::job::{Admitted, Job, ReplySender};
use crate::panic::{self, caught};
use crate::reason::{CancelReason, KillReason};
use crate::worker::{
    Answer, Assignment, Changes, Inflight, KillWorker, NewWorkers, Release, Settled, Worker,
};

/// The `retry_after` of a pool in which an actor panicked. Only a new pool serves again.
const NEVER: Duration = Duration::from_secs(3600);

/// Takes the calls. Its address is the pool's address.
///
/// The crate that defines a [`Backend`] implements `Handler<its call>` for it with
/// [`Router::accept`].
pub struct Router<B: Backend> {
    backend: Rc<B>,
    pub(super) core: Core<Job<B>>,
    inbox: Inbox<B>,
    default_timeout: Option<Duration>,
    pub(super) new_workers: NewWorkers<B>,
    pub(super) workers: Vec<WorkerEntry<B>>,
    /// An empty buffer, which replaces the full one of a worker.
    spare: Vec<Settled>,
    pub(super) stats: Stats,
    /// How many calls were admitted.
    admitted: u64,
    /// Why the last start failed.
    pub(super) cause: Option<B::StartError>,
    /// Set when an actor of the pool has panicked: the pool rejects all calls.
    broken: Option<B::StartError>,
    pub(super) drained: Vec<oneshot::Sender<()>>,
}

/// Calls that arrived since the last turn.
type Inbox<B> = Rc<RefCell<VecDeque<(<B as Backend>::Call, Option<ReplySender<B>>)>>>;

pub(super) struct WorkerEntry<B: Backend> {
    pub(super) key: WorkerKey,
    pub(super) addr: Addr<Worker<B>>,
    pub(super) inflight: Rc<RefCell<Inflight<B>>>,
    pub(super) staged: VecDeque<Assignment<B>>,
    /// How many calls have ended in it.
    pub(super) calls: u64,
}

impl<B: Backend> Unpin for Router<B> {}

impl<B: Backend> Router<B> {
    /// Starts a router on the current arbiter. The supervisor shares `new_workers`.
    /// `default_timeout` is for calls without a timeout.
    pub fn start(
        backend: Rc<B>,
        new_workers: NewWorkers<B>,
        limits: Limits,
        default_timeout: Option<Duration>,
    ) -> Addr<Self> {
        let router = Self {
            backend,
            core: Core::new(limits),
            inbox: Inbox::<B>::default(),
            default_timeout,
            new_workers,
            workers: Vec::new(),
            spare: Vec::new(),
            stats: Stats::new(),
            admitted: 0,
            cause: None,
            broken: None,
            drained: Vec::new(),
        };
        let breakdown = router.new_workers.breakdown().clone();
        panic::start(router, move |payload| breakdown.report("router", payload))
    }

    /// The backend of the pool.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The response to a call message: the call goes into the inbox, and is answered when it ends.
    pub fn accept(&mut self, call: B::Call) -> Admission<B> {
        Admission { inbox: Rc::clone(&self.inbox), call }
    }

    /// Admits the calls that arrived since the last turn.
    pub(super) fn admit_inbox(&mut self, now: Instant) {
        let inbox = Rc::clone(&self.inbox);
        // One by one: if the backend panics over a call, the others still get their answers.
        while let Some((call, reply)) = { inbox.borrow_mut().pop_front() } {
            self.admit(call, reply, now);
        }
    }

    fn admit(&mut self, call: B::Call, reply: Option<ReplySender<B>>, now: Instant) {
        let function = match self.backend.resolve(&call) {
            Ok(function) => function,
            Err(error) => {
                self.stats.ended_with_error(B::kind(&error));
                self.backend.failed(None, &error, now);
                if let Some(reply) = reply {
                    // The caller may have dropped the future.
                    let _ = reply.send(Err(error));
                }
                return;
            }
        };
        let deadline = call.timeout().or(self.default_timeout).and_then(|timeout| now.checked_add(timeout));
        let order = self.admitted;
        self.admitted += 1;
        let job = Job::new(Admitted {
            call,
            function,
            admitted: now,
            order,
            deadline,
            deaths: Deaths::default(),
            alone: false,
            last_exit: None,
            reply,
        });
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.end(job, Outcome::DeadlineExceeded { started: false }, now);
            return;
        }
        let entry = entry(job);
        if self.core.is_full(entry.size) {
            self.stage();
        }
        if let Err((entry, rejection)) = self.core.admit(entry, now) {
            self.reject(entry.job, rejection, now);
        }
    }

    fn reject(&mut self, job: Job<B>, rejection: Rejection, now: Instant) {
        let outcome = match rejection {
            Rejection::Overloaded { retry_after } => Outcome::Overloaded { retry_after },
            Rejection::Unavailable { retry_after } => self.unavailable(retry_after),
            Rejection::ShuttingDown => Outcome::ShuttingDown,
        };
        self.end(job, outcome, now);
    }

    pub(super) fn unavailable(&self, retry_after: Duration) -> Outcome<B> {
        let cause = self.broken.as_ref().or(self.cause.as_ref()).cloned();
        Outcome::Unavailable { cause, retry_after }
    }

    /// Assigns calls to workers while there is room.
    fn stage(&mut self) {
        while let Some(dispatch) = self.core.next_dispatch() {
            let Some(worker) = self.workers.iter_mut().find(|worker| worker.key == dispatch.to) else {
                unreachable!("the core knows the same workers as the actor");
            };
            worker.staged.push_back(Assignment { job: dispatch.job, charge: dispatch.charge });
        }
    }

    /// Sends the assigned calls. Returns whether a worker has changes at once: it returned a call.
    pub(super) fn send_staged(&mut self, now: Instant) -> bool {
        let mut changes = false;
        for worker in self.workers.iter_mut().filter(|worker| !worker.staged.is_empty()) {
            changes |= worker.inflight.borrow_mut().assign(&mut worker.staged, now);
        }
        changes
    }

    /// Takes the changes of all workers.
    pub(super) fn collect(&mut self, now: Instant) {
        for index in 0..self.workers.len() {
            self.collect_from(index, now);
        }
    }

    pub(super) fn collect_from(&mut self, index: usize, now: Instant) {
        let WorkerEntry { key, inflight, .. } = &self.workers[index];
        let (key, mut inflight) = (*key, inflight.borrow_mut());
        if !inflight.has_changes() {
            return;
        }
        let Changes { mut settled, requeue, lacking, stalled, abandoned } =
            inflight.take_changes(std::mem::take(&mut self.spare));
        drop(inflight);
        self.core.worker_stalled(key, stalled);
        self.core.worker_occupied(key, abandoned);
        self.workers[index].calls += self.settle(key, &mut settled);
        self.spare = settled;
        if !requeue.is_empty() {
            self.requeue(requeue, now);
        }
        if !lacking.is_empty() {
            lacking.iter().for_each(|job| self.core.worker_lacks(key, job.function.id));
            self.resolve_again(lacking, now);
        }
    }

    /// Requeues calls whose function some worker does not have, if the function still exists.
    pub(super) fn resolve_again(&mut self, jobs: Vec<Job<B>>, now: Instant) {
        let mut known = Vec::with_capacity(jobs.len());
        for mut job in jobs {
            match self.backend.resolve(&job.call) {
                Ok(function) => {
                    job.function = function;
                    known.push(job);
                }
                Err(error) => self.end_with(job, error, now),
            }
        }
        self.requeue(known, now);
    }

    fn sweep(&mut self, now: Instant) {
        for (job, reason) in self.core.sweep(now, Job::is_abandoned) {
            match reason {
                CancelReason::DeadlinePassed => {
                    let started = job.deaths.count > 0;
                    self.end(job, Outcome::DeadlineExceeded { started }, now);
                }
                CancelReason::Abandoned => self.stats.abandoned(job.function.id),
            }
        }
    }

    pub(super) fn end(&mut self, job: Job<B>, outcome: Outcome<B>, now: Instant) {
        let error = B::Error::from(job.outcome(outcome));
        self.answer(job, error, now);
    }

    /// Ends a call with an error of the backend.
    fn end_with(&mut self, job: Job<B>, error: B::Error, now: Instant) {
        let error = match job.last_exit.clone() {
            Some(exit) => B::Error::from(Outcome::WorkerLost { exit }),
            None => error,
        };
        self.answer(job, error, now);
    }

    fn answer(&mut self, job: Job<B>, error: B::Error, now: Instant) {
        let (kind, function) = (B::kind(&error), job.function.id);
        // Read once, so that all that counts errors agrees.
        if job.is_abandoned() {
            self.stats.abandoned(function);
            return;
        }
        self.backend.failed(Some(function), &error, now);
        self.stats.answered(function, Some(kind), now.saturating_duration_since(job.admitted));
        job.settle(Err(error));
    }

    /// Ends the calls that wait: no worker will take them.
    pub(super) fn give_up(&mut self, now: Instant) {
        for job in self.core.set_availability(Availability::Stopped) {
            self.end(job, Outcome::ShuttingDown, now);
        }
    }

    /// Counts the calls that a worker has settled. Returns how many have left the worker.
    fn settle(&mut self, key: WorkerKey, settled: &mut Vec<Settled>) -> u64 {
        let mut ended = 0;
        for Settled { function, release, answer } in settled.drain(..) {
            if let Some(Release { charge, service }) = release {
                ended += 1;
                self.core.settled(key, function, charge, service);
            }
            match answer {
                Answer::Received { error, latency, wait } => {
                    self.stats.answered(function.id, error, latency);
                    if let Some(wait) = wait {
                        self.stats.waited(function.id, wait);
                    }
                }
                Answer::Abandoned => self.stats.abandoned(function.id),
                Answer::None => {}
            }
        }
        ended
    }

    fn requeue(&mut self, jobs: Vec<Job<B>>, now: Instant) {
        self.stats.requeued(jobs.len());
        for job in self.core.requeue(jobs.into_iter().map(entry).collect()) {
            self.reject(job, self.core.rejection(now).unwrap_or(Rejection::ShuttingDown), now);
        }
    }

    /// Runs a step, unless an actor has panicked. A panic of the step is reported.
    pub(super) fn step<R>(&mut self, step: impl FnOnce(&mut Self) -> R) -> Option<R> {
        if self.broken.is_some() {
            return None;
        }
        caught(|| step(self)).map_err(|payload| self.new_workers.breakdown().report("router", &*payload)).ok()
    }

    /// An actor panicked, so the state of the actors may be inconsistent: ends the calls that wait,
    /// kills the workers, and rejects all calls from now on.
    fn break_down(&mut self, panic: &Panic) {
        self.broken = Some(B::panicked(panic));
        let now = now();
        let mut jobs = self.core.set_availability(Availability::Unavailable { retry_at: now + NEVER });
        for worker in &mut self.workers {
            jobs.extend(worker.staged.drain(..).map(|assignment| assignment.job));
            worker.addr.do_send(KillWorker(KillReason::Shutdown));
        }
        for job in jobs {
            self.end(job, self.unavailable(NEVER), now);
        }
    }

    /// All that the router still does after a panic: every call gets an answer.
    fn reject_all(&mut self) {
        let now = now();
        for (_, reply) in std::mem::take(&mut *self.inbox.borrow_mut()) {
            let error = B::Error::from(self.unavailable(NEVER));
            self.stats.ended_with_error(B::kind(&error));
            self.backend.failed(None, &error, now);
            if let Some(reply) = reply {
                // The caller may have dropped the future.
                let _ = reply.send(Err(error));
            }
        }
        for index in 0..self.workers.len() {
            let Changes { mut settled, requeue, lacking, .. } =
                self.workers[index].inflight.borrow_mut().take_changes(Vec::new());
            settled.iter_mut().for_each(|settled| settled.release = None);
            self.settle(self.workers[index].key, &mut settled);
            for job in requeue.into_iter().chain(lacking) {
                self.end(job, self.unavailable(NEVER), now);
            }
        }
        // The drain is over.
        self.drained.clear();
    }

    fn answer_drains(&mut self) {
        if !self.drained.is_empty() && self.core.queued() == 0 && self.core.in_flight() == 0 {
            for drained in self.drained.drain(..) {
                // The caller may have dropped the receiver.
                let _ = drained.send(());
            }
        }
    }
}

fn entry<B: Backend>(job: Job<B>) -> Entry<Job<B>> {
    Entry {
        function: job.function,
        affinity: job.affinity(),
        deadline: job.deadline,
        order: job.order,
        size: job.call.size(),
        alone: job.alone,
        job,
    }
}

impl<B: Backend> Actor for Router<B> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(Pump { alarm: Alarm::new() });
    }
}

/// Runs whenever the mailbox is empty, and when a worker or the alarm wakes the router.
struct Pump {
    alarm: Alarm,
}

impl<B: Backend> ActorFuture<Router<B>> for Pump {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        router: &mut Router<B>,
        ctx: &mut Context<Router<B>>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        router.new_workers.router().register(cx.waker());
        router.step(|router| router.turn(&mut self.alarm, cx));
        router.check_panic();
        if !ctx.connected() {
            // Every address has been dropped, so no workers run and no call can arrive.
            router.give_up(now());
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<B: Backend> Router<B> {
    /// One turn: collects what the workers have settled, admits calls, and assigns them.
    fn turn(&mut self, alarm: &mut Alarm, cx: &mut TaskContext<'_>) {
        let now = now();
        self.collect(now);
        self.admit_inbox(now);
        if alarm.is_due(now, cx) {
            self.sweep(now);
        }
        self.stage();
        if self.send_staged(now) {
            cx.waker().wake_by_ref();
        }
        self.answer_drains();
        alarm.set(self.core.next_sweep(now), cx);
    }

    /// Whether an actor has panicked, this one or another.
    pub(super) const fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Reacts to the panic of an actor, if there was one.
    pub(super) fn check_panic(&mut self) {
        if self.broken.is_none() {
            let Some(panic) = self.new_workers.breakdown().panic() else { return };
            self.break_down(&panic);
        }
        self.reject_all();
    }
}

/// The response to a call message: the call is answered when it ends, not by the handler.
pub struct Admission<B: Backend> {
    inbox: Inbox<B>,
    call: B::Call,
}

impl<B, M> MessageResponse<Router<B>, M> for Admission<B>
where
    B: Backend,
    M: Message<Result = Result<B::Reply, B::Error>>,
{
    fn handle(self, _: &mut Context<Router<B>>, reply: Option<ReplySender<B>>) {
        self.inbox.borrow_mut().push_back((self.call, reply));
    }
}
