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
    /// What kind of error it is.
    #[serde(default)]
    pub kind: ArgumentErrorKind,
}

/// The kind of an [`ArgumentError`]. Its JSON and its text are the name in snake case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ArgumentErrorKind {
    /// A required value is absent.
    Missing,
    /// A value has a name that the function or the class does not take.
    Unknown,
    /// A value has the wrong type.
    Type,
    /// A value has the right type and is not allowed.
    Value,
    /// A kind that this version does not know.
    #[default]
    #[serde(other)]
    Other,
}

impl ArgumentError {
    /// An error at a path, for tests of code that handles it.
    pub fn new(path: impl Into<Box<str>>, message: impl Into<Box<str>>, kind: ArgumentErrorKind) -> Self {
        Self { path: path.into(), message: message.into(), kind }
    }

    /// The text of several errors, on one line.
    pub(super) fn list(errors: &[Self]) -> String {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl ArgumentErrorKind {
    /// Its name in snake case, such as `missing`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Type => "type",
            Self::Value => "value",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ArgumentErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ArgumentErrorKind::{self, Missing, Other, Type, Unknown, Value};

    #[test]
    fn text_of_a_kind_is_its_json_and_unknown_ones_are_other() {
        for kind in [Missing, Unknown, Type, Value, Other] {
            assert_eq!(json!(kind), json!(kind.to_string()));
        }
        let later: ArgumentErrorKind = serde_json::from_value(json!("later")).expect("any name is read");
        assert_eq!(later, Other);
    }
}
