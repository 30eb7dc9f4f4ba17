//! A child process that is always reaped. The main structure is [`Child`].

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_send_signal,
    test_kill_process, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::spawner::{self, Spawner};
use crate::error::ExitStatus;

/// A child process that leads a process group of its own.
///
/// It is signalled through its pidfd, so a process that has its number later is never hit. Dropping
/// it kills it with its group and leaves the rest to the reaper thread.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    fd: OwnedFd,
    status: OnceLock<ExitStatus>,
    /// The system takes the end of the thread that forked for the end of the host.
    _spawner: Spawner,
}

impl Child {
    pub(super) fn new(pid: Pid, fd: OwnedFd, spawner: Spawner) -> Self {
        Self { pid, fd, status: OnceLock::new(), _spawner: spawner }
    }

    /// The child with its end in the reactor's sight. It must be called on an arbiter.
    pub(super) fn watch(self) -> io::Result<AsyncFd<Self>> {
        #[expect(unsafe_code, reason = "the reactor wants a promise about the descriptor")]
        // SAFETY: `as_raw_fd` gives the pidfd, which is open and the same for as long as the child
        // lives.
        let watched = unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) };
        watched.map_err(io::Error::from)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends a signal to the process; one that has ended takes no harm.
    pub(crate) fn signal(&self, signal: Signal) {
        // It fails when the process has ended, which is told in another way.
        let _ = pidfd_send_signal(&self.fd, signal);
    }

    /// Kills the process, in whatever group it is, and all that it started in its own.
    pub(crate) fn kill(&self) {
        if self.status.get().is_none() {
            match pidfd_send_signal(&self.fd, Signal::KILL) {
                Err(Errno::SRCH) => self.kill_rest(),
                _ => kill_group(self.pid),
            }
        }
    }

    /// Kills the group after the system has reaped the process, as it does for a host that ignores
    /// SIGCHLD. A group that still has members keeps its number from new processes; if there is
    /// one, nobody is left in the group.
    fn kill_rest(&self) {
        if test_kill_process(self.pid) == Err(Errno::SRCH) {
            kill_group(self.pid);
        }
    }

    /// The exit status, if the process has ended. What is left of its group is then killed, before
    /// the number of the group can be used again.
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
            spawner::reap(self.pid);
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

/// Kills a group whose leader is not reaped, so that the number is surely that of the group.
pub(super) fn kill_group(leader: Pid) {
    // It fails when nobody is left in the group, which is what is wanted.
    let _ = kill_process_group(leader, Signal::KILL);
}

fn read(status: &WaitIdStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(number)) => ExitStatus::Signal { number, core_dumped: status.dumped() },
        (None, None) => ExitStatus::Unknown,
    }
}
