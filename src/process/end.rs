//! Ending a worker. The main item is [`end`].

use std::future::Future;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, timeout};

use super::proc;
use super::worker::{WatchedChild, WorkerProcess};
use crate::error::{Exit, ExitCause, ExitStatus};

/// The signal on which `faulthandler` writes the stacks of all threads.
pub(crate) const STACKS_SIGNAL: i32 = 36;

/// How long a worker that has closed its socket may take to exit: the interpreter closes the socket
/// before it finishes.
const EXIT_GRACE: Duration = Duration::from_millis(100);

/// How long a process may take to die of SIGKILL. A process that waits in the kernel (for a disk or
/// a network file system) or that a debugger holds may never die; one with much memory takes
/// seconds.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// How long the host reads the output of a dead worker: another process may hold the pipes open.
const OUTPUT_LIMIT: Duration = Duration::from_millis(100);

/// How long reading the stacks may take, and how long a pause means that they are complete.
const STACKS_LIMIT: Duration = Duration::from_millis(250);
const STACKS_PAUSE: Duration = Duration::from_millis(30);

/// Longer stacks are truncated.
const STACKS_MAX: usize = 256 * 1024;

/// How a worker ends.
#[derive(Clone, Debug)]
pub(crate) enum EndMode {
    /// The worker has ended or closed its socket, so it is about to exit.
    Closed {
        /// Whether the host had asked it to drain.
        drained: bool,
    },
    /// The worker exits without a request of the host: it failed to start, or somebody sent it
    /// SIGTERM. SIGKILL after this time.
    Exiting(Duration),
    /// SIGTERM, then SIGKILL after `stop_grace`.
    Terminate(ExitCause),
    /// SIGKILL.
    Kill(ExitCause),
    /// SIGKILL, after the stacks have been read.
    KillWithStacks(ExitCause),
}

/// Ends a worker and its process group, reaps it, and reports how it ended. It takes at most the
/// grace of the mode and [`KILL_LIMIT`].
///
/// Cancellation safety: signals that were sent have their effect. Another end can replace this one.
pub(crate) fn end(worker: &WorkerProcess, mode: EndMode) -> impl Future<Output = Exit> + use<> {
    let child = worker.child();
    async move {
        let mut stacks = None;
        if let EndMode::KillWithStacks(_) = mode {
            stacks = read_stacks(&child).await;
        }
        let (status, cause) = wait_or_kill(&child, mode).await;
        child.output.drained(OUTPUT_LIMIT).await;
        Exit { stderr_tail: child.output.stderr_tail(), stacks, ..Exit::new(child.pid(), status, cause) }
    }
}

async fn wait_or_kill(child: &WatchedChild, mode: EndMode) -> (ExitStatus, ExitCause) {
    match mode {
        EndMode::Closed { drained } => match within(EXIT_GRACE, child.exited()).await {
            Some(status @ ExitStatus::Code(0)) if drained => (status, ExitCause::Drained),
            Some(status) => (status, ExitCause::Crashed),
            // The actors limit how long a drain takes.
            None if drained => finish_drain(child).await,
            None => kill(child, ExitCause::Disconnected).await,
        },
        EndMode::Exiting(limit) => match within(limit, child.exited()).await {
            Some(status) => (status, ExitCause::Crashed),
            None => kill(child, ExitCause::Crashed).await,
        },
        EndMode::Terminate(cause) => {
            // A stopped process does not handle SIGTERM.
            let grace = if proc::is_stopped(child.pid()) { Duration::ZERO } else { child.stop_grace };
            child.signal(Signal::TERM);
            match within(grace, child.exited()).await {
                Some(status) => (status, cause),
                None => kill(child, cause).await,
            }
        }
        EndMode::Kill(cause) | EndMode::KillWithStacks(cause) => kill(child, cause).await,
    }
}

async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    timeout(limit, future).await.ok()
}

/// Waits for a worker that runs its teardown hooks after its socket was closed.
async fn finish_drain(child: &WatchedChild) -> (ExitStatus, ExitCause) {
    match within(child.stop_grace, child.exited()).await {
        Some(status) => (status, ExitCause::Drained),
        None => kill(child, ExitCause::Drained).await,
    }
}

/// Kills a worker. If it does not die, it is left to the reaper when the [`WorkerProcess`] is
/// dropped, and another worker takes its slot.
async fn kill(child: &WatchedChild, cause: ExitCause) -> (ExitStatus, ExitCause) {
    child.child.get_ref().kill();
    match within(KILL_LIMIT, child.exited()).await {
        Some(status) => (status, cause),
        None => (ExitStatus::Unknown, ExitCause::Unkillable),
    }
}

/// The stacks of all threads, if the worker can write them. Its handler is written in C, so it
/// works while the interpreter is stuck.
async fn read_stacks(child: &WatchedChild) -> Option<Box<str>> {
    let pid = child.pid();
    if proc::is_stopped(pid) || !proc::catches(pid, STACKS_SIGNAL) {
        return None;
    }
    let mut pipe = Receiver::from_owned_fd(child.stacks.take()?).ok()?;
    child.signal(stacks_signal());
    let deadline = Instant::now() + STACKS_LIMIT;
    let mut stacks = Vec::new();
    let mut chunk = [0; 4096];
    while stacks.len() < STACKS_MAX {
        // Before the first byte a pause does not mean that the stacks are complete.
        let pause = if stacks.is_empty() { deadline } else { deadline.min(Instant::now() + STACKS_PAUSE) };
        match tokio::time::timeout_at(pause, pipe.read(&mut chunk)).await {
            Ok(Ok(read @ 1..)) => stacks.extend_from_slice(&chunk[..read]),
            Ok(Ok(0) | Err(_)) | Err(_) => break,
        }
    }
    (!stacks.is_empty()).then(|| String::from_utf8_lossy(&stacks).into())
}

fn stacks_signal() -> Signal {
    #[expect(unsafe_code, reason = "rustix has no names for real-time signals")]
    // SAFETY: the C library reserves the signals 32 and 33, not 36.
    unsafe {
        Signal::from_raw_unchecked(STACKS_SIGNAL)
    }
}
