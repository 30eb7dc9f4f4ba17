//! A running worker. The main structure is [`WorkerProcess`].

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::unix::AsyncFd;

use super::child::{self, Child};
use super::connection::Connection;
use super::output::Output;
use super::proc;
use super::table::SlotTable;
use crate::error::ExitStatus;

/// A running worker: its process, its socket and its slot table. Dropping it kills the process.
pub(crate) struct WorkerProcess {
    /// The first field, so that the process is killed before its socket is closed.
    child: Rc<WatchedChild>,
    pub(crate) connection: Connection,
    pub(crate) table: SlotTable,
}

/// The part of a worker that its end needs: the child process and its output. It is shared with the
/// future that ends the worker. Dropping it kills the process.
pub(super) struct WatchedChild {
    pub(super) child: AsyncFd<Child>,
    pub(super) output: Output,
    /// The pipe that `faulthandler` writes the stacks of all threads to, until the host reads it.
    pub(super) stacks: Cell<Option<OwnedFd>>,
    pub(super) stop_grace: Duration,
    /// When this end of the pipe is closed, as on the death of the host, the kernel kills the
    /// process group of the worker.
    pub(super) _life: OwnedFd,
}

impl WorkerProcess {
    pub(super) fn new(child: WatchedChild, connection: Connection, table: SlotTable) -> Self {
        Self { child: Rc::new(child), connection, table }
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Makes the worker read the marks of its slot table.
    pub(crate) fn interrupt(&self) {
        self.child.signal(Signal::URG);
    }

    /// Whether the process is stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        proc::is_stopped(self.pid())
    }

    /// The resident memory in bytes.
    pub(crate) fn rss(&self) -> Option<u64> {
        proc::rss(self.pid())
    }

    /// Whether the process has ended. If so, its group is killed and the process reaped.
    pub(crate) fn poll_exited(&self, cx: &mut Context<'_>) -> Poll<ExitStatus> {
        child::poll_exited(&self.child.child, cx)
    }

    /// The part that the end of the worker needs.
    pub(super) fn child(&self) -> Rc<WatchedChild> {
        Rc::clone(&self.child)
    }
}

#[cfg(feature = "fault-injection")]
impl WorkerProcess {
    /// Sends SIGKILL to the process alone, not to its group.
    pub(crate) fn kill_process(&self) {
        self.child.signal(Signal::KILL);
    }

    /// Stops the process and resumes it after this time, or never.
    pub(crate) fn stop(&self, resume_after: Option<Duration>) {
        self.child.signal(Signal::STOP);
        let Some(time) = resume_after else { return };
        let child = Rc::downgrade(&self.child);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(time).await;
            if let Some(child) = child.upgrade() {
                child.signal(Signal::CONT);
            }
        });
    }
}

impl WatchedChild {
    pub(super) fn pid(&self) -> u32 {
        self.child.get_ref().pid()
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.child.get_ref().signal(signal);
    }

    /// Waits for the process to end and reaps it.
    pub(super) async fn exited(&self) -> ExitStatus {
        child::exited(&self.child).await
    }
}
