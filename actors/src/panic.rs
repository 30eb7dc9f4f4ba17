//! What becomes of a pool one of whose actors panics. The main structure in this module is
//! [`Breakdown`].
//!
//! tokio drops a task that panics, and an actor with it: its senders find a closed mailbox, or
//! wait, and nobody learns why. A panic is a defect of this crate, so the pool does not go on: it
//! refuses all calls for good and says why.

use std::any::Any;
use std::cell::RefCell;
use std::future::{Future as _, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;

use actix::{Actor, Addr, AsyncContext, Context};
use tokio::sync::Notify;

use crate::backend::Panic;

/// The first panic of a pool's actors; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Breakdown(Rc<State>);

#[derive(Default)]
struct State {
    panic: RefCell<Option<Panic>>,
    reported: Notify,
}

impl Breakdown {
    /// Records a panic, unless there was one before.
    pub(crate) fn report(&self, actor: &'static str, payload: &(dyn Any + Send)) {
        let message = message(payload);
        tracing::error!(actor, message, "an actor of the pool panicked; the pool takes no more calls");
        self.0.panic.borrow_mut().get_or_insert_with(|| Panic { actor, message: message.into() });
        self.0.reported.notify_one();
    }

    /// The first panic.
    pub(crate) fn panic(&self) -> Option<Panic> {
        self.0.panic.borrow().clone()
    }

    /// Resolves when an actor panics, for one waiter.
    pub(crate) async fn reported(&self) -> Panic {
        loop {
            if let Some(panic) = self.panic() {
                return panic;
            }
            self.0.reported.notified().await;
        }
    }
}

/// The text of a panic; only `panic_any` has another payload than a string.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

/// Runs one step of an actor that goes on after a panic of it.
pub(crate) fn caught<R>(step: impl FnOnce() -> R) -> Result<R, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(step))
}

/// Starts an actor with an unbounded mailbox; `on_panic` runs after a panic has ended it.
///
/// A bounded mailbox parks senders, and a parked request registers no waker: what bounds a pool is
/// the router's queue.
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
            // An actor that is dropped runs once more, and may panic once more; it was reported.
            let _ = caught(|| drop(run));
        }
    });
    addr
}
