//! The worker as an actor: it moves calls between the router and one process. The main structure is [`Worker`].

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};

use super::core::{Action, Core, End, Ended, Patience};
use crate::alarm::{now, Alarm};
use crate::backend::{Backend, KillReason, Link, LinkEvent, Outcome, Phase, Request};
use crate::id::CallId;
use crate::job::Job;
use crate::router::core::WorkerKey;
use crate::router::{Answer, Done, Release, Router, Settled, WorkerDown, WorkerDraining};
use crate::supervisor::{RetireReason, RetireWanted, Supervisor, WorkerExited};

/// How often a process is looked at from outside: its memory, whether it is stopped.
const INSPECT: Duration = Duration::from_millis(250);

/// The calls of one process, and its link.
pub struct Worker<B: Backend> {
    spec: WorkerSpec<B>,
    link: B::Link,
    core: Core<Job<B>>,
    done: Vec<Done>,
    requeue: Vec<Job<B>>,
    /// Calls that were interrupted because the process is being ended; they are lost with it.
    cut_short: Vec<Job<B>>,
    told_stalled: bool,
    calls: u64,
    inspect_at: Instant,
    stopped_since: Option<Instant>,
    stage: Stage,
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

/// Whom a worker serves, and how.
pub(crate) struct WorkerSpec<B: Backend> {
    pub(crate) key: WorkerKey,
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

impl<B: Backend> Unpin for Worker<B> {}

impl<B: Backend> Worker<B> {
    /// Starts the actor of a process that is ready.
    pub(crate) fn start_with(spec: WorkerSpec<B>, link: B::Link) -> Addr<Self> {
        let worker = Self {
            core: Core::new(link.capacity().min(CallId::MAX_INDEX), spec.patience),
            spec,
            link,
            done: Vec::new(),
            requeue: Vec::new(),
            cut_short: Vec::new(),
            told_stalled: false,
            calls: 0,
            inspect_at: now() + INSPECT,
            stopped_since: None,
            stage: Stage::Serving,
        };
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(0);
            worker
        })
    }

    fn send(&mut self, assigned: Assigned<B>, now: Instant) {
        let Assigned { job, charge } = assigned;
        let (class, deadline) = (job.class, job.deadline);
        let takes = matches!(self.stage, Stage::Serving | Stage::RetireAsked);
        let Some(id) = self.core.next_id().filter(|_| takes) else {
            self.requeue.push(job);
            let release = Some(Release { charge, service: None });
            self.done.push(Done { class, release, answer: Answer::None });
            return;
        };
        match self.link.send(id, &job.call, deadline) {
            Ok(()) => self.core.sent(job, class, charge, deadline, now),
            Err(error) => {
                let answer = answer(job, Err(error), Some(now), now);
                self.done.push(Done { class, release: Some(Release { charge, service: None }), answer });
            }
        }
    }

    fn on_event(&mut self, event: LinkEvent<B>, now: Instant) {
        // It goes on, so it is not stopped.
        self.stopped_since = None;
        match event {
            LinkEvent::Done { id, result, service } => {
                let Some(ended) = self.core.ended(id) else {
                    tracing::warn!(slot = %self.spec.key.slot, call = %id, "dropped an answer to a call that is not in flight");
                    return;
                };
                self.calls += 1;
                self.settle(ended, service, |job, sent| answer(job, result, Some(sent), now));
            }
            LinkEvent::Skipped(id) => {
                let Some(mut ended) = self.core.ended(id) else { return };
                self.requeue.extend(ended.job.take());
                self.settle(ended, None, |_, _| unreachable!("the job was taken out"));
            }
            LinkEvent::Interrupted(id) => {
                let Some(mut ended) = self.core.ended(id) else { return };
                if self.stage == Stage::Killed {
                    // The end of the process cut it short.
                    self.cut_short.extend(ended.job.take());
                }
                // Only a call that somebody else interrupts still has a caller.
                let error = Outcome::DeadlineExceeded { started: true };
                self.settle(ended, None, |job, sent| answer(job, Err(error.into()), Some(sent), now));
            }
            LinkEvent::Lost(exit) => self.on_lost(exit, now),
        }
    }

    /// Gives back the place of a call, and answers its caller if there still is one.
    fn settle(
        &mut self,
        ended: Ended<Job<B>>,
        service: Option<Duration>,
        to_answer: impl FnOnce(Job<B>, Instant) -> Answer,
    ) {
        let Ended { job, class, charge, sent } = ended;
        let release = Some(Release { charge, service });
        let answer = job.map_or(Answer::None, |job| to_answer(job, sent));
        self.done.push(Done { class, release, answer });
    }

    /// The process is gone: calls that had not started go on elsewhere, the others end.
    fn on_lost(&mut self, exit: B::Exit, now: Instant) {
        let mut lost_calls = 0;
        let cut_short = std::mem::take(&mut self.cut_short).into_iter().map(|job| (job, true));
        let lost = self.core.lost(|id| self.link.phase(id));
        for (mut job, started) in cut_short.chain(lost) {
            if !started {
                self.requeue.push(job);
                continue;
            }
            lost_calls += 1;
            job.attempts += 1;
            let (class, attempts) = (job.class, job.attempts);
            let outcome = if !job.call.idempotent() {
                Outcome::WorkerLost { exit: exit.clone() }
            } else if attempts < self.spec.max_attempts {
                self.requeue.push(job);
                continue;
            } else {
                Outcome::Quarantined { attempts, exit: exit.clone() }
            };
            let answer = answer(job, Err(outcome.into()), None, now);
            self.done.push(Done { class, release: None, answer });
        }
        let requeued = self.requeue.len();
        self.stage = Stage::Lost;
        self.report();
        let key = self.spec.key;
        self.spec.router.do_send(WorkerDown { key });
        self.spec.supervisor.do_send(WorkerExited { key, pid: self.link.pid(), exit, lost_calls, requeued });
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
                            // Asked after the cancellation: until then it may start, not least because the one before it was
                            // interrupted. It may also have run on a worker that died.
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
    }

    /// Takes back what has not started. It is certain only if the same call runs before and after, or the process stands still.
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

    fn kill(&mut self, reason: KillReason) {
        if matches!(self.stage, Stage::Killed | Stage::Lost) {
            return;
        }
        self.stage = Stage::Killed;
        // It takes nothing more; told before the process is gone, lest calls go to and fro until then.
        self.spec.router.do_send(WorkerDraining { key: self.spec.key });
        self.link.kill(reason);
    }

    /// Tells the router what has ended, if anything has.
    fn report(&mut self) {
        let stalled = self.core.is_stalled();
        if self.done.is_empty() && self.requeue.is_empty() && stalled == self.told_stalled {
            return;
        }
        self.told_stalled = stalled;
        // As in the router: a batch of its exact size.
        let done = self.done.drain(..).collect();
        let requeue = std::mem::take(&mut self.requeue);
        self.spec.router.do_send(Settled { key: self.spec.key, done, requeue, stalled });
    }

    fn next_look(&self, now: Instant) -> Option<Instant> {
        let inspect = match self.stage {
            Stage::Lost => return None,
            Stage::Serving => self.retires().then_some(self.inspect_at),
            Stage::Leaving => Some(self.inspect_at),
            Stage::RetireAsked | Stage::Killed => None,
        };
        let inspect = inspect.or((self.core.in_flight() > 0).then_some(self.inspect_at));
        [inspect, self.core.next_sweep(now)].into_iter().flatten().min()
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
    if job.settle(result) {
        Answer::Heard { error, latency, wait }
    } else {
        Answer::Abandoned
    }
}

impl<B: Backend> Actor for Worker<B> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(Pump { alarm: Alarm::new() });
    }
}

/// Runs after each emptying of the mailbox and when the link has something: settles what came, sends what is staged. It ends with the process.
struct Pump {
    alarm: Alarm,
}

impl<B: Backend> ActorFuture<Worker<B>> for Pump {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        worker: &mut Worker<B>,
        _: &mut Context<Worker<B>>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let now = now();
        while worker.stage != Stage::Lost {
            match worker.link.poll_event(cx) {
                Poll::Ready(event) => worker.on_event(event, now),
                Poll::Pending => break,
            }
        }
        if worker.stage == Stage::Lost {
            worker.report();
            return Poll::Pending;
        }
        if self.alarm.is_due(now, cx) {
            worker.sweep(now);
            if worker.inspect_at <= now {
                worker.inspect(now);
            }
        }
        // A pending flush has registered its waker; an error comes as an event.
        let _ = worker.link.poll_flush(cx);
        worker.check_calls();
        worker.report();
        self.alarm.set(worker.next_look(now), cx);
        Poll::Pending
    }
}

/// Calls for this worker.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Assign<B: Backend>(pub(crate) Vec<Assigned<B>>);

/// A call, and what the router counts it for.
pub(crate) struct Assigned<B: Backend> {
    pub(crate) job: Job<B>,
    pub(crate) charge: u32,
}

impl<B: Backend> Handler<Assign<B>> for Worker<B> {
    type Result = ();

    fn handle(&mut self, assign: Assign<B>, _: &mut Context<Self>) {
        let now = now();
        for assigned in assign.0 {
            self.send(assigned, now);
        }
    }
}

/// The process finishes what it has, and exits.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct DrainWorker;

impl<B: Backend> Handler<DrainWorker> for Worker<B> {
    type Result = ();

    fn handle(&mut self, _: DrainWorker, _: &mut Context<Self>) {
        if matches!(self.stage, Stage::Serving | Stage::RetireAsked) {
            self.stage = Stage::Leaving;
            self.link.drain();
        }
    }
}

/// The process is killed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct KillWorker(pub(crate) KillReason);

impl<B: Backend> Handler<KillWorker> for Worker<B> {
    type Result = ();

    fn handle(&mut self, kill: KillWorker, _: &mut Context<Self>) {
        self.kill(kill.0);
    }
}

/// The router knows that the process is gone; nothing more comes.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Dismiss;

impl<B: Backend> Handler<Dismiss> for Worker<B> {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Context<Self>) {
        self.report();
        ctx.stop();
    }
}
