//! Errors as a worker would cause them, for tests of code that handles them. The main item is
//! [`CallError::raised`].

use std::sync::Arc;

use crate::error::{ArgumentError, CallError, ExceptionInfo, Exit, ExitCause, ExitStatus};

/// With the feature `testing`. Variants without such a function are built by their fields.
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
impl CallError {
    /// The exception that a function raised, such as `("ValueError", "the value is negative")`.
    /// [`CallError::exception`] also takes base classes and arguments.
    pub fn raised(type_name: impl Into<Box<str>>, message: impl Into<Box<str>>) -> Self {
        Self::exception(type_name, message, ExceptionInfo::default())
    }

    /// The death of the worker that ran the call.
    #[must_use]
    pub fn worker_lost(exit: Exit) -> Self {
        let stderr_tail = Arc::clone(&exit.stderr_tail);
        Self::WorkerLost { exit: Arc::new(exit), stderr_tail, started: true }
    }

    /// An argument that does not fit the function.
    pub fn invalid_argument(errors: impl IntoIterator<Item = ArgumentError>) -> Self {
        Self::InvalidArgument { errors: errors.into_iter().collect() }
    }

    /// A call of a function that does not exist, from a worker that has the functions `known`.
    pub fn unknown_function<T: Into<String>>(
        function: impl Into<Box<str>>,
        known: impl IntoIterator<Item = T>,
    ) -> Self {
        Self::UnknownFunction {
            function: function.into(),
            known: known.into_iter().map(Into::into).collect(),
        }
    }
}

/// With the feature `testing`. The fields can be changed.
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
impl Exit {
    /// The end of a worker that a signal killed, such as 11 for SIGSEGV.
    #[must_use]
    pub fn by_signal(number: i32) -> Self {
        Self::new(0, ExitStatus::Signal { number, core_dumped: false }, ExitCause::Crashed)
    }

    /// The end of a worker that exited with a status.
    #[must_use]
    pub fn with_code(code: i32) -> Self {
        Self::new(0, ExitStatus::Code(code), ExitCause::Crashed)
    }

    /// Sets the last lines of standard error.
    #[must_use]
    pub fn stderr<T: Into<String>>(mut self, lines: impl IntoIterator<Item = T>) -> Self {
        self.stderr_tail = lines.into_iter().map(Into::into).collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use crate::error::{ArgumentError, ArgumentErrorKind, CallError, Exit};

    #[test]
    fn each_error_is_as_a_worker_would_cause_it() {
        let lost = CallError::worker_lost(Exit::by_signal(11).stderr(["Segmentation fault"]));
        assert!(lost.may_have_run() && lost.to_string().contains("SIGSEGV"), "{lost}");
        let CallError::WorkerLost { stderr_tail, .. } = lost else { panic!("{lost:?}") };
        assert_eq!(*stderr_tail, ["Segmentation fault"]);
        let raised = CallError::raised("ValueError", "negative");
        assert!(raised.may_have_run() && raised.to_string().contains("ValueError: negative"), "{raised}");
        let invalid =
            CallError::invalid_argument([ArgumentError::new("x", "missing", ArgumentErrorKind::Missing)]);
        assert!(!invalid.may_have_run() && invalid.to_string().contains("x: missing"), "{invalid}");
        let unknown = CallError::unknown_function("predict", ["g", "h"]);
        assert!(unknown.to_string().contains("predict"), "{unknown}");
        assert_eq!(Exit::with_code(3).status.code(), Some(3));
    }
}
