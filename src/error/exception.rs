//! What is known of a Python exception besides its text. The main structure is [`ExceptionInfo`].

use serde_json::Value;

/// The base classes and the arguments of a Python exception.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExceptionInfo {
    /// The qualified names of the base classes of its type, in the order of Python's `__mro__`,
    /// without `object`. At most 32 of them.
    pub bases: Box<[Box<str>]>,
    /// `exception.args`, if all of them are JSON data of at most 16 KiB.
    pub args: Option<Box<[Value]>>,
}

impl ExceptionInfo {
    /// Base classes and arguments, for tests of code that handles them.
    pub fn new(
        bases: impl IntoIterator<Item = impl Into<Box<str>>>,
        args: impl IntoIterator<Item = Value>,
    ) -> Self {
        Self { bases: bases.into_iter().map(Into::into).collect(), args: Some(args.into_iter().collect()) }
    }
}
