//! The functions that a worker reports in Ready. The main structure is [`FunctionInfo`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A function that a worker exposes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FunctionInfo {
    /// The name that calls use.
    pub name: String,
    /// Its signature, as Python prints it.
    #[serde(default)]
    pub signature: String,
    /// The first line of its docstring.
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
    /// The annotation of its result, as text.
    #[serde(default)]
    pub returns: Option<String>,
    /// The type that this annotation names.
    #[serde(default)]
    pub returns_type: TypeInfo,
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
    /// The argument is passed as it is to the first parameter, which is required or `*args`.
    Whole,
    /// The argument is passed as it is to the first parameter; null stands for its default.
    WholeOrDefault,
    /// The argument is an object of keyword arguments; null stands for an empty one.
    ByName,
    /// The argument is an object of keyword arguments or an array of positional ones.
    ByNameOrPosition,
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
    /// The type that this annotation names.
    #[serde(default, rename = "type")]
    pub type_info: TypeInfo,
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

/// The type that an annotation names, as far as JSON and MessagePack can express it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TypeInfo {
    /// Any value: the annotation is missing, or does not restrict it.
    #[default]
    Any,
    /// `None`.
    None,
    /// `bool`.
    Bool,
    /// `int`.
    Int,
    /// `float`.
    Float,
    /// `str`.
    Str,
    /// `bytes`, `bytearray` or `memoryview`.
    Bytes,
    /// A list, a set or a tuple of any length, and the type of its items if that is known.
    List(Option<Box<TypeInfo>>),
    /// A sequence or an iterable, which a string is too.
    Sequence(Option<Box<TypeInfo>>),
    /// A tuple of these items.
    Tuple(Vec<TypeInfo>),
    /// A mapping, and the type of its values if that is known.
    Dict(Option<Box<TypeInfo>>),
    /// One of these types.
    Union(Vec<TypeInfo>),
    /// One of these values.
    Literal(Vec<Value>),
    /// Any other class, by its name.
    Class(String),
}

/// The golden descriptions that both languages test, in `tests/vectors`.
#[cfg(test)]
pub(crate) mod golden {
    use serde::Deserialize;
    #[cfg(feature = "http")]
    use serde_json::Value;

    use super::{FunctionInfo, TypeInfo};

    /// A function, and what each side makes of it.
    #[derive(Deserialize)]
    pub(crate) struct Function {
        pub(crate) ready: FunctionInfo,
        #[cfg(feature = "http")]
        pub(crate) body: Option<Value>,
        pub(crate) typed: Vec<(String, Option<String>)>,
    }

    /// An annotation, and what each side makes of it.
    #[derive(Deserialize)]
    pub(crate) struct Annotation {
        pub(crate) annotation: String,
        #[serde(rename = "type")]
        pub(crate) type_info: TypeInfo,
        #[cfg(feature = "http")]
        pub(crate) schema: Value,
    }

    #[derive(Deserialize)]
    struct Vectors {
        functions: Vec<Function>,
        annotations: Vec<Annotation>,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(include_str!("../../tests/vectors/functions.json"))
            .expect("the file has this form")
    }

    pub(crate) fn functions() -> Vec<Function> {
        vectors().functions
    }

    pub(crate) fn annotations() -> Vec<Annotation> {
        vectors().annotations
    }
}
