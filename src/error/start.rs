//! The errors of starting a worker or a pool. The main structure is [`StartError`].

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Exit;
use crate::error::config::ConfigError;

/// Why a worker did not start, and with it the pool.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is invalid.
    #[error("use the configuration: {0}")]
    InvalidConfig(#[source] Arc<ConfigError>),
    /// No Python interpreter was found.
    #[error("find a Python interpreter: {looked_for}")]
    InterpreterNotFound {
        /// The name or path that was searched for, and where.
        looked_for: Box<str>,
    },
    /// The program does not behave like a Python interpreter.
    #[error("use {path:?} as a Python interpreter: {reason}")]
    InterpreterUnusable {
        /// Its path.
        path: PathBuf,
        /// What it did instead, with its standard error.
        reason: Box<str>,
    },
    /// The interpreter is older than Python 3.9.
    #[error("use {path:?}: it is Python {found}, and 3.9 or later is needed")]
    UnsupportedVersion {
        /// Its path.
        path: PathBuf,
        /// Its version.
        found: Box<str>,
    },
    /// The worker's script does not exist.
    #[error("find the worker script {path:?}")]
    ScriptNotFound {
        /// The path that was tried.
        path: PathBuf,
    },
    /// The worker's script raised an exception while it started.
    #[error("start the worker: {type_name}: {message}")]
    Failed {
        /// The qualified name of the exception's type.
        type_name: Box<str>,
        /// Its text.
        message: Box<str>,
        /// The traceback, as Python prints it.
        traceback: Box<str>,
        /// How the process then exited, with the last lines of its standard error.
        exit: Arc<Exit>,
    },
    /// The worker exited before it was ready.
    #[error("start the worker: {exit} before it was ready")]
    Exited {
        /// How it exited, with the last lines of its standard error.
        exit: Arc<Exit>,
    },
    /// The worker was not ready in time, and was killed.
    #[error("start the worker: it was not ready within {after:?}")]
    TimedOut {
        /// How long the pool waited.
        after: Duration,
        /// How it exited, with the last lines of its standard error.
        exit: Arc<Exit>,
    },
    /// The worker violated the protocol.
    #[error("start the worker: it sent {what}")]
    Protocol {
        /// What it sent.
        what: Box<str>,
        /// How it exited, with the last lines of its standard error.
        exit: Arc<Exit>,
    },
    /// A system call failed.
    #[error("start the worker: {operation}: {source}")]
    Io {
        /// What the pool was doing.
        operation: &'static str,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// The worker lacks a function that was declared with [`functions!`](crate::functions), or has
    /// it with other parameters or another result.
    #[error("match the functions of Rust and Python: {}", problems.join("; "))]
    Signature {
        /// The differences, one per function, with both sides.
        problems: Box<[String]>,
    },
    /// Workers became ready and exited soon after, repeatedly.
    #[error("keep the workers running: the last one was ready and then {exit}")]
    Crashed {
        /// How the last one exited, with the last lines of its standard error.
        exit: Arc<Exit>,
    },
    /// An actor of the pool panicked, which is a defect of this crate: the pool never serves again.
    #[error("run the pool: its {actor} panicked: {message}")]
    Panicked {
        /// Which actor: `router`, `supervisor` or `worker`.
        actor: &'static str,
        /// The panic's message.
        message: Arc<str>,
    },
    /// The pool or its arbiter stopped before the pool had started, or before the change that was
    /// asked for had finished.
    #[error("start the pool: it was stopped")]
    Stopped,
}

impl StartError {
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, source: Arc::new(source) }
    }

    /// How the process exited, if one was started.
    #[must_use]
    pub fn exit(&self) -> Option<&Arc<Exit>> {
        match self {
            Self::Failed { exit, .. }
            | Self::Exited { exit }
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
            _ => self.stderr_tail().join("\n"),
        }
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::InvalidConfig(Arc::new(error))
    }
}
