//! Handlers of the supervisor for its messages. The main item is the handler of [`WorkerExited`].

use actix::fut::WrapFuture;
use actix::{ActorFutureExt, AsyncContext, Context, Handler, MessageResult, Recipient, ResponseFuture};
use tokio::sync::oneshot;

use super::actor::Supervisor;
use super::event::{Cause, Event};
use super::messages::{
    AwaitReady, GetSlots, ReloadAll, ReplaceSlot, Resize, Shutdown, SlotStatus, Subscribe,
};
use super::slot::SlotView;
use super::worker_event::WorkerEvent;
use crate::alarm::now;
use crate::backend::Backend;
use crate::id::WorkerKey;
use crate::reason::KillReason;
use crate::router::Drain;
use crate::worker::{KillWorker, RetireWanted, WorkerExited};

impl<B: Backend> Handler<WorkerExited<B>> for Supervisor<B> {
    type Result = ();

    fn handle(&mut self, exited: WorkerExited<B>, ctx: &mut Context<Self>) {
        let WorkerExited { key, pid, exit, by_host, lost_calls, started, requeued } = exited;
        let owned = self.workers.iter().position(|owned| owned.key == key);
        let expected = owned.is_some_and(|index| self.workers.swap_remove(index).draining);
        self.last_exit.retain(|(of, _)| *of != key.slot);
        self.last_exit.push((key.slot, exit.clone()));
        if self.core.is_serving(key) {
            self.last_error = Some(B::crashed(&exit));
        }
        self.announce(WorkerEvent::Exited {
            worker: key,
            pid,
            exit,
            expected,
            lost_calls,
            started,
            requeued,
        });
        let cause = if by_host { Cause::Pool } else { Cause::Itself };
        self.handle_event(Event::Exited(key, cause), ctx);
    }
}

impl<B: Backend> Handler<RetireWanted> for Supervisor<B> {
    type Result = ();

    fn handle(&mut self, wanted: RetireWanted, ctx: &mut Context<Self>) {
        let RetireWanted { key, reason } = wanted;
        self.announce(WorkerEvent::Retiring { worker: key, reason });
        self.handle_event(Event::RetireWanted(key), ctx);
    }
}

impl<B: Backend> Handler<AwaitReady<B>> for Supervisor<B> {
    type Result = ResponseFuture<Result<(), B::StartError>>;

    fn handle(&mut self, wait: AwaitReady<B>, _: &mut Context<Self>) -> Self::Result {
        let (sender, answer) = oneshot::channel();
        let all = self.settings.workers;
        self.ready_waits.push((wait.workers.unwrap_or(all).min(all) as usize, sender));
        self.answer_ready();
        self.answered(answer)
    }
}

impl<B: Backend> Handler<ReloadAll<B>> for Supervisor<B> {
    type Result = ResponseFuture<Result<(), B::StartError>>;

    fn handle(&mut self, _: ReloadAll<B>, ctx: &mut Context<Self>) -> Self::Result {
        let (sender, answer) = oneshot::channel();
        self.reload_waits.push(sender);
        self.handle_event(Event::Reload, ctx);
        self.answered(answer)
    }
}

impl<B: Backend> Handler<Resize<B>> for Supervisor<B> {
    type Result = ResponseFuture<Result<(), B::StartError>>;

    fn handle(&mut self, resize: Resize<B>, ctx: &mut Context<Self>) -> Self::Result {
        let (sender, answer) = oneshot::channel();
        self.resize_waits.push(sender);
        self.settings.workers = resize.workers;
        self.handle_event(Event::Resize(resize.workers), ctx);
        self.answered(answer)
    }
}

impl<B: Backend> Handler<ReplaceSlot> for Supervisor<B> {
    type Result = bool;

    fn handle(&mut self, replace: ReplaceSlot, ctx: &mut Context<Self>) -> bool {
        let slot = replace.0;
        let serving = self.core.slots().find(|view| view.slot == slot).and_then(|view| view.serving);
        if let Some((generation, _)) = serving {
            self.handle_event(Event::RetireWanted(WorkerKey { slot, generation }), ctx);
        }
        serving.is_some()
    }
}

impl<B: Backend> Handler<Subscribe<B>> for Supervisor<B> {
    type Result = ();

    fn handle(&mut self, subscribe: Subscribe<B>, _: &mut Context<Self>) {
        let mut subscribers = self.subscribers.borrow_mut();
        subscribers.retain(Recipient::connected);
        subscribers.push(subscribe.0);
    }
}

impl<B: Backend> Handler<Shutdown> for Supervisor<B> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, shutdown: Shutdown, ctx: &mut Context<Self>) -> Self::Result {
        let (sender, stopped) = oneshot::channel();
        self.stopped_waits.push(sender);
        let drained = self.router.send(Drain { now: shutdown.deadline.is_zero() });
        // The router answers, unless it has stopped with all its calls.
        ctx.spawn(drained.into_actor(self).map(|_, this, ctx| this.handle_event(Event::Shutdown, ctx)));
        ctx.run_later(shutdown.deadline, |this, ctx| {
            this.router.do_send(Drain { now: true });
            this.handle_event(Event::Shutdown, ctx);
            for owned in &this.workers {
                owned.addr.do_send(KillWorker(KillReason::Shutdown));
            }
        });
        Box::pin(async move {
            // The sender is dropped when the supervisor stops.
            let _ = stopped.await;
        })
    }
}

impl<B: Backend> Handler<GetSlots<B>> for Supervisor<B> {
    type Result = MessageResult<GetSlots<B>>;

    fn handle(&mut self, _: GetSlots<B>, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.core.slots().map(|view| self.slot_status(view)).collect())
    }
}

impl<B: Backend> Supervisor<B> {
    fn slot_status(&self, view: SlotView) -> SlotStatus<B> {
        let pid_of = |generation| {
            let key = WorkerKey { slot: view.slot, generation };
            self.workers.iter().find(|owned| owned.key == key).map(|owned| owned.pid)
        };
        let last_exit = self.last_exit.iter().find(|(slot, _)| *slot == view.slot);
        SlotStatus {
            slot: view.slot,
            state: view.state,
            generation: view.serving.map(|(generation, _)| generation),
            pid: view.serving.and_then(|(generation, _)| pid_of(generation)),
            uptime: view.serving.map(|(_, since)| now().saturating_duration_since(since)),
            restarts: view.restarts,
            kills: view.kills,
            last_exit: last_exit.map(|(_, exit)| exit.clone()),
        }
    }
}
