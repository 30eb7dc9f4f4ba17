//! The boundary between the actors and the processes: [`Backend`] starts processes, [`Link`] talks
//! to one.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::LocalBoxFuture;

use crate::call::{Function, Phase};
use crate::id::{CallId, FunctionId, Generation, SlotId};
use crate::reason::KillReason;

/// What the actors need to know about a call. The rest of it belongs to the backend.
pub trait Routable: Send + 'static {
    /// How long the caller waits, counted from admission. `None` means the default of the pool.
    fn timeout(&self) -> Option<Duration>;
    /// The length of the arguments and the metadata in bytes, for the bound on the queue.
    fn size(&self) -> usize;
    /// Whether the call may run again after a worker died while it ran.
    fn idempotent(&self) -> bool;
    /// Calls with the same key go to the same worker while it lives. `None` means any worker.
    fn affinity(&self) -> Option<u64>;
}

/// Starts workers and knows their functions. One backend serves one pool.
pub trait Backend: Sized + Unpin + 'static {
    /// The call as its caller made it.
    type Call: Routable;
    /// The answer of a call that returned.
    type Reply: Send + 'static;
    /// The answer of a call that did not return. The outcomes of the actors convert into it.
    type Error: From<Outcome<Self>> + Send + 'static;
    /// Why a process ended.
    type Exit: Clone + Send + Sync + 'static;
    /// Why a process did not start.
    type StartError: Clone + Send + Sync + 'static;
    /// The connection to one process.
    type Link: Link<Self>;

    /// Finds the function of a call at admission.
    ///
    /// # Errors
    /// The error that ends the call at once: the function does not exist, or the call is too large.
    fn resolve(&self, call: &Self::Call) -> Result<Function, Self::Error>;

    /// Starts a process. The future resolves when the process is ready to serve. Dropping it ends
    /// the process.
    fn launch(
        &self,
        slot: SlotId,
        generation: Generation,
    ) -> LocalBoxFuture<'static, Result<Self::Link, Self::StartError>>;

    /// Called when a call ends with an error before a process gets it, and its caller still waits.
    /// `function` is `None` if the function is not known: it does not exist, or the call was
    /// rejected before it was looked up. Under overload it runs for each rejection, so it must be
    /// cheap. A backend may keep the error, as [`Link::failed`] may.
    fn failed(&self, function: Option<FunctionId>, error: &Self::Error, now: Instant) {
        let _ = (function, error, now);
    }

    /// The name of the kind of an error, for counters.
    fn kind(error: &Self::Error) -> &'static str;

    /// The start error if a process ended like this soon after it was ready.
    fn crashed(exit: &Self::Exit) -> Self::StartError;

    /// The start error if the pool was stopped.
    fn stopped() -> Self::StartError;

    /// The start error if an actor of the pool panicked, after which the pool never serves again.
    fn panicked(panic: &Panic) -> Self::StartError;

    /// The exit of a process whose end nobody observes, because its actor panicked.
    fn unobserved(pid: u32) -> Self::Exit;
}

/// The connection to one process. Dropping it kills the process.
pub trait Link<B: Backend>: Unpin + 'static {
    /// The process id, for events and status.
    fn pid(&self) -> u32;

    /// How many calls may be in flight at once, at most [`CallId::MAX_INDEX`].
    fn capacity(&self) -> usize;

    /// Stages a call of `function` for the next flush. It may run outside of the task that polls
    /// the events; if that task has to poll again, the link wakes it.
    ///
    /// # Errors
    /// Why this process cannot run the call, which is then not in flight.
    fn send(
        &mut self,
        id: CallId,
        function: FunctionId,
        call: &B::Call,
        deadline: Option<Instant>,
    ) -> Result<(), Unsent<B::Error>>;

    /// Writes what is staged. `Pending` means that more is to be written and that the waker is
    /// registered. [`Link::poll_event`] reports write errors.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// The next event of the process. It is not called again after [`LinkEvent::Lost`].
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent<B>>;

    /// How far a call in flight has come. It is exact after [`LinkEvent::Lost`].
    fn phase(&self, id: CallId) -> Phase;

    /// Cancels a call: the process skips it if it has not started, and interrupts it if it runs. It
    /// may be repeated. [`Link::poll_event`] still reports the end of the call.
    fn cancel(&mut self, id: CallId);

    /// Takes back a call that has not started; a call that has started continues.
    /// [`Link::poll_event`] still reports the end of the call.
    fn revoke(&mut self, id: CallId);

    /// Called when a call of `function` ends with an error, here or in the process, and its caller
    /// still waits. A link may keep it for people who ask why calls fail.
    fn failed(&mut self, function: FunctionId, error: &B::Error, now: Instant) {
        let _ = (function, error, now);
    }

    /// Asks the process to finish the calls that it has, and to exit.
    fn drain(&mut self);

    /// Kills the process and all that it started. [`LinkEvent::Lost`] follows.
    fn kill(&mut self, reason: KillReason);

    /// Whether the process is stopped (SIGSTOP) and makes no progress.
    fn is_stopped(&self) -> bool {
        false
    }

    /// The resident memory of the process in bytes, if it is known.
    fn rss(&self) -> Option<u64> {
        None
    }
}

/// Why a process was not given a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent<E> {
    /// It does not have the function. Another process may have it: during a reload, processes with
    /// old and new code serve side by side.
    NoFunction,
    /// No process can take the call, which ends with this error.
    Rejected(E),
}

/// A panic of an actor of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// Which actor.
    pub actor: &'static str,
    /// The message of the panic.
    pub message: Arc<str>,
}

/// An event of a process.
#[derive(Debug)]
pub enum LinkEvent<B: Backend> {
    /// The process answered a call.
    Done {
        /// Which call.
        id: CallId,
        /// The answer for the caller.
        result: Result<B::Reply, B::Error>,
        /// How long the call occupied the process, if it is known.
        service: Option<Duration>,
    },
    /// A call that was cancelled or revoked did not start, and will not.
    Skipped(CallId),
    /// A call was interrupted: it was cancelled, or the process ends and [`LinkEvent::Lost`]
    /// follows.
    Interrupted(CallId),
    /// The process has ended and was reaped. No event follows.
    Lost(B::Exit),
}

/// The ends of a call that the actors decide, not the process.
#[derive(Debug)]
pub enum Outcome<B: Backend> {
    /// The queue is full. The call did not run.
    Overloaded {
        /// When there may be room again.
        retry_after: Duration,
    },
    /// The deadline passed.
    DeadlineExceeded {
        /// Whether the function had started.
        started: bool,
    },
    /// The process died while the call ran, or before the reply of a call that had ended arrived.
    WorkerLost {
        /// How the process ended.
        exit: B::Exit,
    },
    /// The call was tried on as many workers as it may be, and may have caused the death of each.
    Quarantined {
        /// How many.
        attempts: u32,
        /// How the last process ended.
        exit: B::Exit,
    },
    /// No worker serves, and none is expected to serve soon. The call did not run.
    Unavailable {
        /// Why the last start failed, if that is the cause.
        cause: Option<B::StartError>,
        /// When the next start is tried.
        retry_after: Duration,
    },
    /// The pool is shutting down. The call did not run.
    ShuttingDown,
}
