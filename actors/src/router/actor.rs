//! The router as an actor: it performs what [`Core`] decides. The main structure is [`Router`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::dev::MessageResponse;
use actix::fut::ActorFuture;
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, MessageResult, ResponseFuture};
use tokio::sync::oneshot;

use super::core::{Availability, Core, Entry, Limits, Refusal, Swept};
use super::stats::{RouterStatus, Stats, WorkerStatus};
use crate::alarm::{Alarm, now};
use crate::backend::{Backend, Class, KillReason, Outcome, Panic, Request};
use crate::id::{ClassId, SlotId, WorkerKey};
use crate::job::{Admitted, Job, ReplySender};
use crate::panic::{self, caught};
use crate::worker::{Assigned, Desks, Dismiss, KillWorker, News, SharedDesk, Worker};

/// How long callers of a broken pool are asked to wait: its process has to start again first.
const NEVER: Duration = Duration::from_secs(3600);

/// The pool's address: it takes the calls.
///
/// The crate that defines a [`Backend`] implements `Handler<its call>` for it with
/// [`Router::accept`].
pub struct Router<B: Backend> {
    backend: Rc<B>,
    core: Core<Job<B>>,
    inbox: Inbox<B>,
    default_timeout: Option<Duration>,
    desks: Desks<B>,
    workers: Vec<WorkerEntry<B>>,
    /// An empty buffer, to be left on a desk in place of a full one.
    spare: Vec<Done>,
    stats: Stats,
    /// How many calls have come.
    admitted: u64,
    cause: Option<B::StartError>,
    /// Why the pool takes no calls any more: an actor of it panicked.
    broken: Option<B::StartError>,
    drained: Vec<oneshot::Sender<()>>,
}

/// Calls that came in since the mailbox was last looked at.
type Inbox<B> = Rc<RefCell<VecDeque<(<B as Backend>::Call, Option<ReplySender<B>>)>>>;

struct WorkerEntry<B: Backend> {
    key: WorkerKey,
    addr: Addr<Worker<B>>,
    desk: SharedDesk<B>,
    staged: VecDeque<Assigned<B>>,
    calls: u64,
}

impl<B: Backend> Unpin for Router<B> {}

impl<B: Backend> Router<B> {
    /// Starts a router on the current arbiter. `default_timeout` holds for calls that name none;
    /// the supervisor has the same `desks`.
    pub fn start(
        backend: Rc<B>,
        desks: Desks<B>,
        limits: Limits,
        default_timeout: Option<Duration>,
    ) -> Addr<Self> {
        let router = Self {
            backend,
            core: Core::new(limits),
            inbox: Inbox::<B>::default(),
            default_timeout,
            desks,
            workers: Vec::new(),
            spare: Vec::new(),
            stats: Stats::new(),
            admitted: 0,
            cause: None,
            broken: None,
            drained: Vec::new(),
        };
        let desks = router.desks.clone();
        panic::start(router, move |payload| desks.report_panic("router", payload))
    }

    /// The backend that judges the calls.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The answer to a call message: takes the call in, and answers it when it has ended.
    pub fn accept(&mut self, call: B::Call) -> Admission<B> {
        Admission { inbox: Rc::clone(&self.inbox), call }
    }

    /// Takes in the calls that came since it was last asked to.
    fn admit_inbox(&mut self, now: Instant) {
        let inbox = Rc::clone(&self.inbox);
        // One by one: should the backend panic over a call, the others still have their answers.
        while let Some((call, reply)) = { inbox.borrow_mut().pop_front() } {
            self.admit(call, reply, now);
        }
    }

    fn admit(&mut self, call: B::Call, reply: Option<ReplySender<B>>, now: Instant) {
        let class = match self.backend.classify(&call) {
            Ok(class) => class,
            Err(error) => {
                self.stats.failed(None, B::kind(&error));
                if let Some(reply) = reply {
                    // A caller that is gone needs no answer.
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
            class,
            admitted: now,
            order,
            deadline,
            attempts: 0,
            suspected: 0,
            alone: false,
            last_exit: None,
            reply,
        });
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.end(job, Outcome::DeadlineExceeded { started: false });
            return;
        }
        let entry = entry(job);
        if self.core.is_full(entry.size) {
            self.stage();
        }
        if let Err((entry, refusal)) = self.core.admit(entry, now) {
            self.refuse(entry.job, refusal);
        }
    }

    fn refuse(&mut self, job: Job<B>, refusal: Refusal) {
        let outcome = match refusal {
            Refusal::Overloaded { retry_after } => Outcome::Overloaded { retry_after },
            Refusal::Unavailable { retry_after } => self.unavailable(retry_after),
            Refusal::ShuttingDown => Outcome::ShuttingDown,
        };
        self.end(job, outcome);
    }

    fn unavailable(&self, retry_after: Duration) -> Outcome<B> {
        let cause = self.broken.as_ref().or(self.cause.as_ref()).cloned();
        Outcome::Unavailable { cause, retry_after }
    }

    /// Gives out what fits.
    fn stage(&mut self) {
        while let Some(dispatch) = self.core.next_dispatch() {
            let Some(worker) = self.workers.iter_mut().find(|worker| worker.key == dispatch.to) else {
                unreachable!("the core knows the same workers as the actor");
            };
            worker.staged.push_back(Assigned { job: dispatch.job, charge: dispatch.charge });
        }
    }

    /// Puts what was given out on the desks. Returns whether there is news at once: something was
    /// given back.
    fn send_staged(&mut self, now: Instant) -> bool {
        let mut news = false;
        for worker in self.workers.iter_mut().filter(|worker| !worker.staged.is_empty()) {
            news |= worker.desk.borrow_mut().assign(&mut worker.staged, now);
        }
        news
    }

    /// Takes in what the workers have to tell.
    fn hear(&mut self, now: Instant) {
        for index in 0..self.workers.len() {
            self.hear_of(index, now);
        }
    }

    fn hear_of(&mut self, index: usize, now: Instant) {
        let WorkerEntry { key, desk, .. } = &self.workers[index];
        let (key, mut desk) = (*key, desk.borrow_mut());
        if !desk.has_news() {
            return;
        }
        let News { mut done, requeue, lacking, stalled, abandoned } =
            desk.take_news(std::mem::take(&mut self.spare));
        drop(desk);
        self.core.worker_stalled(key, stalled);
        self.core.worker_occupied(key, abandoned);
        self.workers[index].calls += self.settle(key, &mut done);
        self.spare = done;
        if !requeue.is_empty() {
            self.requeue(requeue, now);
        }
        if !lacking.is_empty() {
            lacking.iter().for_each(|job| self.core.worker_lacks(key, job.class.id));
            self.judge_again(lacking, now);
        }
    }

    /// Puts calls back whose function some worker does not have, if there still is such a function.
    fn judge_again(&mut self, jobs: Vec<Job<B>>, now: Instant) {
        let mut known = Vec::with_capacity(jobs.len());
        for mut job in jobs {
            match self.backend.classify(&job.call) {
                Ok(class) => {
                    job.class = class;
                    known.push(job);
                }
                Err(error) => self.end_with(job, error),
            }
        }
        self.requeue(known, now);
    }

    fn sweep(&mut self, now: Instant) {
        for (job, why) in self.core.sweep(now, Job::is_abandoned) {
            match why {
                Swept::Expired => {
                    let started = job.attempts > 0;
                    self.end(job, Outcome::DeadlineExceeded { started });
                }
                Swept::Abandoned => self.stats.abandoned(job.class.id),
            }
        }
    }

    fn end(&mut self, job: Job<B>, outcome: Outcome<B>) {
        let error = B::Error::from(job.outcome(outcome));
        self.answer(job, error);
    }

    /// Ends a call with an error of the backend's own.
    fn end_with(&mut self, job: Job<B>, error: B::Error) {
        let error = match job.last_exit.clone() {
            Some(exit) => B::Error::from(Outcome::WorkerLost { exit }),
            None => error,
        };
        self.answer(job, error);
    }

    fn answer(&mut self, job: Job<B>, error: B::Error) {
        let (kind, class) = (B::kind(&error), job.class.id);
        if job.settle(Err(error)) {
            self.stats.failed(Some(class), kind);
        } else {
            self.stats.abandoned(class);
        }
    }

    /// Ends what waits: no worker will take it.
    fn give_up(&mut self) {
        for job in self.core.set_availability(Availability::Over) {
            self.end(job, Outcome::ShuttingDown);
        }
    }

    /// Returns how many calls have left the worker.
    fn settle(&mut self, key: WorkerKey, done: &mut Vec<Done>) -> u64 {
        let mut ended = 0;
        for Done { class, release, answer } in done.drain(..) {
            if let Some(Release { charge, service }) = release {
                ended += 1;
                self.core.settled(key, class, charge, service);
            }
            match answer {
                Answer::Heard { error, latency, wait } => {
                    self.stats.answered(class.id, error, latency);
                    if let Some(wait) = wait {
                        self.stats.waited(class.id, wait);
                    }
                }
                Answer::Abandoned => self.stats.abandoned(class.id),
                Answer::None => {}
            }
        }
        ended
    }

    fn requeue(&mut self, jobs: Vec<Job<B>>, now: Instant) {
        self.stats.requeued(jobs.len());
        for job in self.core.requeue(jobs.into_iter().map(entry).collect()) {
            self.refuse(job, self.core.refusal(now).unwrap_or(Refusal::ShuttingDown));
        }
    }

    /// Runs a step, unless the pool is broken. A step that panics breaks it.
    fn step<R>(&mut self, step: impl FnOnce(&mut Self) -> R) -> Option<R> {
        if self.broken.is_some() {
            return None;
        }
        caught(|| step(self)).map_err(|payload| self.desks.report_panic("router", &*payload)).ok()
    }

    /// Ends what waits, kills the workers and refuses what comes, for good: an actor panicked, so
    /// nothing that the actors know of each other is certain any more.
    fn break_down(&mut self, panic: &Panic) {
        self.broken = Some(B::panicked(panic));
        let mut jobs = self.core.set_availability(Availability::Unavailable { retry_at: now() + NEVER });
        for worker in &mut self.workers {
            jobs.extend(worker.staged.drain(..).map(|assigned| assigned.job));
            worker.addr.do_send(KillWorker(KillReason::Shutdown));
        }
        for job in jobs {
            self.end(job, self.unavailable(NEVER));
        }
    }

    /// What the router still does for a broken pool: every call has an answer.
    fn refuse_all(&mut self) {
        for (_, reply) in std::mem::take(&mut *self.inbox.borrow_mut()) {
            let error = B::Error::from(self.unavailable(NEVER));
            self.stats.failed(None, B::kind(&error));
            if let Some(reply) = reply {
                // The caller may have dropped its future.
                let _ = reply.send(Err(error));
            }
        }
        for index in 0..self.workers.len() {
            let News { mut done, requeue, lacking, .. } =
                self.workers[index].desk.borrow_mut().take_news(Vec::new());
            done.iter_mut().for_each(|done| done.release = None);
            self.settle(self.workers[index].key, &mut done);
            for job in requeue.into_iter().chain(lacking) {
                self.end(job, self.unavailable(NEVER));
            }
        }
        // Those who wait for a drain have nothing to wait for.
        self.drained.clear();
    }

    fn tell_drained(&mut self) {
        if !self.drained.is_empty() && self.core.queued() == 0 && self.core.in_flight() == 0 {
            for waiting in self.drained.drain(..) {
                // Whoever asked may have stopped waiting.
                let _ = waiting.send(());
            }
        }
    }
}

fn entry<B: Backend>(job: Job<B>) -> Entry<Job<B>> {
    Entry {
        class: job.class,
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

/// Runs after each emptying of the mailbox: admits what came, gives out what fits, minds the time.
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
        router.desks.listen(cx.waker());
        router.step(|router| router.turn(&mut self.alarm, cx));
        router.see_panic();
        if !ctx.connected() {
            // Nobody can ask any more; each worker holds an address, so there is none, and none can
            // come.
            router.give_up();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<B: Backend> Router<B> {
    /// One turn: what came is admitted, what fits is given out.
    fn turn(&mut self, alarm: &mut Alarm, cx: &mut TaskContext<'_>) {
        let now = now();
        self.hear(now);
        self.admit_inbox(now);
        if alarm.is_due(now, cx) {
            self.sweep(now);
        }
        self.stage();
        if self.send_staged(now) {
            cx.waker().wake_by_ref();
        }
        self.tell_drained();
        alarm.set(self.core.next_sweep(now), cx);
    }

    /// Looks whether an actor has panicked, this one or another.
    fn see_panic(&mut self) {
        if self.broken.is_none() {
            let Some(panic) = self.desks.breakdown().panic() else { return };
            self.break_down(&panic);
        }
        self.refuse_all();
    }
}

/// How a call message is answered: not by the handler, but when the call has ended.
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

/// A worker serves.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerUp<B: Backend> {
    pub(crate) key: WorkerKey,
    pub(crate) addr: Addr<Worker<B>>,
    pub(crate) capacity: u32,
}

impl<B: Backend> Handler<WorkerUp<B>> for Router<B> {
    type Result = ();

    fn handle(&mut self, up: WorkerUp<B>, _: &mut Context<Self>) {
        let WorkerUp { key, addr, capacity } = up;
        let Some(desk) = self.desks.take(key) else {
            unreachable!("a worker has a desk before it is told of");
        };
        if self.broken.is_some() {
            addr.do_send(KillWorker(KillReason::Shutdown));
        }
        self.workers.push(WorkerEntry { key, addr, desk, staged: VecDeque::new(), calls: 0 });
        self.step(|this| {
            this.core.worker_up(key, capacity);
            // The new worker may have functions that the others lack, or may say that there is no
            // such function.
            let held = this.core.take_held();
            this.judge_again(held, now());
        });
    }
}

/// A worker is to get no more calls.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerDraining {
    pub(crate) key: WorkerKey,
}

impl<B: Backend> Handler<WorkerDraining> for Router<B> {
    type Result = ();

    fn handle(&mut self, draining: WorkerDraining, _: &mut Context<Self>) {
        self.step(|this| this.core.worker_draining(draining.key));
    }
}

/// A worker is being killed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerKilled {
    pub(crate) key: WorkerKey,
    /// The function whose abandoned call occupies it.
    pub(crate) abandoned: Option<ClassId>,
}

impl<B: Backend> Handler<WorkerKilled> for Router<B> {
    type Result = ();

    fn handle(&mut self, killed: WorkerKilled, _: &mut Context<Self>) {
        self.step(|this| this.core.worker_killed(killed.key, killed.abandoned));
    }
}

/// The process of a slot that ended has no successor for now.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct NotReplaced(pub(crate) SlotId);

impl<B: Backend> Handler<NotReplaced> for Router<B> {
    type Result = ();

    fn handle(&mut self, not: NotReplaced, _: &mut Context<Self>) {
        self.step(|this| this.core.not_replaced(not.0));
    }
}

/// What became of one call: its place is free again, its caller was answered, or both.
pub(crate) struct Done {
    pub(crate) class: Class,
    pub(crate) release: Option<Release>,
    pub(crate) answer: Answer,
}

/// The place of a call that no longer occupies its worker.
pub(crate) struct Release {
    pub(crate) charge: u32,
    pub(crate) service: Option<Duration>,
}

/// What a caller was told.
pub(crate) enum Answer {
    /// Nothing now: it was told before, or the call goes on elsewhere.
    None,
    /// The caller is gone.
    Abandoned,
    /// A reply, or an error of this kind.
    Heard {
        error: Option<&'static str>,
        latency: Duration,
        /// From admission to the hand-over to the worker; `None` if that is not known any more.
        wait: Option<Duration>,
    },
}

/// A worker's process is gone; its last words are on its desk.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerDown {
    pub(crate) key: WorkerKey,
}

impl<B: Backend> Handler<WorkerDown> for Router<B> {
    type Result = ();

    fn handle(&mut self, down: WorkerDown, _: &mut Context<Self>) {
        let index = self.workers.iter().position(|worker| worker.key == down.key);
        self.step(|this| {
            if let Some(index) = index {
                this.hear_of(index, now());
            }
            this.core.worker_down(down.key);
        });
        self.see_panic();
        if let Some(index) = index {
            let worker = self.workers.swap_remove(index);
            worker.addr.do_send(Dismiss);
        }
    }
}

/// Opens or closes the door for new calls.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetAvailability<B: Backend> {
    /// Open, or until when not.
    pub availability: Availability,
    /// Why the last start failed.
    pub cause: Option<B::StartError>,
}

impl<B: Backend> Handler<SetAvailability<B>> for Router<B> {
    type Result = ();

    fn handle(&mut self, message: SetAvailability<B>, _: &mut Context<Self>) {
        self.step(|this| {
            this.cause = message.cause;
            for job in this.core.set_availability(message.availability) {
                let retry_after = match message.availability {
                    Availability::Unavailable { retry_at } => retry_at.saturating_duration_since(now()),
                    Availability::Open | Availability::ShuttingDown | Availability::Over => Duration::ZERO,
                };
                this.end(job, this.unavailable(retry_after));
            }
        });
    }
}

/// Lets no more calls in, and answers when those that are in have ended. With `now`, what still
/// waits ends with [`Outcome::ShuttingDown`] instead of going to a worker.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// Whether to give up on what waits.
    pub now: bool,
}

impl<B: Backend> Handler<Drain> for Router<B> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, drain: Drain, _: &mut Context<Self>) -> Self::Result {
        let (tell, told) = oneshot::channel();
        self.step(|this| {
            // What was sent before is in.
            this.admit_inbox(now());
            let waiting = this.core.set_availability(Availability::ShuttingDown);
            debug_assert!(waiting.is_empty(), "a drain gives nothing back");
            if drain.now {
                this.give_up();
            }
            // Nothing stays staged between two polls.
            this.send_staged(now());
            this.drained.push(tell);
        });
        Box::pin(async move {
            // The router is gone: so are its calls.
            let _ = told.await;
        })
    }
}

/// Asks for [`RouterStatus`].
#[derive(Message)]
#[rtype(result = "RouterStatus")]
pub struct GetStatus;

impl<B: Backend> Handler<GetStatus> for Router<B> {
    type Result = MessageResult<GetStatus>;

    fn handle(&mut self, _: GetStatus, _: &mut Context<Self>) -> Self::Result {
        self.step(|this| this.hear(now()));
        let workers = self.workers.iter().map(|worker| WorkerStatus {
            key: worker.key,
            in_flight: self.core.in_flight_of(worker.key),
            calls: worker.calls,
        });
        let status = self.stats.status(self.core.queued(), self.core.availability(), workers.collect());
        MessageResult(status)
    }
}
