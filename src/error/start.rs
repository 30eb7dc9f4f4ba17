//! Why a worker, and with it the pool, did not start. The main structure is [`StartError`].

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Exit;
use crate::config::ConfigError;

/// Why a worker, and with it the pool, did not start.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration cannot be used.
    #[error("use the configuration: {0}")]
    InvalidConfig(#[source] Arc<ConfigError>),
    /// No Python interpreter where one was looked for.
    #[error("find a Python interpreter: {looked_for}")]
    InterpreterNotFound {
        /// What was looked for, and where.
        looked_for: Box<str>,
    },
    /// The interpreter does not do what a Python interpreter does.
    #[error("use {path:?} as a Python interpreter: {reason}")]
    InterpreterUnusable {
        /// Its path.
        path: PathBuf,
        /// What it did instead, its standard error included.
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
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The worker raised while it started.
    #[error("start the worker: {type_name}: {message}")]
    Failed {
        /// The qualified name of the exception's type.
        type_name: Box<str>,
        /// Its text.
        message: Box<str>,
        /// As Python prints it.
        traceback: Box<str>,
        /// How the process then ended; the last lines of its standard error are in it.
        exit: Arc<Exit>,
    },
    /// The worker ended before it was ready.
    #[error("start the worker: {exit} before it was ready")]
    Exited {
        /// How it ended; the last lines of its standard error are in it.
        exit: Arc<Exit>,
    },
    /// The worker was not ready in time, and was killed.
    #[error("start the worker: it was not ready within {after:?}")]
    TimedOut {
        /// The time that it had.
        after: Duration,
        /// How it ended; the last lines of its standard error are in it.
        exit: Arc<Exit>,
    },
    /// The worker does not speak the protocol.
    #[error("start the worker: it sent {what}")]
    Protocol {
        /// What it sent.
        what: Box<str>,
        /// How it ended; the last lines of its standard error are in it.
        exit: Arc<Exit>,
    },
    /// The system refused something.
    #[error("start the worker: {operation}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The workers have not the functions that were declared with [`functions!`](crate::functions),
    /// or with other parameters or results.
    #[error("match the functions of Rust and Python: {}", problems.join("; "))]
    Signature {
        /// What differs, function by function, with both sides.
        problems: Box<[String]>,
    },
    /// Workers became ready and ended soon after, again and again.
    #[error("keep the workers running: the last one was ready and then {exit}")]
    Crashed {
        /// How the last one ended; the last lines of its standard error are in it.
        exit: Arc<Exit>,
    },
    /// An actor of the pool panicked, which is a defect of this crate: the pool never serves again.
    #[error("run the pool: its {actor} panicked: {message}")]
    Panicked {
        /// Which actor: `router`, `supervisor` or `worker`.
        actor: &'static str,
        /// What the panic said.
        message: Arc<str>,
    },
    /// The pool stopped, or its arbiter did, before it had started or had changed as it was to.
    #[error("start the pool: it was stopped")]
    Stopped,
}

impl StartError {
    pub(crate) fn io(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, source: Arc::new(source) }
    }

    /// How the process ended, if there was one.
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

    /// The last lines of the process's standard error, oldest first: as a rule the Python
    /// traceback.
    #[must_use]
    pub fn stderr_tail(&self) -> &[String] {
        self.exit().map_or(&[], |exit| &exit.stderr_tail)
    }

    /// What Python says of the failure: the traceback, or else the last lines of standard error.
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
