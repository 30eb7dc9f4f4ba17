//! A running worker, apart from what is said over its socket. The main structure is [`Body`].

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::unix::AsyncFd;

use super::child::Child;
use super::output::Output;
use super::proc;
use crate::error::ExitStatus;

/// A running worker: the process, and what it writes beside the socket. Dropping it kills the
/// process.
pub(crate) struct Body {
    pub(super) child: AsyncFd<Child>,
    pub(super) output: Output,
    /// Where the stacks of the worker's threads come out, until they are asked for.
    pub(super) stacks: Cell<Option<OwnedFd>>,
    pub(super) stop_grace: Duration,
    /// When this is closed, as it is by the host's death, the kernel kills the worker's group.
    pub(super) _life: OwnedFd,
}

impl Body {
    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.get_ref().pid()
    }

    /// Makes the worker look at its slot table.
    pub(crate) fn interrupt(&self) {
        self.child.get_ref().signal(Signal::URG);
    }

    /// Sends any signal to the process.
    #[cfg(feature = "fault-injection")]
    pub(crate) fn signal(&self, signal: Signal) {
        self.child.get_ref().signal(signal);
    }

    /// Whether the process is stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        proc::is_stopped(self.pid())
    }

    /// The resident memory in bytes.
    pub(crate) fn rss(&self) -> Option<u64> {
        proc::rss(self.pid())
    }

    /// Whether the process has ended; its group is then killed and the process reaped.
    pub(crate) fn poll_exited(&self, cx: &mut Context<'_>) -> Poll<ExitStatus> {
        poll_exited(&self.child, cx)
    }
}

/// The end of a process, which is then reaped.
pub(super) async fn exited(child: &AsyncFd<Child>) -> ExitStatus {
    std::future::poll_fn(|cx| poll_exited(child, cx)).await
}

fn poll_exited(child: &AsyncFd<Child>, cx: &mut Context<'_>) -> Poll<ExitStatus> {
    loop {
        match child.poll_read_ready(cx) {
            Poll::Ready(Ok(mut ready)) => match child.get_ref().try_reap() {
                Some(status) => return Poll::Ready(status),
                None => ready.clear_ready(),
            },
            // The runtime is going away, and the process with it.
            Poll::Ready(Err(_)) | Poll::Pending => return Poll::Pending,
        }
    }
}
