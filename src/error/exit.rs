//! How a worker process exited. The main structure is [`Exit`].

use std::fmt;
use std::sync::Arc;

/// How a worker process exited, with its last output.
///
/// [`fmt::Display`] gives the status in one line: `killed by SIGKILL`, `exited with status 3`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// Its process id.
    pub pid: u32,
    /// The exit status that the system reported.
    pub status: ExitStatus,
    /// Why it exited.
    pub cause: ExitCause,
    /// The last lines of its standard error, oldest first.
    pub stderr_tail: Arc<[String]>,
    /// The stacks of its threads, if the pool killed it because it was stuck and it could still
    /// print them.
    pub stacks: Option<Box<str>>,
}

impl Exit {
    pub(crate) fn new(pid: u32, status: ExitStatus, cause: ExitCause) -> Self {
        Self { pid, status, cause, stderr_tail: Arc::new([]), stacks: None }
    }

    /// The status after a subject: `was killed by SIGKILL`.
    pub(super) fn clause(&self) -> String {
        let text = self.to_string();
        match text.starts_with("killed ") {
            true => format!("was {text}"),
            false => text,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cause == ExitCause::Unkillable {
            return f.write_str(
                "did not die of SIGKILL in time: it waits in the kernel or is held by a debugger",
            );
        }
        self.status.fmt(f)?;
        match &self.cause {
            ExitCause::Crashed | ExitCause::Drained | ExitCause::Unkillable => Ok(()),
            ExitCause::Stuck => f.write_str(" because a cancelled call did not end"),
            ExitCause::Stopped => f.write_str(" because it was stopped and did not continue"),
            ExitCause::DrainTimeout => f.write_str(" because it did not drain in time"),
            ExitCause::Shutdown => f.write_str(" because the pool shut down"),
            ExitCause::StartTimeout => f.write_str(" because it did not become ready in time"),
            ExitCause::Disconnected => f.write_str(" after it closed its socket"),
            ExitCause::Protocol(what) => write!(f, " after it sent {what}"),
        }
    }
}

/// The exit status of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this status.
    Code(i32),
    /// This signal killed it.
    Signal {
        /// The number of the signal.
        number: i32,
        /// Whether it left a core file.
        core_dumped: bool,
    },
    /// The host program reaped the process itself (it ignores `SIGCHLD`, or waits for any child),
    /// or the process has not exited ([`ExitCause::Unkillable`]).
    Unknown,
}

impl ExitStatus {
    /// The exit status, if it exited.
    #[must_use]
    pub const fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            _ => None,
        }
    }

    /// The signal's number, if a signal killed it.
    #[must_use]
    pub const fn signal(self) -> Option<i32> {
        match self {
            Self::Signal { number, .. } => Some(number),
            _ => None,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal { number, core_dumped } => {
                f.write_str("killed by ")?;
                match signal_name(number) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "signal {number}")?,
                }
                f.write_str(if core_dumped { " (core dumped)" } else { "" })
            }
            Self::Unknown => f.write_str("exited with an unknown status"),
        }
    }
}

/// Why a process exited.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitCause {
    /// The process exited by itself, or a signal killed it that the pool did not send.
    Crashed,
    /// The pool asked it to drain, and it did.
    Drained,
    /// The pool killed it: a cancelled call did not end within the grace period.
    Stuck,
    /// The pool killed it: it was stopped (`SIGSTOP`) and did not continue within the grace period.
    Stopped,
    /// The pool killed it: it did not drain in time.
    DrainTimeout,
    /// The pool shut down at once.
    Shutdown,
    /// The pool killed it: it was not ready within `start_timeout`.
    StartTimeout,
    /// The pool killed it: it closed its socket but did not exit.
    Disconnected,
    /// The pool sent SIGKILL and the process did not die within 5 s: it waits in the kernel (for a
    /// disk or a network file system), or a debugger holds it. The pool continues without it, and
    /// reaps it when it dies.
    Unkillable,
    /// The pool killed it: it sent bytes that violate the protocol, as the text describes.
    Protocol(Box<str>),
}

fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        16 => "SIGSTKFLT",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        26 => "SIGVTALRM",
        27 => "SIGPROF",
        29 => "SIGIO",
        30 => "SIGPWR",
        31 => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Exit, ExitCause, ExitStatus};

    #[test]
    fn exit_is_one_line_of_text() {
        let exit = |status, cause| Exit::new(1, status, cause).to_string();
        let killed = ExitStatus::Signal { number: 9, core_dumped: false };
        assert_eq!(exit(killed, ExitCause::Crashed), "killed by SIGKILL");
        assert_eq!(exit(ExitStatus::Code(3), ExitCause::Crashed), "exited with status 3");
        assert_eq!(exit(killed, ExitCause::Stuck), "killed by SIGKILL because a cancelled call did not end");
        let segv = ExitStatus::Signal { number: 11, core_dumped: true };
        assert_eq!(exit(segv, ExitCause::Crashed), "killed by SIGSEGV (core dumped)");
        let held = exit(ExitStatus::Unknown, ExitCause::Unkillable);
        assert!(held.starts_with("did not die of SIGKILL"), "{held}");
        let realtime = ExitStatus::Signal { number: 40, core_dumped: false };
        assert_eq!(exit(realtime, ExitCause::Crashed), "killed by signal 40");
    }
}
