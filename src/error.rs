//! The errors of calls and of starts, and how processes exit. The main structure is [`CallError`].

mod argument;
mod config;
mod exit;
mod start;

use std::sync::Arc;
use std::time::Duration;

pub use argument::ArgumentError;
pub use config::ConfigError;
pub use exit::{Exit, ExitCause, ExitStatus};
pub use start::StartError;

/// Why a call returned no reply. Every call ends exactly once, in a reply or in one of these.
///
/// [`CallError::may_have_run`] says whether the function may have run, in part or completely.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The function raised an exception. It ran once.
    #[error("{type_name}: {message}")]
    Exception {
        /// The qualified name of the exception's type.
        type_name: Box<str>,
        /// Its text.
        message: Box<str>,
        /// The traceback, as Python prints it.
        traceback: Box<str>,
    },
    /// The worker exposes no function of this name. Nothing ran.
    #[error("no function {function:?}; there are {}", known.join(", "))]
    UnknownFunction {
        /// The name that was called.
        function: Box<str>,
        /// The names of the functions that the worker exposes.
        known: Arc<[String]>,
    },
    /// The queue is full. The call did not run.
    #[error("the pool is overloaded; try again in {retry_after:?}")]
    Overloaded {
        /// After how long the queue may have room again.
        retry_after: Duration,
    },
    /// The deadline passed.
    #[error("the deadline passed {}", if *.started { "while the call ran" } else { "before the call started" })]
    DeadlineExceeded {
        /// Whether the function had started.
        started: bool,
    },
    /// The worker died while the call ran. The function may have run in part or completely.
    #[error("the worker was lost while the call ran: {exit}")]
    WorkerLost {
        /// How the worker ended.
        exit: Arc<Exit>,
        /// The last lines of its standard error, oldest first.
        stderr_tail: Arc<[String]>,
        /// Always true: a call that had not started is requeued for another worker.
        started: bool,
    },
    /// The call was running in `max_attempts` workers that died, each time as a possible cause of
    /// the death, and is not retried.
    #[error("the call was running in {attempts} workers that died, the last one {exit}")]
    Quarantined {
        /// The number of workers that died while it ran.
        attempts: u32,
        /// How the last of them exited.
        exit: Arc<Exit>,
    },
    /// No worker serves, and none is about to. The call did not run.
    #[error("no worker serves; try again in {retry_after:?}")]
    Unavailable {
        /// Why no worker serves: the error of the last start, the exit of the last worker, or the
        /// panic that stopped the pool.
        #[source]
        cause: Option<Arc<StartError>>,
        /// After how long the pool starts a worker again.
        retry_after: Duration,
    },
    /// The argument, or the result, could not be encoded.
    #[error("encode {}: {message}", if *.ran { "the result" } else { "the argument" })]
    Encode {
        /// The encoder's message.
        message: Box<str>,
        /// Whether the function ran. If so, the error is about the result, else about the argument.
        ran: bool,
    },
    /// The argument, or the result, could not be decoded.
    #[error("decode {}: {message}", if *.ran { "the result" } else { "the argument" })]
    Decode {
        /// The decoder's message.
        message: Box<str>,
        /// Whether the function ran. If so, the error is about the result, else about the argument.
        ran: bool,
    },
    /// The argument does not fit the parameters of the function or their annotations. The function
    /// did not run.
    #[error("the argument does not fit: {}", ArgumentError::list(errors))]
    InvalidArgument {
        /// What does not fit, at least one entry.
        errors: Box<[ArgumentError]>,
    },
    /// The argument, or the result, is longer than `max_frame`.
    #[error("{} is above the limit of {limit} bytes{}", if *.ran { "the result" } else { "the argument" },
        size.map_or(String::new(), |size| format!(": {size}")))]
    PayloadTooLarge {
        /// Its length in bytes, if known.
        size: Option<usize>,
        /// The maximum length in bytes.
        limit: usize,
        /// Whether the function ran. If so, the error is about the result, else about the argument.
        ran: bool,
    },
    /// The pool is shutting down. The call did not run.
    #[error("the pool is shutting down")]
    ShuttingDown,
}

impl CallError {
    /// The variant's name in snake case, as counters and logs use it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Exception { .. } => "exception",
            Self::UnknownFunction { .. } => "unknown_function",
            Self::Overloaded { .. } => "overloaded",
            Self::DeadlineExceeded { .. } => "deadline_exceeded",
            Self::WorkerLost { .. } => "worker_lost",
            Self::Quarantined { .. } => "quarantined",
            Self::Unavailable { .. } => "unavailable",
            Self::Encode { .. } => "encode",
            Self::Decode { .. } => "decode",
            Self::InvalidArgument { .. } => "invalid_argument",
            Self::PayloadTooLarge { .. } => "payload_too_large",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// Whether the function may have run, in part or completely.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        match self {
            Self::Exception { .. } | Self::WorkerLost { .. } | Self::Quarantined { .. } => true,
            Self::DeadlineExceeded { started } => *started,
            Self::Encode { ran, .. } | Self::Decode { ran, .. } | Self::PayloadTooLarge { ran, .. } => *ran,
            Self::UnknownFunction { .. }
            | Self::Overloaded { .. }
            | Self::Unavailable { .. }
            | Self::InvalidArgument { .. }
            | Self::ShuttingDown => false,
        }
    }

    /// Whether the call did not run and may succeed later, so that retrying it is safe.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Overloaded { .. } | Self::Unavailable { .. } | Self::DeadlineExceeded { started: false }
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{ArgumentError, CallError, Exit, ExitCause, ExitStatus, StartError};
    use crate::call::Reply;

    fn exit() -> Arc<Exit> {
        let status = ExitStatus::Signal { number: 9, core_dumped: false };
        Arc::new(Exit::new(1, status, ExitCause::Crashed))
    }

    #[test]
    fn result_of_a_call_is_small_enough_to_be_moved_about() {
        assert!(size_of::<CallError>() <= 64, "{}", size_of::<CallError>());
        assert!(size_of::<Result<Reply, CallError>>() <= 72);
        assert!(size_of::<StartError>() <= 128, "{}", size_of::<StartError>());
    }

    #[test]
    fn each_error_says_its_kind_whether_it_ran_and_what_happened() {
        let none: Arc<[String]> = Arc::new([]);
        let second = Duration::from_secs(1);
        let rows = [
            (
                CallError::Exception { type_name: "E".into(), message: "m".into(), traceback: "".into() },
                ("exception", true, false, "E: m"),
            ),
            (
                CallError::UnknownFunction {
                    function: "f".into(),
                    known: vec!["a".into(), "b".into()].into(),
                },
                ("unknown_function", false, false, "no function \"f\"; there are a, b"),
            ),
            (
                CallError::Overloaded { retry_after: second },
                ("overloaded", false, true, "the pool is overloaded; try again in 1s"),
            ),
            (
                CallError::DeadlineExceeded { started: true },
                ("deadline_exceeded", true, false, "the deadline passed while the call ran"),
            ),
            (
                CallError::DeadlineExceeded { started: false },
                ("deadline_exceeded", false, true, "the deadline passed before the call started"),
            ),
            (
                CallError::WorkerLost { exit: exit(), stderr_tail: none, started: true },
                ("worker_lost", true, false, "the worker was lost while the call ran: killed by SIGKILL"),
            ),
            (
                CallError::Quarantined { attempts: 3, exit: exit() },
                (
                    "quarantined",
                    true,
                    false,
                    "the call was running in 3 workers that died, the last one killed by SIGKILL",
                ),
            ),
            (
                CallError::Unavailable { cause: None, retry_after: second },
                ("unavailable", false, true, "no worker serves; try again in 1s"),
            ),
            (
                CallError::Encode { message: "NaN".into(), ran: true },
                ("encode", true, false, "encode the result: NaN"),
            ),
            (
                CallError::Decode { message: "x".into(), ran: false },
                ("decode", false, false, "decode the argument: x"),
            ),
            (
                CallError::InvalidArgument {
                    errors: [ArgumentError::new("items[2].price", "expected a float, not a str", "type")]
                        .into(),
                },
                (
                    "invalid_argument",
                    false,
                    false,
                    "the argument does not fit: items[2].price: expected a float, not a str",
                ),
            ),
            (
                CallError::PayloadTooLarge { size: Some(9), limit: 8, ran: false },
                ("payload_too_large", false, false, "the argument is above the limit of 8 bytes: 9"),
            ),
            (CallError::ShuttingDown, ("shutting_down", false, false, "the pool is shutting down")),
        ];
        for (error, expected) in rows {
            let text = error.to_string();
            assert_eq!((error.kind(), error.may_have_run(), error.is_retryable(), text.as_str()), expected);
        }
    }
}
