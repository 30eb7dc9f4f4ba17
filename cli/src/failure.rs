//! How a command fails: its exit code, and what it says. The main structure is [`Failure`].

use std::io;
use std::process::ExitCode;

use actix_pyproc::{CallError, ConfigError, Exit, StartError};

use crate::console::{Console, note};
use crate::signals::Signal;

/// Why a command does not end with 0.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line, the configuration or the argument makes no sense. Nothing was started.
    Usage(String),
    /// The pool could not start.
    Start(StartError),
    /// The call ended without a result.
    Call(CallError),
    /// What the pool promises did not hold.
    Broken(String),
    /// A signal ended the command.
    Signal(Signal),
    /// The system refused to read or write for us.
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
            Self::Call(_) | Self::Io(_) => 6,
            Self::Broken(_) => 6,
            Self::Signal(signal) => signal.exit_code(),
        })
    }

    /// Says on standard error what happened, as far as the workers have not said it there already.
    pub(crate) fn tell(&self, console: &Console) {
        match self {
            Self::Usage(message) => note(format_args!("error: {message}")),
            Self::Start(error) => tell_start(error, console),
            Self::Call(error) => tell_call(error, console),
            Self::Broken(what) => note(format_args!("error: the contract was broken: {what}")),
            Self::Signal(signal) => note(format_args!("stopped by {signal}")),
            Self::Io(error) => note(format_args!("error: {error}")),
        }
    }
}

fn tell_start(error: &StartError, console: &Console) {
    let details = error.details();
    // A worker that fails prints its traceback like any script; it is told here only if nobody has
    // seen that.
    let last = details.lines().last().unwrap_or_default();
    let seen = console.shows_worker_stderr() && error.stderr_tail().iter().any(|line| line == last);
    if !seen && !details.is_empty() {
        note(details.trim_end());
    }
    if let Some(exit) = error.exit() {
        tell_stacks(exit);
    }
    note(format_args!("error: failed to {error}"));
    if let StartError::TimedOut { .. } = error {
        note("hint: --start-timeout MS gives it more time");
    }
}

fn tell_call(error: &CallError, console: &Console) {
    match error {
        CallError::Exception { type_name, message, traceback } => {
            note(traceback.trim_end());
            note(format_args!("error: the function raised {type_name}: {message}"));
            return;
        }
        CallError::WorkerLost { exit, stderr_tail, .. } => {
            if !console.shows_worker_stderr() && !stderr_tail.is_empty() {
                note(format_args!("the last lines of its standard error:\n{}", stderr_tail.join("\n")));
            }
            tell_stacks(exit);
        }
        CallError::UnknownFunction { function, known } if known.is_empty() => {
            note(format_args!("error: no function {function:?}; the worker exposes none"));
            return;
        }
        CallError::Unavailable { cause: Some(cause), .. } => tell_start(cause, console),
        _ => {}
    }
    note(format_args!("error: {error}"));
}

fn tell_stacks(exit: &Exit) {
    if let Some(stacks) = &exit.stacks {
        note(format_args!("where it was:\n{}", stacks.trim_end()));
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
        Self::Usage(format!("the configuration cannot be used: {error}"))
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
