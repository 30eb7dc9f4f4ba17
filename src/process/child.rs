//! A child process that is always reaped. The main structure is [`Child`].

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{OnceLock, mpsc};
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_send_signal,
    test_kill_process, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::cpu::CpuMeter;
use super::reaper;
use crate::error::ExitStatus;

/// A child process that leads its own process group, unless it shares the terminal of the host.
///
/// Signals go through its pidfd, so they never hit a later process with the same number. Dropping a
/// child kills it with its group; the reaper thread reaps it.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    fd: OwnedFd,
    status: OnceLock<ExitStatus>,
    /// Counts the processor time, if the child is a worker.
    meter: Option<CpuMeter>,
    /// Keeps the thread that forked alive: the kernel treats its end as the death of the host.
    _thread: mpsc::Sender<Infallible>,
}

impl Child {
    pub(super) fn new(pid: Pid, fd: OwnedFd, thread: mpsc::Sender<Infallible>) -> Self {
        Self { pid, fd, status: OnceLock::new(), meter: None, _thread: thread }
    }

    /// The child, whose processor time this counts.
    pub(super) fn metered(self, meter: CpuMeter) -> Self {
        let mut child = self;
        child.meter = Some(meter);
        child
    }

    /// Registers the child with the reactor, which then reports its end. It must be called on an
    /// arbiter.
    pub(super) fn watch(self) -> io::Result<AsyncFd<Self>> {
        #[expect(unsafe_code, reason = "the reactor requires a descriptor that stays open")]
        // SAFETY: `as_raw_fd` returns the pidfd, which stays open and the same as long as `self`
        // exists.
        let watched = unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) };
        watched.map_err(io::Error::from)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends a signal to the process, if it has not ended.
    pub(crate) fn signal(&self, signal: Signal) {
        // It fails if the process has ended, which the reactor reports.
        let _ = pidfd_send_signal(&self.fd, signal);
    }

    /// Kills the process and its group. The process may have left the group.
    pub(crate) fn kill(&self) {
        if self.status.get().is_none() {
            match pidfd_send_signal(&self.fd, Signal::KILL) {
                Err(Errno::SRCH) => self.kill_rest(),
                _ => kill_group(self.pid),
            }
        }
    }

    /// Kills the group after the kernel has reaped the process, as it does if the host ignores
    /// SIGCHLD. The kernel reuses the number for a process only if the group is empty.
    fn kill_rest(&self) {
        if test_kill_process(self.pid) == Err(Errno::SRCH) {
            kill_group(self.pid);
        }
    }

    /// The exit status, if the process has ended. Before it reaps the process, it kills the rest of
    /// the group; after that the kernel may reuse the number of the group.
    pub(crate) fn try_reap(&self) -> Option<ExitStatus> {
        if let Some(status) = self.status.get() {
            return Some(*status);
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let wait = |options| waitid(WaitId::PidFd(self.fd.as_fd()), options);
        let status = match wait(options | WaitIdOptions::NOWAIT) {
            Ok(None) => return None,
            Ok(Some(_)) => {
                kill_group(self.pid);
                self.meter.iter().for_each(CpuMeter::end);
                wait(options).ok().flatten().map_or(ExitStatus::Unknown, |status| read(&status))
            }
            Err(Errno::INTR) => return None,
            Err(_) => {
                self.kill_rest();
                ExitStatus::Unknown
            }
        };
        Some(*self.status.get_or_init(|| status))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        if self.status.get().is_none() {
            self.meter.iter().for_each(CpuMeter::end);
            reaper::reap(self.pid);
        }
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Child {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Kills a group. Its leader must not be reaped yet, so that the number still means this group.
pub(super) fn kill_group(leader: Pid) {
    // It fails if the group is empty.
    let _ = kill_process_group(leader, Signal::KILL);
}

fn read(status: &WaitIdStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(number)) => ExitStatus::Signal { number, core_dumped: status.dumped() },
        (None, None) => ExitStatus::Unknown,
    }
}

/// Waits for the child to end and reaps it.
pub(super) async fn exited(child: &AsyncFd<Child>) -> ExitStatus {
    std::future::poll_fn(|cx| poll_exited(child, cx)).await
}

/// Whether the child has ended. If so, its group is killed and the child reaped.
pub(super) fn poll_exited(child: &AsyncFd<Child>, cx: &mut Context<'_>) -> Poll<ExitStatus> {
    loop {
        match child.poll_read_ready(cx) {
            Poll::Ready(Ok(mut ready)) => match child.get_ref().try_reap() {
                Some(status) => return Poll::Ready(status),
                None => ready.clear_ready(),
            },
            // The runtime shuts down, and the process is dropped with it.
            Poll::Ready(Err(_)) | Poll::Pending => return Poll::Pending,
        }
    }
}
