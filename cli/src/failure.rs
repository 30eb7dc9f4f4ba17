//! How a command fails, and its exit code. The main structure is [`Failure`].

use std::io;
use std::process::ExitCode;

use actix_pyproc::error::ConfigError;
use actix_pyproc::{CallError, StartError};

use crate::signals::StopSignal;

/// Why a command does not exit with 0.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line, the configuration or the argument is invalid. Nothing was started.
    Usage(String),
    /// The pool could not start.
    Start(StartError),
    /// The call ended without a result.
    Call(CallError),
    /// The pool broke a guarantee.
    Broken(String),
    /// A signal stopped the command.
    Signal(StopSignal),
    /// Reading or writing failed.
    Io(io::Error),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Call(CallError::Exception { .. }) => 1,
            Self::Usage(_) => 2,
            Self::Call(CallError::WorkerLost { .. } | CallError::Quarantined { .. }) => 3,
            Self::Call(CallError::DeadlineExceeded { .. }) => 4,
            Self::Start(_) => 5,
            Self::Call(_) | Self::Io(_) | Self::Broken(_) => 6,
            Self::Signal(signal) => signal.exit_code(),
        })
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::InvalidConfig(config) => Self::Usage(config.to_string()),
            other => Self::Start(other),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(format!("invalid configuration: {error}"))
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
