//! The ways in which a worker ends. The main item is [`end`].

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, timeout};

use super::body::{Body, exited};
use super::proc;
use crate::error::{Exit, ExitCause, ExitStatus};

/// The signal that `faulthandler` answers with the stacks of all threads.
pub(crate) const STACKS_SIGNAL: i32 = 36;

/// How long a worker that has closed its socket may take to exit: an interpreter closes it before
/// it is done.
const EXIT_GRACE: Duration = Duration::from_millis(100);

/// How long a process may take to die of SIGKILL. One that waits in the kernel (a disk, a network
/// file system), or that a debugger holds, can take for ever; one with much memory takes seconds.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// How long after its death the host waits for a worker's last words: another process may hold the
/// pipes open.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long the stacks may take in all, and how long a pause says that they are complete.
const STACKS_LIMIT: Duration = Duration::from_millis(250);
const STACKS_PAUSE: Duration = Duration::from_millis(30);

/// A dump of stacks is cut at this length.
const STACKS_MAX: usize = 256 * 1024;

/// How a worker is to end.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// It has gone, or is about to: its socket is at its end. It may take a moment to be done.
    Gone {
        /// Whether it was asked to drain.
        drained: bool,
    },
    /// It has said that it cannot start, or was told to end by somebody else, and exits. It may
    /// take this long.
    Leaving(Duration),
    /// SIGTERM, then SIGKILL after `stop_grace`.
    Terminate(ExitCause),
    /// SIGKILL.
    Kill(ExitCause),
    /// SIGKILL, after it has told its stacks.
    KillWithStacks(ExitCause),
}

/// Ends a worker and all that it started, reaps it, and tells how it ended. It takes at most the
/// grace of `how` and
/// [`KILL_LIMIT`].
///
/// Cancellation safety: what was begun stays so; another end can be begun in its place.
pub(crate) async fn end(body: Rc<Body>, how: End) -> Exit {
    let child = body.child.get_ref();
    let mut stacks = None;
    let (status, cause) = match how {
        End::Gone { drained } => match within(EXIT_GRACE, exited(&body.child)).await {
            Some(status @ ExitStatus::Code(0)) if drained => (status, ExitCause::Drained),
            Some(status) => (status, ExitCause::Crashed),
            // What drains has its time from the actors, and they end it.
            None if drained => within_drain(&body).await,
            None => kill(&body, ExitCause::Disconnected).await,
        },
        End::Leaving(limit) => match within(limit, exited(&body.child)).await {
            Some(status) => (status, ExitCause::Crashed),
            None => kill(&body, ExitCause::Crashed).await,
        },
        End::Terminate(cause) => {
            // A stopped process would not hear of it.
            let grace = if body.is_stopped() { Duration::ZERO } else { body.stop_grace };
            child.signal(Signal::TERM);
            match within(grace, exited(&body.child)).await {
                Some(status) => (status, cause),
                None => kill(&body, cause).await,
            }
        }
        End::Kill(cause) => kill(&body, cause).await,
        End::KillWithStacks(cause) => {
            stacks = capture_stacks(&body).await;
            kill(&body, cause).await
        }
    };
    body.output.drained(LAST_WORDS).await;
    Exit { stderr_tail: body.output.stderr_tail(), stacks, ..Exit::new(body.pid(), status, cause) }
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    timeout(limit, future).await.ok()
}

/// The end of a worker that runs its teardown hooks after its socket was closed.
async fn within_drain(body: &Body) -> (ExitStatus, ExitCause) {
    match within(body.stop_grace, exited(&body.child)).await {
        Some(status) => (status, ExitCause::Drained),
        None => kill(body, ExitCause::Drained).await,
    }
}

/// Kills a worker. One that does not die is left to the reaper when its [`Body`] is dropped; its
/// place in the pool goes to another.
async fn kill(body: &Body, cause: ExitCause) -> (ExitStatus, ExitCause) {
    body.child.get_ref().kill();
    match within(KILL_LIMIT, exited(&body.child)).await {
        Some(status) => (status, cause),
        None => (ExitStatus::Unknown, ExitCause::Unkillable),
    }
}

/// The stacks of all threads, if the worker can tell them: it has a handler in C that needs no
/// interpreter.
async fn capture_stacks(body: &Body) -> Option<Box<str>> {
    let pid = body.pid();
    if proc::is_stopped(pid) || !proc::catches(pid, STACKS_SIGNAL) {
        return None;
    }
    let mut pipe = Receiver::from_owned_fd(body.stacks.take()?).ok()?;
    body.child.get_ref().signal(stacks_signal());
    let deadline = Instant::now() + STACKS_LIMIT;
    let mut stacks = Vec::new();
    let mut chunk = [0; 4096];
    while stacks.len() < STACKS_MAX {
        // Before the first byte there is no pause that would say that it was the last.
        let pause = if stacks.is_empty() { deadline } else { deadline.min(Instant::now() + STACKS_PAUSE) };
        match tokio::time::timeout_at(pause, pipe.read(&mut chunk)).await {
            Ok(Ok(read @ 1..)) => stacks.extend_from_slice(&chunk[..read]),
            Ok(Ok(0) | Err(_)) | Err(_) => break,
        }
    }
    (!stacks.is_empty()).then(|| String::from_utf8_lossy(&stacks).into())
}

fn stacks_signal() -> Signal {
    #[expect(unsafe_code, reason = "rustix names no real-time signals")]
    // SAFETY: the C library keeps 32 and 33 for itself, not 36.
    unsafe {
        Signal::from_raw_unchecked(STACKS_SIGNAL)
    }
}
