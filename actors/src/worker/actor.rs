//! The worker as an actor: it minds the desk of one process. The main structure is [`Worker`].

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};

use super::desk::{Desk, SharedDesk, WorkerSpec};
use crate::alarm::Alarm;
use crate::backend::{Backend, KillReason};
use crate::panic;

/// Moves calls between the router and one process.
pub struct Worker<B: Backend> {
    desk: SharedDesk<B>,
}

impl<B: Backend> Unpin for Worker<B> {}

impl<B: Backend> Worker<B> {
    /// Starts the actor of a process that is ready; its desk waits for the router.
    pub(crate) fn start_with(spec: WorkerSpec<B>, link: B::Link) -> Addr<Self> {
        let desk = Desk::start(spec, link);
        let worker = Self { desk: Rc::clone(&desk) };
        panic::start(worker, move |payload| desk.borrow_mut().break_down(payload))
    }
}

impl<B: Backend> Actor for Worker<B> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(Pump { alarm: Alarm::new() });
    }
}

/// Runs after each emptying of the mailbox, and when the link or the router has something.
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
        worker.desk.borrow_mut().poll(&mut self.alarm, cx);
        Poll::Pending
    }
}

/// The process finishes what it has, and exits.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct DrainWorker;

impl<B: Backend> Handler<DrainWorker> for Worker<B> {
    type Result = ();

    fn handle(&mut self, _: DrainWorker, _: &mut Context<Self>) {
        self.desk.borrow_mut().drain();
    }
}

/// The process is killed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct KillWorker(pub(crate) KillReason);

impl<B: Backend> Handler<KillWorker> for Worker<B> {
    type Result = ();

    fn handle(&mut self, kill: KillWorker, _: &mut Context<Self>) {
        self.desk.borrow_mut().kill(kill.0);
    }
}

/// The router knows that the process is gone; nothing more comes.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Dismiss;

impl<B: Backend> Handler<Dismiss> for Worker<B> {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}
