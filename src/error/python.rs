//! The interpreter that a worker runs on. The main structure is [`Python`].

use std::fmt;
use std::path::{Path, PathBuf};

/// A Python interpreter.
///
/// [`fmt::Display`] gives its version and its path: `Python 3.11.7, /usr/bin/python3`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Python {
    /// The path of the interpreter itself, even if a version manager's script was found.
    pub executable: PathBuf,
    /// The version, such as `3.11.7`; that of another implementation has its name, as in
    /// `3.10.14 (pypy)`.
    pub version: Box<str>,
}

impl Python {
    pub(crate) fn new(executable: impl AsRef<Path>, version: impl Into<Box<str>>) -> Self {
        Self { executable: executable.as_ref().to_owned(), version: version.into() }
    }
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Python {}, {}", self.version, self.executable.display())
    }
}
