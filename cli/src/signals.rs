//! SIGINT and SIGTERM. The main structure is [`Signals`].

use std::fmt;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop a command. As long as this lives, they do not end the process by
/// themselves.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Whether SIGINT stops the command.
    interrupts: bool,
}

/// A signal that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    Interrupt,
    Terminate,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)?, interrupts: true })
    }

    /// As [`Signals::listen`], but SIGINT has no effect: the worker, which has the terminal,
    /// handles Ctrl-C.
    pub(crate) fn listen_beside_terminal() -> io::Result<Self> {
        Ok(Self { interrupts: false, ..Self::listen()? })
    }

    /// Waits for the next signal. Cancellation safety: no signal is lost.
    pub(crate) async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.interrupt.recv(), if self.interrupts => StopSignal::Interrupt,
            _ = self.terminate.recv() => StopSignal::Terminate,
        }
    }
}

impl StopSignal {
    /// The exit code that shells report for a process that this signal ended.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 128 + 2,
            Self::Terminate => 128 + 15,
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}
