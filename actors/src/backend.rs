//! The one door from the actors to the outside: [`Backend`] starts processes, [`Link`] talks to
//! one.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::LocalBoxFuture;

use crate::id::{CallId, ClassId, Generation, SlotId};

/// What the actors need to know of a call that they carry. Everything else in it is the backend's.
pub trait Request: Send + 'static {
    /// How long the caller waits, counted from admission; `None` takes the pool's default.
    fn timeout(&self) -> Option<Duration>;
    /// The length of the arguments and of what goes with them, in bytes, for the bound on the
    /// queue.
    fn size(&self) -> usize;
    /// Whether the call may run again after a worker died while it ran.
    fn idempotent(&self) -> bool;
    /// Calls with the same key go to the same worker while it lives; `None` goes to any.
    fn affinity(&self) -> Option<u64>;
}

/// Which estimate a call belongs to, and how it occupies its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// The function, as a small number.
    pub id: ClassId,
    /// Whether calls of it run side by side in one worker (`async def`), rather than one after
    /// another.
    pub overlapping: bool,
}

/// Starts workers and judges calls. One backend serves one pool.
pub trait Backend: Sized + Unpin + 'static {
    /// The call as its caller made it.
    type Call: Request;
    /// What a call that returned gives.
    type Reply: Send + 'static;
    /// What a call that did not return gives; the actors' own outcomes are converted into it.
    type Error: From<Outcome<Self>> + Send + 'static;
    /// Why a process ended.
    type Exit: Clone + Send + Sync + 'static;
    /// Why a process did not start.
    type StartError: Clone + Send + Sync + 'static;
    /// The connection to one started process.
    type Link: Link<Self>;

    /// Judges a call at admission: its class, or the error that ends it at once (no such function,
    /// too large).
    fn classify(&self, call: &Self::Call) -> Result<Class, Self::Error>;

    /// Starts a process. Resolves when it is ready to serve; dropping the future ends the process.
    fn launch(
        &self,
        slot: SlotId,
        generation: Generation,
    ) -> LocalBoxFuture<'static, Result<Self::Link, Self::StartError>>;

    /// The name of an error's kind, for counters.
    fn kind(error: &Self::Error) -> &'static str;

    /// Why the pool does not start or serve: a process ended like this soon after it was ready.
    fn crashed(exit: &Self::Exit) -> Self::StartError;

    /// Why the pool does not start or change: it was stopped.
    fn stopped() -> Self::StartError;

    /// Why the pool never serves again: one of its actors panicked.
    fn panicked(panic: &Panic) -> Self::StartError;

    /// The exit of a process whose end cannot be observed any more, because its actor panicked.
    fn unobserved(pid: u32) -> Self::Exit;
}

/// The connection to one started process. Dropping it kills the process.
pub trait Link<B: Backend>: Unpin + 'static {
    /// The process id, for events and status.
    fn pid(&self) -> u32;

    /// How many calls may be in flight at once; at most [`CallId::MAX_INDEX`].
    fn capacity(&self) -> usize;

    /// Stages a call for the next flush. `Err` if this process cannot run it; it is then not in
    /// flight. It may come from outside the task that polls the events: who has to be polled again
    /// for it wakes that task.
    fn send(&mut self, id: CallId, call: &B::Call, deadline: Option<Instant>)
    -> Result<(), Unsent<B::Error>>;

    /// Writes what is staged. `Pending` means that more is to be written and the waker is
    /// registered; a write error is told by [`Link::poll_event`].
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// The next thing that the process did. After [`LinkEvent::Lost`] it is not called again.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent<B>>;

    /// How far a call in flight has come. Exact after [`LinkEvent::Lost`].
    fn phase(&self, id: CallId) -> Phase;

    /// Ends a call: it is skipped if it has not started, interrupted if it runs. May be repeated.
    /// Its end is still told by [`Link::poll_event`].
    fn cancel(&mut self, id: CallId);

    /// Takes back a call if it has not started; leaves it alone if it has. Its end is still told by
    /// [`Link::poll_event`].
    fn revoke(&mut self, id: CallId);

    /// Asks the process to finish what it has, and exit.
    fn drain(&mut self);

    /// Kills the process and all that it started. [`LinkEvent::Lost`] follows.
    fn kill(&mut self, reason: KillReason);

    /// Whether the process is stopped (SIGSTOP) and can make no progress.
    fn is_stopped(&self) -> bool {
        false
    }

    /// The resident memory of the process in bytes, if that is known.
    fn rss(&self) -> Option<u64> {
        None
    }
}

/// Why a process was not given a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent<E> {
    /// It has no such function. Another process may have it: while the code is reloaded, old and
    /// new processes serve side by side.
    NoFunction,
    /// No process can take the call, which ends with this error.
    Refused(E),
}

/// A panic of one of the pool's actors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// Which actor.
    pub actor: &'static str,
    /// What the panic said.
    pub message: Arc<str>,
}

/// Why the actors end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillReason {
    /// A call was cancelled and did not end within the grace period: its stacks are worth having.
    Stuck,
    /// It was stopped (SIGSTOP) and did not go on within the grace period.
    Stopped,
    /// It did not drain in time.
    DrainTimeout,
    /// The pool stops at once.
    Shutdown,
}

/// How far a call in flight has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The function has not started.
    Sent,
    /// The function runs.
    Running,
    /// The function has ended and its reply is not here.
    Finished,
}

/// What a process did.
#[derive(Debug)]
pub enum LinkEvent<B: Backend> {
    /// A call ended with an answer of the process.
    Done {
        /// Which call.
        id: CallId,
        /// What it gives its caller.
        result: Result<B::Reply, B::Error>,
        /// How long it occupied the process, if that is known.
        service: Option<Duration>,
    },
    /// A call that was cancelled or revoked did not start, and will not.
    Skipped(CallId),
    /// A call was interrupted: it was cancelled, or the process ends, and [`LinkEvent::Lost`]
    /// follows.
    Interrupted(CallId),
    /// The process is gone and reaped; no event follows.
    Lost(B::Exit),
}

/// The ends of a call that the actors decide on, not the process.
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
    /// The process died while the call ran, or after it ran and before its reply was here.
    WorkerLost {
        /// How the process ended.
        exit: B::Exit,
    },
    /// The call was running in as many workers that died as it may.
    Quarantined {
        /// How many.
        attempts: u32,
        /// How the last process ended.
        exit: B::Exit,
    },
    /// No worker serves, and none can be expected to soon. The call did not run.
    Unavailable {
        /// Why the last start failed, if that is the cause.
        cause: Option<B::StartError>,
        /// When the next start is tried.
        retry_after: Duration,
    },
    /// The pool is shutting down. The call did not run.
    ShuttingDown,
}
