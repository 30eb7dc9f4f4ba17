//! What a pool does when one of its actors panics. The main structure in this module is
//! [`Breakdown`].
//!
//! tokio drops a task that panics, and the actor with it. Its senders would find a closed mailbox,
//! or wait, and nobody would learn why. A panic is a defect of this crate, so the pool does not
//! continue: it rejects all calls from then on and says why.

use std::any::Any;
use std::cell::RefCell;
use std::future::{Future as _, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;

use actix::{Actor, Addr, AsyncContext, Context};
use tokio::sync::Notify;

use crate::backend::Panic;
use crate::waker::RouterWaker;

/// The first panic of the actors of a pool. Clones share it.
#[derive(Clone)]
pub(crate) struct Breakdown {
    state: Rc<State>,
    router: RouterWaker,
}

#[derive(Default)]
struct State {
    panic: RefCell<Option<Panic>>,
    reported: Notify,
}

impl Breakdown {
    /// No actor has panicked. `router` is woken when one does.
    pub(crate) fn new(router: RouterWaker) -> Self {
        Self { state: Rc::default(), router }
    }

    /// Records a panic, unless there was one before.
    pub(crate) fn report(&self, actor: &'static str, payload: &(dyn Any + Send)) {
        let message = message(payload);
        tracing::error!(target: "pyproc::pool", actor, message, "an actor of the pool panicked; the pool rejects all calls");
        self.state.panic.borrow_mut().get_or_insert_with(|| Panic { actor, message: message.into() });
        self.state.reported.notify_one();
        self.router.wake();
    }

    /// The first panic.
    pub(crate) fn panic(&self) -> Option<Panic> {
        self.state.panic.borrow().clone()
    }

    /// Resolves when an actor panics. Only one task can wait for it.
    pub(crate) async fn reported(&self) -> Panic {
        loop {
            if let Some(panic) = self.panic() {
                return panic;
            }
            self.state.reported.notified().await;
        }
    }
}

/// The message of a panic. Only `panic_any` has a payload that is not a string.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

/// Runs one step of an actor that must continue if the step panics.
pub(crate) fn caught<R>(step: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(step))
}

/// Starts an actor with an unbounded mailbox. `on_panic` runs after a panic has ended the actor.
///
/// A bounded mailbox parks senders, and a parked request registers no waker. The router's queue
/// bounds a pool instead.
pub(crate) fn start<A>(actor: A, on_panic: impl FnOnce(&(dyn Any + Send)) + 'static) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
{
    let mut ctx = Context::new();
    ctx.set_mailbox_capacity(0);
    let addr = ctx.address();
    let mut run = Box::pin(ctx.into_future(actor));
    tokio::task::spawn_local(async move {
        let ended = poll_fn(|cx| match caught(|| run.as_mut().poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        });
        if let Err(payload) = ended.await {
            on_panic(&*payload);
            // Dropping the actor runs its code again, which may panic again. One report is enough.
            let _ = caught(|| drop(run));
        }
    });
    addr
}
