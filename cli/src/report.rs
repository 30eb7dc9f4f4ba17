//! What a failed command prints on standard error. The main item is [`report`].

use actix_pyproc::error::{ArgumentError, Exit};
use actix_pyproc::{CallError, StartError};

use crate::console::{Console, note};
use crate::escape;
use crate::failure::Failure;

/// Prints what happened, without repeating what the workers have already printed.
pub(crate) fn report(failure: &Failure, console: &Console) {
    match failure {
        Failure::Usage(message) => note(format_args!("error: {message}")),
        Failure::Start(error) => start_error(error, console),
        Failure::Call(error) => call_error(error, console),
        Failure::Broken(what) => note(format_args!("error: contract violated: {what}")),
        Failure::Signal(signal) => note(format_args!("stopped by {signal}")),
        Failure::Io(error) => note(format_args!("error: {error}")),
    }
}

fn start_error(error: &StartError, console: &Console) {
    let details = error.details();
    // A worker that fails to start prints its own traceback; repeat it only if the console hid it.
    let last = details.lines().last().unwrap_or_default();
    let seen = console.shows_worker_stderr() && error.stderr_tail().iter().any(|line| line == last);
    if !seen && !details.is_empty() {
        note(details.trim_end());
    }
    if let Some(exit) = error.exit() {
        stacks(exit);
    }
    note(format_args!("error: {error}"));
    if let Some(hint) = error.hint() {
        note(format_args!("hint: {hint}"));
    }
}

fn call_error(error: &CallError, console: &Console) {
    match error {
        CallError::Exception { type_name, message, traceback, .. } => {
            note(traceback.trim_end());
            note(format_args!("error: the function raised {type_name}: {message}"));
            return;
        }
        CallError::WorkerLost { exit, stderr_tail, .. } => {
            if !console.shows_worker_stderr() && !stderr_tail.is_empty() {
                note(format_args!("the last lines of its standard error:\n{}", stderr_tail.join("\n")));
            }
            stacks(exit);
        }
        CallError::UnknownFunction { function, known } if known.is_empty() => {
            note(format_args!("error: unknown function {function:?}; the worker exposes none"));
            return;
        }
        CallError::InvalidArgument { errors } => {
            invalid_argument(errors);
            return;
        }
        CallError::Unavailable { cause: Some(cause), .. } => start_error(cause, console),
        _ => {}
    }
    note(format_args!("error: {error}"));
}

/// Prints one line per place that does not fit.
fn invalid_argument(errors: &[ArgumentError]) {
    let lines: String = errors.iter().map(|error| format!("\n{}", escape::line(error))).collect();
    note(format_args!("error: the argument does not fit the function, which did not run:{lines}"));
}

fn stacks(exit: &Exit) {
    if let Some(stacks) = &exit.stacks {
        note(format_args!("the Python stacks of the worker:\n{}", stacks.trim_end()));
    }
}
