//! What is wrong with an argument. The main structure is [`ArgumentError`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// One place where an argument does not fit the parameters of a function or their annotations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArgumentError {
    /// Where: `items[2].price`, which begins with the name of a parameter; empty for the whole
    /// argument.
    pub path: Box<str>,
    /// What does not fit: `expected a float, not a str`.
    pub message: Box<str>,
    /// `missing`, `unknown`, `type` or `value`.
    #[serde(default)]
    pub kind: Box<str>,
}

impl ArgumentError {
    /// An error at a path, for tests of code that handles it.
    pub fn new(path: impl Into<Box<str>>, message: impl Into<Box<str>>, kind: impl Into<Box<str>>) -> Self {
        Self { path: path.into(), message: message.into(), kind: kind.into() }
    }

    /// The text of several errors, on one line.
    pub(super) fn list(errors: &[Self]) -> String {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_empty() {
            true => f.write_str(&self.message),
            false => write!(f, "{}: {}", self.path, self.message),
        }
    }
}
