//! Why a call returned no reply. The main structure is [`CallError`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::readable::{readable_debug, write_paragraph, write_stacks, write_stderr};
use super::{ArgumentError, ExceptionInfo, Exit, StartError};

/// How many functions the text of an error lists.
const LISTED: usize = 10;

/// Why a call returned no reply. Every call ends exactly once, in a reply or in one of these.
///
/// [`CallError::may_have_run`] says whether the function may have run, in part or completely.
///
/// [`fmt::Display`] gives one sentence. [`fmt::Debug`], which `fn main() -> Result<…>` prints, adds
/// the Python traceback, or what the worker wrote last; `{:#?}` shows the fields instead.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The function raised an exception. It ran once.
    #[error("failed to finish the call: the function raised {}", raised(type_name, message))]
    Exception {
        /// The qualified name of the exception's type.
        type_name: Box<str>,
        /// Its text.
        message: Box<str>,
        /// The traceback, as Python prints it.
        traceback: Box<str>,
        /// The base classes of its type, and its arguments.
        info: Box<ExceptionInfo>,
    },
    /// The worker exposes no function of this name. Nothing ran.
    #[error("failed to start the call: unknown function {function:?}{}", exposed(function, known))]
    UnknownFunction {
        /// The name that was called.
        function: Box<str>,
        /// The names of the functions that the worker exposes.
        known: Arc<[String]>,
    },
    /// The queue is full. The call did not run.
    #[error("failed to start the call: the pool is overloaded; try again in {retry_after:?}")]
    Overloaded {
        /// After how long the queue may have room again.
        retry_after: Duration,
    },
    /// The deadline passed.
    #[error("failed to {} the call: the deadline passed{}", if *.started { "finish" } else { "start" },
        if *.started { " while it ran" } else { " before it started" })]
    DeadlineExceeded {
        /// Whether the function had started.
        started: bool,
    },
    /// The worker died while the call ran. The function may have run in part or completely.
    #[error("failed to finish the call: its worker {}", exit.clause())]
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
    #[error("failed to finish the call: it was running in {attempts} workers that died; the last one {}",
        exit.clause())]
    Quarantined {
        /// The number of workers that died while it ran.
        attempts: u32,
        /// How the last of them exited.
        exit: Arc<Exit>,
    },
    /// No worker serves, and none is about to. The call did not run.
    #[error("failed to start the call: no worker serves; try again in {retry_after:?}")]
    Unavailable {
        /// Why no worker serves: the error of the last start, the exit of the last worker, or the
        /// panic that stopped the pool.
        #[source]
        cause: Option<Arc<StartError>>,
        /// After how long the pool starts a worker again.
        retry_after: Duration,
    },
    /// The argument, or the result, could not be encoded.
    #[error("failed to encode {}: {message}", side(*ran))]
    Encode {
        /// The encoder's message.
        message: Box<str>,
        /// Whether the function ran. If so, the error is about the result, else about the argument.
        ran: bool,
    },
    /// The argument, or the result, could not be decoded.
    #[error("failed to decode {}: {message}", side(*ran))]
    Decode {
        /// The decoder's message.
        message: Box<str>,
        /// Whether the function ran. If so, the error is about the result, else about the argument.
        ran: bool,
    },
    /// The argument does not fit the parameters of the function or their annotations. The function
    /// did not run.
    #[error("failed to start the call: the argument does not fit: {}", ArgumentError::list(errors))]
    InvalidArgument {
        /// What does not fit, at least one entry.
        errors: Box<[ArgumentError]>,
    },
    /// The argument, or the result, is longer than `max_frame`.
    #[error("failed to send {}: it has {}, and the limit is {limit}", side(*ran),
        size.map_or("more bytes".to_owned(), |size| format!("{size} bytes")))]
    PayloadTooLarge {
        /// Its length in bytes, if known.
        size: Option<usize>,
        /// The maximum length in bytes.
        limit: usize,
        /// Whether the function ran. If so, the error is about the result, else about the argument.
        ran: bool,
    },
    /// The pool is shutting down. The call did not run.
    #[error("failed to start the call: the pool is shutting down")]
    ShuttingDown,
}

impl CallError {
    /// An exception without a traceback, for tests of code that handles it.
    pub fn exception(
        type_name: impl Into<Box<str>>,
        message: impl Into<Box<str>>,
        info: ExceptionInfo,
    ) -> Self {
        Self::Exception {
            type_name: type_name.into(),
            message: message.into(),
            traceback: Box::default(),
            info: Box::new(info),
        }
    }

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

    /// Whether the function raised an exception of the class `name` or of a subclass, as
    /// `except name:` would catch it.
    ///
    /// The name is qualified, except that of a builtin: `LookupError`,
    /// `json.decoder.JSONDecodeError`; classes of the worker's script are in `__main__`.
    ///
    /// ```
    /// use actix_pyproc::CallError;
    /// use actix_pyproc::error::ExceptionInfo;
    ///
    /// let bases = ["LookupError", "Exception", "BaseException"];
    /// let error = CallError::exception("KeyError", "'ada'", ExceptionInfo::new(bases, ["ada".into()]));
    /// assert!(error.is_exception("KeyError") && error.is_exception("LookupError"));
    /// assert!(!error.is_exception("ValueError"));
    /// ```
    #[must_use]
    pub fn is_exception(&self, name: &str) -> bool {
        match self {
            Self::Exception { type_name, info, .. } => {
                &**type_name == name || info.bases.iter().any(|base| &**base == name)
            }
            _ => false,
        }
    }

    /// The Python traceback, or the last lines of the worker's standard error. It is empty if there
    /// is neither.
    #[must_use]
    pub fn details(&self) -> String {
        match self {
            Self::Exception { traceback, .. } => traceback.to_string(),
            Self::WorkerLost { stderr_tail, .. } => stderr_tail.join("\n"),
            Self::Quarantined { exit, .. } => exit.stderr_tail.join("\n"),
            Self::Unavailable { cause: Some(cause), .. } => cause.details(),
            _ => String::new(),
        }
    }

    fn write_details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exception { traceback, .. } => write_paragraph(f, traceback),
            Self::WorkerLost { exit, stderr_tail, .. } => {
                write_stderr(f, stderr_tail)?;
                write_stacks(f, exit)
            }
            Self::Quarantined { exit, .. } => {
                write_stderr(f, &exit.stderr_tail)?;
                write_stacks(f, exit)
            }
            Self::Unavailable { cause: Some(cause), .. } => write!(f, "\n\nThe cause: {cause:?}"),
            _ => Ok(()),
        }
    }
}

readable_debug!(CallError {
    Exception { type_name, message, traceback, info },
    UnknownFunction { function, known },
    Overloaded { retry_after },
    DeadlineExceeded { started },
    WorkerLost { exit, stderr_tail, started },
    Quarantined { attempts, exit },
    Unavailable { cause, retry_after },
    Encode { message, ran },
    Decode { message, ran },
    InvalidArgument { errors },
    PayloadTooLarge { size, limit, ran },
    ShuttingDown,
});

/// An exception as the last line of a traceback shows it.
pub(super) fn raised(type_name: &str, message: &str) -> String {
    match message {
        "" => type_name.to_owned(),
        message => format!("{type_name}: {message}"),
    }
}

/// What an error of encoding or of size is about.
const fn side(ran: bool) -> &'static str {
    if ran { "the result" } else { "the argument" }
}

/// The function that an unknown name probably stands for, or else those that exist.
fn exposed(function: &str, known: &[String]) -> String {
    let distance = |name: &&String| strsim::osa_distance(function, name);
    match known.iter().min_by_key(distance) {
        None => "; the worker exposes none".to_owned(),
        Some(nearest) if distance(&nearest) <= 1.max(function.chars().count() / 3) => {
            format!("; did you mean {nearest:?}?")
        }
        Some(_) => {
            let more = match known.len().saturating_sub(LISTED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("; the worker exposes {}{more}", known[..known.len().min(LISTED)].join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{ArgumentError, CallError, ExceptionInfo, Exit, StartError};
    use crate::call::Reply;
    use crate::error::ArgumentErrorKind;
    use crate::error::{ExitCause, ExitStatus, Python};

    const SECOND: Duration = Duration::from_secs(1);

    fn exit() -> Arc<Exit> {
        let status = ExitStatus::Signal { number: 9, core_dumped: false };
        Arc::new(Exit::new(1, status, ExitCause::Crashed))
    }

    fn raised(message: &str, traceback: &str) -> CallError {
        let info = Box::new(ExceptionInfo::new(["Exception", "BaseException"], [message.into()]));
        CallError::Exception {
            type_name: "E".into(),
            message: message.into(),
            traceback: traceback.into(),
            info,
        }
    }

    fn unknown(function: &str, known: &[&str]) -> CallError {
        let known = known.iter().map(ToString::to_string).collect();
        CallError::UnknownFunction { function: function.into(), known }
    }

    #[test]
    fn result_of_a_call_is_small_enough_to_be_moved_about() {
        assert!(size_of::<CallError>() <= 64, "{}", size_of::<CallError>());
        assert!(size_of::<Result<Reply, CallError>>() <= 72);
        assert!(size_of::<StartError>() <= 128, "{}", size_of::<StartError>());
    }

    #[test]
    fn each_error_says_its_kind_whether_it_ran_and_what_happened() {
        let errors = ["price", "name"]
            .map(|path| ArgumentError::new(path, "expected a float", ArgumentErrorKind::Type));
        let lost = CallError::WorkerLost { exit: exit(), stderr_tail: Arc::new([]), started: true };
        let too_large = |size, ran| CallError::PayloadTooLarge { size, limit: 8, ran };
        #[rustfmt::skip]
        let rows = [
            (raised("m", ""), ("exception", true, false), "finish the call: the function raised E: m"),
            (raised("", ""), ("exception", true, false), "finish the call: the function raised E"),
            (unknown("f", &["ab", "bc"]), ("unknown_function", false, false),
                "start the call: unknown function \"f\"; the worker exposes ab, bc"),
            (CallError::Overloaded { retry_after: SECOND }, ("overloaded", false, true),
                "start the call: the pool is overloaded; try again in 1s"),
            (CallError::DeadlineExceeded { started: true }, ("deadline_exceeded", true, false),
                "finish the call: the deadline passed while it ran"),
            (CallError::DeadlineExceeded { started: false }, ("deadline_exceeded", false, true),
                "start the call: the deadline passed before it started"),
            (lost, ("worker_lost", true, false), "finish the call: its worker was killed by SIGKILL"),
            (CallError::Quarantined { attempts: 3, exit: exit() }, ("quarantined", true, false),
                "finish the call: it was running in 3 workers that died; the last one was killed by SIGKILL"),
            (CallError::Unavailable { cause: None, retry_after: SECOND }, ("unavailable", false, true),
                "start the call: no worker serves; try again in 1s"),
            (CallError::Encode { message: "NaN".into(), ran: true }, ("encode", true, false),
                "encode the result: NaN"),
            (CallError::Decode { message: "x".into(), ran: false }, ("decode", false, false),
                "decode the argument: x"),
            (CallError::InvalidArgument { errors: errors.into() }, ("invalid_argument", false, false),
                "start the call: the argument does not fit: price: expected a float; name: expected a float"),
            (too_large(Some(9), false), ("payload_too_large", false, false),
                "send the argument: it has 9 bytes, and the limit is 8"),
            (too_large(None, true), ("payload_too_large", true, false),
                "send the result: it has more bytes, and the limit is 8"),
            (CallError::ShuttingDown, ("shutting_down", false, false),
                "start the call: the pool is shutting down"),
        ];
        for (error, (kind, may_have_run, is_retryable), text) in rows {
            assert_eq!(error.to_string(), format!("failed to {text}"));
            assert_eq!(
                (error.kind(), error.may_have_run(), error.is_retryable()),
                (kind, may_have_run, is_retryable)
            );
            // Whether it ran, also in words.
            assert!(!text.starts_with("start ") || !may_have_run, "{text}");
            assert!(!text.starts_with("finish ") || may_have_run, "{text}");
        }
    }

    #[test]
    fn an_unknown_function_is_answered_with_the_nearest_or_with_those_that_exist() {
        let text =
            |error: CallError| error.to_string().split_once("; ").expect("it has two parts").1.to_owned();
        assert_eq!(text(unknown("predicd", &["fit", "predict"])), "did you mean \"predict\"?");
        assert_eq!(text(unknown("f", &[])), "the worker exposes none");
        let many: Vec<_> = (10..22).map(|n| format!("function_{n}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let listed = text(unknown("x", &many));
        assert!(listed.ends_with("function_18, function_19 and 2 more"), "{listed}");
    }

    #[test]
    fn debug_is_the_sentence_and_the_traceback_and_with_a_sharp_the_fields() {
        let traceback = "Traceback (most recent call last):\nE: m\n";
        let error = raised("m", traceback);
        assert_eq!(format!("{error:?}"), format!("{error}\n\n{}", traceback.trim_end()));
        assert!(format!("{error:#?}").starts_with("Exception {\n    type_name: \"E\",\n"), "{error:#?}");
        assert_eq!(format!("{:?}", raised("m", "")), raised("m", "").to_string());

        let mut stuck = Exit::clone(&exit());
        stuck.stacks = Some("File \"w.py\", line 3 in f\n".into());
        let tail: Arc<[String]> = ["one".to_owned(), "two".to_owned()].into();
        let lost = CallError::WorkerLost { exit: Arc::new(stuck), stderr_tail: tail, started: true };
        let expected = "failed to finish the call: its worker was killed by SIGKILL\n\n\
            The last lines of its standard error:\none\ntwo\n\n\
            The stacks of its threads:\nFile \"w.py\", line 3 in f";
        assert_eq!(format!("{lost:?}"), expected);
    }

    #[test]
    fn no_text_repeats_its_source() {
        let cause = StartError::Failed {
            type_name: "ImportError".into(),
            message: "m".into(),
            traceback: "Traceback\nImportError: m\n".into(),
            exit: exit(),
            python: Arc::new(Python::new("/py", "3.11.7")),
        };
        let cause_text = cause.to_string();
        let error = CallError::Unavailable { cause: Some(Arc::new(cause)), retry_after: SECOND };
        let source = error.source().expect("it has a cause").to_string();
        assert_eq!(source, cause_text);
        assert!(!error.to_string().contains(&source));
        let expected = format!("{error}\n\nThe cause: {cause_text}\n\nTraceback\nImportError: m");
        assert_eq!(format!("{error:?}"), expected);
    }

    #[test]
    fn an_exception_is_one_of_its_type_and_of_its_base_classes() {
        let error = raised("m", "");
        for (name, expected) in [("E", true), ("Exception", true), ("object", false), ("", false)] {
            assert_eq!(error.is_exception(name), expected, "{name}");
        }
        assert!(!CallError::ShuttingDown.is_exception("Exception"));
    }
}
