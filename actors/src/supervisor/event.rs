//! What happens to a supervisor, and what it does. The main items in this module are [`Event`] and
//! [`Action`].

use std::time::{Duration, Instant};

use crate::id::{SlotId, WorkerKey};

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The pool is to start.
    Start,
    /// A launched process is ready.
    Ready(WorkerKey),
    /// A launch failed.
    StartFailed(WorkerKey),
    /// A process that was ready has ended.
    Exited(WorkerKey, Cause),
    /// A process is to be replaced.
    RetireWanted(WorkerKey),
    /// All processes are to be replaced, one by one.
    Reload,
    /// The pool is to have this many slots.
    Resize(u32),
    /// The processes are to drain, and none is started any more.
    Shutdown,
    /// The time of `Core::next_wake` has come.
    Tick,
}

/// Who ended a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It ended by itself, or something outside of the pool ended it.
    Itself,
    /// The pool killed it because a call did not end or because it was stopped. The code is not to
    /// blame, so the next process starts at once.
    Pool,
}

/// What the actor is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Start a process.
    Launch(WorkerKey),
    /// Cancel a launch.
    CancelLaunch(WorkerKey),
    /// Give a process that is ready to the router.
    Serve(WorkerKey),
    /// Ask a process to finish its calls and exit.
    Drain(WorkerKey),
    /// The next start of the slot is delayed.
    Waiting(SlotId, Duration),
    /// Reject calls: no worker serves. The next start is tried at this time.
    OpenBreaker(Instant),
    /// One start is tried.
    HalfOpenBreaker,
    /// Admit calls again.
    CloseBreaker,
    /// Every slot has a process with the new code.
    Reloaded,
    /// A new process of a reload did not start. The old processes keep serving.
    ReloadFailed(WorkerKey),
    /// All slots of a resized pool serve.
    Resized,
    /// No process is left.
    Stopped,
}
