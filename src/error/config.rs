//! Why a configuration cannot be used. The main structure is [`ConfigError`].

use std::fmt;
use std::path::PathBuf;

use super::readable::readable_debug;

/// Why a configuration cannot be used.
///
/// [`fmt::Debug`], which `fn main() -> Result<…>` prints, is the same sentence as [`fmt::Display`];
/// `{:#?}` shows the fields.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A field has a value that it does not accept.
    #[error("{field} {problem}")]
    Field {
        /// The field's key: `restart.max`.
        field: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// An environment variable of the workers has a name or a value that no process can have.
    #[error("env has {name:?}, which cannot be an environment variable of a worker")]
    Env {
        /// Its name.
        name: String,
    },
    /// The text is not TOML, or a value does not fit its key.
    #[error("failed to read {}: {message}", place(path.as_ref(), None))]
    Toml {
        /// The file, if the text is from one.
        path: Option<PathBuf>,
        /// The parser's message.
        message: String,
    },
    /// The TOML has an unknown key.
    #[error("{}: unknown key `{key}`{}", place(path.as_ref(), Some(*line)), did_you_mean("`", nearest.as_ref()))]
    UnknownKey {
        /// The key, with its section: `restart.max`.
        key: String,
        /// The closest known key, if one is close.
        nearest: Option<String>,
        /// The file, if the TOML is from one.
        path: Option<PathBuf>,
        /// The key's line, from 1.
        line: usize,
    },
    /// The file cannot be read.
    #[error("failed to read {path:?}: {error}")]
    Read {
        /// Its path.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// The value of a `PYPROC_…` variable does not fit its field.
    #[error("failed to read {name}: {message}")]
    Variable {
        /// The name of the variable.
        name: String,
        /// What is wrong with its value.
        message: String,
    },
    /// A `PYPROC_…` variable names no field.
    #[error("unknown variable {name}{}", did_you_mean("", nearest.as_ref()))]
    UnknownVariable {
        /// The name of the variable.
        name: String,
        /// The closest known variable, if one is close.
        nearest: Option<String>,
    },
}

impl ConfigError {
    /// The sentence says everything.
    fn write_details(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

readable_debug!(ConfigError {
    Field { field, problem },
    Env { name },
    Toml { path, message },
    UnknownKey { key, nearest, path, line },
    Read { path, error },
    Variable { name, message },
    UnknownVariable { name, nearest },
});

fn place(path: Option<&PathBuf>, line: Option<usize>) -> String {
    match (path, line) {
        (Some(path), Some(line)) => format!("{}:{line}", path.display()),
        (Some(path), None) => path.display().to_string(),
        (None, Some(line)) => format!("line {line}"),
        (None, None) => "TOML".to_owned(),
    }
}

fn did_you_mean(quote: &str, nearest: Option<&String>) -> String {
    nearest.map_or(String::new(), |nearest| format!("; did you mean {quote}{nearest}{quote}?"))
}
