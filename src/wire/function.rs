//! The functions that a worker reports in Ready. The main structure is [`FunctionInfo`].

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The JSON Schemas of classes, by the names that references to `#/components/schemas/NAME` use.
pub type Definitions = Map<String, Value>;

/// A function that a worker exposes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FunctionInfo {
    /// The name that calls use.
    pub name: String,
    /// Its signature, as Python prints it.
    #[serde(default)]
    pub signature: String,
    /// Its docstring, without the indentation.
    #[serde(default)]
    pub doc: Option<String>,
    /// Whether its calls run concurrently.
    pub kind: FunctionKind,
    /// How the argument of a call reaches the parameters.
    #[serde(default)]
    pub binding: Binding,
    /// Its parameters, in Python's order; empty if the signature is unknown.
    #[serde(default)]
    pub parameters: Vec<ParameterInfo>,
    /// Its argument, as the binding takes it; `None` if it takes none.
    #[serde(default)]
    pub argument: Option<ArgumentInfo>,
    /// The annotation of its result, as text.
    #[serde(default)]
    pub returns: Option<String>,
    /// The JSON Schema of its result; `{}` if that can be anything.
    #[serde(default = "any")]
    pub returns_schema: Value,
    /// What the author should know, such as that the result cannot be sent.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl FunctionInfo {
    /// The first line of its docstring.
    #[must_use]
    pub fn summary(&self) -> Option<&str> {
        self.doc.as_deref()?.lines().map(str::trim).find(|line| !line.is_empty())
    }
}

/// The argument of a function: the one value that a call carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArgumentInfo {
    /// Its JSON Schema, in which a class is a reference to `#/components/schemas/…`.
    #[serde(default = "any")]
    pub schema: Value,
    /// Whether a call must have one.
    #[serde(default)]
    pub required: bool,
    /// Whether it may be raw bytes.
    #[serde(default)]
    pub bytes: bool,
}

/// The schema that accepts everything.
fn any() -> Value {
    Value::Object(Map::new())
}

/// A value that is present, even if it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// How calls of a function occupy a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FunctionKind {
    /// One after another (`def`).
    Sync,
    /// Concurrently (`async def`).
    Async,
}

/// How the one argument of a call reaches the parameters of a function. The worker decides it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Binding {
    /// The function takes no argument.
    Nothing,
    /// The argument is passed as it is to the first parameter.
    Whole,
    /// The argument is the one parameter, or an object with exactly its name as key.
    Single,
    /// The argument is an object of keyword arguments or an array of positional ones; anything else
    /// goes to the one parameter that is required.
    Named,
    /// The argument is an object of keyword arguments.
    Keywords,
    /// The signature is unknown, as that of some functions in C: the argument is passed as it is.
    #[default]
    #[serde(other)]
    Unknown,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ParameterInfo {
    /// Its name.
    pub name: String,
    /// Which arguments it takes.
    pub kind: ParameterKind,
    /// Whether it must be given an argument.
    pub required: bool,
    /// Its annotation, as text.
    #[serde(default)]
    pub annotation: Option<String>,
    /// The JSON Schema of its values; `{}` if they can be anything.
    #[serde(default = "any")]
    pub schema: Value,
    /// Its default, if it has one that JSON can express.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// Which arguments a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    /// A positional argument (before `/`).
    PositionalOnly,
    /// A positional or a keyword argument.
    PositionalOrKeyword,
    /// All further positional arguments (`*args`).
    VarPositional,
    /// A keyword argument (after `*`).
    KeywordOnly,
    /// All further keyword arguments (`**kwargs`).
    VarKeyword,
}

impl ParameterKind {
    /// Whether the parameter takes any number of arguments.
    pub(crate) const fn is_variadic(self) -> bool {
        matches!(self, Self::VarPositional | Self::VarKeyword)
    }
}

/// The golden descriptions that both languages test, in `tests/vectors`.
#[cfg(test)]
pub(crate) mod golden {
    use serde::Deserialize;
    use serde_json::Value;

    use super::{Definitions, FunctionInfo};

    /// A function, as its worker describes it.
    #[derive(Deserialize)]
    pub(crate) struct Bound {
        pub(crate) ready: FunctionInfo,
        pub(crate) definitions: Definitions,
    }

    /// An annotation, and what it means.
    #[derive(Deserialize)]
    pub(crate) struct Annotation {
        pub(crate) annotation: String,
        pub(crate) schema: Value,
    }

    #[derive(Deserialize)]
    struct Vectors {
        bound: Vec<Bound>,
        schemas: Vec<Annotation>,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(include_str!("../../tests/vectors/functions.json"))
            .expect("the file has this form")
    }

    pub(crate) fn bound() -> Vec<Bound> {
        vectors().bound
    }

    pub(crate) fn schemas() -> Vec<Annotation> {
        vectors().schemas
    }
}
