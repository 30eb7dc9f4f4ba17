//! Handlers of the router for the messages of the supervisor and the workers. The main item is the
//! handler of [`WorkerUp`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix::{Context, Handler, MessageResult, ResponseFuture};
use tokio::sync::oneshot;

use super::actor::{Router, WorkerEntry};
use super::limits::Availability;
use super::messages::{
    Drain, GetAvailability, GetCounters, GetStatus, NotReplaced, SetAvailability, WorkerDraining, WorkerUp,
};
use super::stats::{RouterStatus, WorkerStatus};
use crate::alarm::now;
use crate::backend::Backend;
use crate::call::{CallStage, CallStatus, LISTED_CALLS, oldest};
use crate::reason::KillReason;
use crate::worker::{Dismiss, KillWorker, WorkerDown, WorkerKilled};

impl<B: Backend> Handler<WorkerUp<B>> for Router<B> {
    type Result = ();

    fn handle(&mut self, up: WorkerUp<B>, _: &mut Context<Self>) {
        let WorkerUp { key, addr, capacity } = up;
        let Some(inflight) = self.new_workers.take(key) else {
            unreachable!("a worker enters the queue before WorkerUp is sent");
        };
        if self.is_broken() {
            addr.do_send(KillWorker(KillReason::Shutdown));
        }
        self.workers.push(WorkerEntry { key, addr, inflight, staged: VecDeque::new(), calls: 0 });
        self.step(|this| {
            this.core.worker_up(key, capacity);
            // The new worker may have functions that the others lack, or may show that a function
            // does not exist.
            let held = this.core.take_held();
            this.resolve_again(held, now());
        });
    }
}

impl<B: Backend> Handler<WorkerDraining> for Router<B> {
    type Result = ();

    fn handle(&mut self, draining: WorkerDraining, _: &mut Context<Self>) {
        self.step(|this| this.core.worker_draining(draining.key));
    }
}

impl<B: Backend> Handler<WorkerKilled> for Router<B> {
    type Result = ();

    fn handle(&mut self, killed: WorkerKilled, _: &mut Context<Self>) {
        self.step(|this| this.core.worker_killed(killed.key, killed.abandoned));
    }
}

impl<B: Backend> Handler<NotReplaced> for Router<B> {
    type Result = ();

    fn handle(&mut self, not: NotReplaced, _: &mut Context<Self>) {
        self.step(|this| this.core.not_replaced(not.0));
    }
}

impl<B: Backend> Handler<WorkerDown> for Router<B> {
    type Result = ();

    fn handle(&mut self, down: WorkerDown, _: &mut Context<Self>) {
        let index = self.workers.iter().position(|worker| worker.key == down.key);
        self.step(|this| {
            if let Some(index) = index {
                this.collect_from(index, now());
            }
            this.core.worker_down(down.key);
        });
        self.check_panic();
        if let Some(index) = index {
            let worker = self.workers.swap_remove(index);
            worker.addr.do_send(Dismiss);
        }
    }
}

impl<B: Backend> Handler<SetAvailability<B>> for Router<B> {
    type Result = ();

    fn handle(&mut self, message: SetAvailability<B>, _: &mut Context<Self>) {
        self.step(|this| {
            this.cause = message.cause;
            let now = now();
            for job in this.core.set_availability(message.availability) {
                let retry_after = match message.availability {
                    Availability::Unavailable { retry_at } => retry_at.saturating_duration_since(now),
                    Availability::Open | Availability::ShuttingDown | Availability::Stopped => Duration::ZERO,
                };
                this.end(job, this.unavailable(retry_after), now);
            }
        });
    }
}

impl<B: Backend> Handler<Drain> for Router<B> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, drain: Drain, _: &mut Context<Self>) -> Self::Result {
        let (sender, drained) = oneshot::channel();
        self.step(|this| {
            // Calls that were sent before this message are admitted.
            let now = now();
            this.admit_inbox(now);
            let waiting = this.core.set_availability(Availability::ShuttingDown);
            debug_assert!(waiting.is_empty(), "a drain returns no calls");
            if drain.now {
                this.give_up(now);
            }
            // Nothing stays staged between two turns.
            this.send_staged(now);
            this.drained.push(sender);
        });
        Box::pin(async move {
            // If the router has stopped, its calls have ended too.
            let _ = drained.await;
        })
    }
}

impl<B: Backend> Router<B> {
    fn oldest_calls(&self, now: Instant) -> Vec<CallStatus> {
        let waiting = self.core.waiting(LISTED_CALLS).map(|entry| CallStatus {
            function: entry.function.id,
            worker: None,
            stage: CallStage::Queued,
            age: now.saturating_duration_since(entry.job.admitted),
            running: None,
            left: entry.deadline.map(|deadline| deadline.saturating_duration_since(now)),
        });
        let sent = self.workers.iter().flat_map(|worker| worker.inflight.borrow().calls(now));
        oldest(sent.chain(waiting).collect())
    }
}

impl<B: Backend> Handler<GetAvailability> for Router<B> {
    type Result = MessageResult<GetAvailability>;

    fn handle(&mut self, _: GetAvailability, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.core.availability())
    }
}

impl<B: Backend> Handler<GetCounters> for Router<B> {
    type Result = MessageResult<GetCounters>;

    fn handle(&mut self, _: GetCounters, _: &mut Context<Self>) -> Self::Result {
        self.step(|this| this.collect(now()));
        MessageResult(self.status(Vec::new()))
    }
}

impl<B: Backend> Handler<GetStatus> for Router<B> {
    type Result = MessageResult<GetStatus>;

    fn handle(&mut self, _: GetStatus, _: &mut Context<Self>) -> Self::Result {
        let now = now();
        self.step(|this| this.collect(now));
        MessageResult(self.status(self.oldest_calls(now)))
    }
}

impl<B: Backend> Router<B> {
    fn status(&self, oldest_calls: Vec<CallStatus>) -> RouterStatus {
        let workers = self.workers.iter().map(|worker| WorkerStatus {
            key: worker.key,
            in_flight: self.core.in_flight_of(worker.key),
            calls: worker.calls,
        });
        self.stats.status(self.core.queued(), self.core.availability(), workers.collect(), oldest_calls)
    }
}
