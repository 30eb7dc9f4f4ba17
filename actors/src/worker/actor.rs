//! The worker as an actor: it drives the calls in flight of one process. The main structure is
//! [`Worker`].

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler};

use super::inflight::{Inflight, WorkerSpec};
use super::messages::{Dismiss, DrainWorker, KillWorker};
use super::new_workers::NewWorkers;
use crate::alarm::Alarm;
use crate::backend::Backend;
use crate::panic;

/// Moves calls between the router and one process.
pub struct Worker<B: Backend> {
    inflight: Rc<RefCell<Inflight<B>>>,
}

impl<B: Backend> Unpin for Worker<B> {}

impl<B: Backend> Worker<B> {
    /// Starts the actor of a process that is ready. The router finds it in `new_workers`.
    pub(crate) fn start_with(spec: WorkerSpec<B>, link: B::Link, new_workers: &NewWorkers<B>) -> Addr<Self> {
        let key = spec.key;
        let (router, breakdown) = (new_workers.router().clone(), new_workers.breakdown().clone());
        let inflight = Rc::new(RefCell::new(Inflight::new(spec, link, router)));
        new_workers.push(key, Rc::clone(&inflight));
        let worker = Self { inflight: Rc::clone(&inflight) };
        panic::start(worker, move |payload| {
            breakdown.report("worker", payload);
            inflight.borrow_mut().break_down();
        })
    }
}

impl<B: Backend> Actor for Worker<B> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(Pump { alarm: Alarm::new() });
    }
}

/// Runs whenever the mailbox is empty, and when the link or the router wakes the worker.
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
        worker.inflight.borrow_mut().poll(&mut self.alarm, cx);
        Poll::Pending
    }
}

impl<B: Backend> Handler<DrainWorker> for Worker<B> {
    type Result = ();

    fn handle(&mut self, _: DrainWorker, _: &mut Context<Self>) {
        self.inflight.borrow_mut().drain();
    }
}

impl<B: Backend> Handler<KillWorker> for Worker<B> {
    type Result = ();

    fn handle(&mut self, kill: KillWorker, _: &mut Context<Self>) {
        self.inflight.borrow_mut().kill(kill.0);
    }
}

impl<B: Backend> Handler<Dismiss> for Worker<B> {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}
