//! The errors of starting a worker or a pool. The main structure is [`StartError`].

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::call::raised;
use super::readable::{readable_debug, write_paragraph, write_stacks, write_stderr};
use super::{ConfigError, Exit, Python};

/// How to use another interpreter.
const ANOTHER: &str = "set `python` in PoolConfig or in the configuration file, the variable \
    PYPROC_PYTHON, or --python of the command line";

/// Why a worker did not start, and with it the pool.
///
/// [`fmt::Display`] gives one sentence. [`fmt::Debug`], which `fn main() -> Result<…>` prints, adds
/// the Python traceback, or what the worker wrote last; `{:#?}` shows the fields instead.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is invalid.
    #[error("failed to use the configuration: {0}")]
    InvalidConfig(Arc<ConfigError>),
    /// No Python interpreter was found.
    #[error("failed to find a Python interpreter: {looked_for}")]
    InterpreterNotFound {
        /// The name or path that was searched for, and where.
        looked_for: Box<str>,
    },
    /// The program does not behave like a Python interpreter.
    #[error("failed to use {path:?} as a Python interpreter: {reason}")]
    InterpreterUnusable {
        /// Its path.
        path: PathBuf,
        /// What it did instead.
        reason: Box<str>,
        /// The end of its standard error.
        stderr: Box<str>,
    },
    /// The interpreter is older than Python 3.9.
    #[error("failed to use {path:?}: it is Python {found}, and 3.9 or later is needed")]
    UnsupportedVersion {
        /// Its path.
        path: PathBuf,
        /// Its version.
        found: Box<str>,
    },
    /// The worker's script does not exist.
    #[error("failed to find the worker script {path:?}")]
    ScriptNotFound {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The worker's script raised an exception while it started.
    #[error("failed to start the worker: {} ({python})", raised(type_name, message))]
    Failed {
        /// The qualified name of the exception's type.
        type_name: Box<str>,
        /// Its text.
        message: Box<str>,
        /// The traceback, as Python prints it.
        traceback: Box<str>,
        /// How the process then exited, with the last lines of its standard error.
        exit: Arc<Exit>,
        /// The interpreter that it ran on.
        python: Arc<Python>,
    },
    /// The worker exited before it was ready.
    #[error("failed to start the worker: it {} before it was ready ({python})", exit.clause())]
    Exited {
        /// How it exited, with the last lines of its standard error.
        exit: Arc<Exit>,
        /// The interpreter that it ran on.
        python: Arc<Python>,
    },
    /// The worker was not ready in time, and was killed.
    #[error("failed to start the worker: it was not ready within {after:?} ({python})")]
    TimedOut {
        /// How long the pool waited.
        after: Duration,
        /// How it exited, with the last lines of its standard error.
        exit: Arc<Exit>,
        /// The interpreter that it ran on.
        python: Arc<Python>,
    },
    /// The worker violated the protocol.
    #[error("failed to start the worker: it sent {what} ({python})")]
    Protocol {
        /// What it sent.
        what: Box<str>,
        /// How it exited, with the last lines of its standard error.
        exit: Arc<Exit>,
        /// The interpreter that it ran on.
        python: Arc<Python>,
    },
    /// A system call failed.
    #[error("failed to {operation}: {error}")]
    Io {
        /// What the pool was doing.
        operation: Cow<'static, str>,
        /// The system's error.
        error: Arc<io::Error>,
    },
    /// The worker lacks a function that was declared with [`functions!`](crate::functions), or has
    /// it with other parameters or another result.
    #[error("failed to match the functions of Rust and Python: {}", problems.join("; "))]
    Signature {
        /// The differences, one per function, with both sides.
        problems: Box<[String]>,
    },
    /// Workers became ready and exited soon after, repeatedly.
    #[error("failed to keep the workers running: the last one was ready and then {}", exit.clause())]
    Crashed {
        /// How the last one exited, with the last lines of its standard error.
        exit: Arc<Exit>,
    },
    /// An actor of the pool panicked, which is a defect of this crate: the pool never serves again.
    #[error("failed to run the pool: its {actor} panicked: {message}")]
    Panicked {
        /// Which actor: `router`, `supervisor` or `worker`.
        actor: &'static str,
        /// The panic's message.
        message: Arc<str>,
    },
    /// The pool or its arbiter stopped before the pool had started, or before the change that was
    /// asked for had finished.
    #[error("failed to wait for the workers: the pool was stopped")]
    Stopped,
}

impl StartError {
    pub(crate) fn io(operation: impl Into<Cow<'static, str>>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { operation: operation.into(), error: Arc::new(error) }
    }

    /// How the process exited, if one was started.
    #[must_use]
    pub fn exit(&self) -> Option<&Arc<Exit>> {
        match self {
            Self::Failed { exit, .. }
            | Self::Exited { exit, .. }
            | Self::TimedOut { exit, .. }
            | Self::Protocol { exit, .. }
            | Self::Crashed { exit } => Some(exit),
            _ => None,
        }
    }

    /// The last lines of the process's standard error, oldest first; usually the Python traceback.
    #[must_use]
    pub fn stderr_tail(&self) -> &[String] {
        self.exit().map_or(&[], |exit| &exit.stderr_tail)
    }

    /// The Python traceback, or the last lines of standard error if there is none.
    #[must_use]
    pub fn details(&self) -> String {
        match self {
            Self::Failed { traceback, .. } if !traceback.is_empty() => traceback.to_string(),
            Self::InterpreterUnusable { stderr, .. } => stderr.to_string(),
            _ => self.stderr_tail().join("\n"),
        }
    }

    /// What to do about it, if the error itself shows that.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Failed { type_name, python, .. } if &**type_name == "ModuleNotFoundError" => Some(format!(
                "install the module for {}, or use another interpreter: {ANOTHER}",
                python.executable.display()
            )),
            Self::InterpreterNotFound { .. }
            | Self::InterpreterUnusable { .. }
            | Self::UnsupportedVersion { .. } => Some(format!("to use another interpreter, {ANOTHER}")),
            Self::TimedOut { .. } => {
                Some("a longer `start_timeout` (--start-timeout) gives it more time".to_owned())
            }
            _ => None,
        }
    }

    fn write_details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { traceback, .. } if !traceback.is_empty() => write_paragraph(f, traceback)?,
            Self::InterpreterUnusable { stderr, .. } => write_paragraph(f, stderr)?,
            _ => write_stderr(f, self.stderr_tail())?,
        }
        if let Some(exit) = self.exit() {
            write_stacks(f, exit)?;
        }
        match self.hint() {
            Some(hint) => write!(f, "\n\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

readable_debug!(StartError {
    InvalidConfig(error),
    InterpreterNotFound { looked_for },
    InterpreterUnusable { path, reason, stderr },
    UnsupportedVersion { path, found },
    ScriptNotFound { path },
    Failed { type_name, message, traceback, exit, python },
    Exited { exit, python },
    TimedOut { after, exit, python },
    Protocol { what, exit, python },
    Io { operation, error },
    Signature { problems },
    Crashed { exit },
    Panicked { actor, message },
    Stopped,
});

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::InvalidConfig(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Exit, Python, StartError};
    use crate::error::{ConfigError, ExitCause, ExitStatus};

    fn exit(tail: &[&str]) -> Arc<Exit> {
        let mut exit = Exit::new(1, ExitStatus::Code(4), ExitCause::Crashed);
        exit.stderr_tail = tail.iter().map(ToString::to_string).collect();
        Arc::new(exit)
    }

    fn python() -> Arc<Python> {
        Arc::new(Python::new("/usr/bin/python3", "3.11.7"))
    }

    fn failed(type_name: &str) -> StartError {
        StartError::Failed {
            type_name: type_name.into(),
            message: "no".into(),
            traceback: "Traceback (most recent call last):\nE: no\n".into(),
            exit: exit(&["E: no"]),
            python: python(),
        }
    }

    #[test]
    fn failed_starts_name_their_interpreter() {
        let rows = [
            (failed("E"), "E: no"),
            (
                StartError::Exited { exit: exit(&[]), python: python() },
                "it exited with status 4 before it was ready",
            ),
            (
                StartError::TimedOut { after: Duration::from_secs(5), exit: exit(&[]), python: python() },
                "it was not ready within 5s",
            ),
            (
                StartError::Protocol { what: "a Pong".into(), exit: exit(&[]), python: python() },
                "it sent a Pong",
            ),
        ];
        for (error, text) in rows {
            let expected = format!("failed to start the worker: {text} (Python 3.11.7, /usr/bin/python3)");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn debug_is_the_sentence_the_traceback_or_standard_error_and_what_to_do() {
        let error = failed("E");
        let traceback = "\n\nTraceback (most recent call last):\nE: no";
        assert_eq!(format!("{error:?}"), format!("{error}{traceback}"));
        let error = StartError::Exited { exit: exit(&["one", "two"]), python: python() };
        let expected = format!("{error}\n\nThe last lines of its standard error:\none\ntwo");
        assert_eq!(format!("{error:?}"), expected);
        assert!(format!("{error:#?}").starts_with("Exited {\n    exit: Exit {\n"), "{error:#?}");

        let error = failed("ModuleNotFoundError");
        let hint = error.hint().expect("another interpreter may have the module");
        for way in ["/usr/bin/python3", "`python`", "PYPROC_PYTHON", "--python"] {
            assert!(hint.contains(way), "{hint}");
        }
        assert_eq!(format!("{error:?}"), format!("{error}{traceback}\n\nhint: {hint}"));
    }

    #[test]
    fn no_text_repeats_its_source() {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let config = ConfigError::Read { path: "pool.toml".into(), error: missing() };
        let text = config.to_string();
        assert_eq!(text, format!("failed to read \"pool.toml\": {}", missing()));
        assert_eq!(format!("{config:?}"), text);
        assert!(config.source().is_none());
        let error = StartError::from(config);
        assert_eq!(error.to_string(), format!("failed to use the configuration: {text}"));
        assert!(error.source().is_none());
        let error = StartError::io("watch the worker")(missing());
        assert_eq!(error.to_string(), format!("failed to watch the worker: {}", missing()));
        assert!(error.source().is_none());
    }
}
