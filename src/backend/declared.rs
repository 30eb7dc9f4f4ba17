//! Functions as declared in Rust, and the check of the functions that Python exposes against them.
//! The main item is [`check`].

use super::kinds::{Kinds, Shape};
use crate::error::StartError;
use crate::wire::Codec;
use crate::wire::function::{Binding, Definitions, FunctionInfo, ParameterInfo, ParameterKind};

/// A function as declared in Rust.
#[doc(hidden)]
#[derive(Debug, PartialEq)]
pub struct Declared {
    /// Its name in Python.
    pub name: &'static str,
    /// The arguments that are sent: one as it is, several as an object with their names.
    pub parameters: Vec<Parameter>,
    /// The type of the result, as written.
    pub result: &'static str,
    /// The kinds of values that this type can be read from.
    pub result_kinds: Kinds,
    /// The codec of the argument.
    pub codec: Codec,
}

/// A parameter as declared in Rust.
#[doc(hidden)]
#[derive(Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type, as written.
    pub type_name: &'static str,
    /// What this type is serialized as.
    pub shape: Shape,
}

/// Checks that all declared calls fit; the error names those that do not.
pub(crate) fn check<'a>(
    declared: impl IntoIterator<Item = &'a Declared>,
    functions: &[FunctionInfo],
    definitions: &Definitions,
) -> Result<(), StartError> {
    let problems: Vec<String> =
        declared.into_iter().filter_map(|declared| problem(declared, functions, definitions)).collect();
    if problems.is_empty() { Ok(()) } else { Err(StartError::Signature { problems: problems.into() }) }
}

/// Why calls of a declared function would fail, if they would. The text names both sides.
fn problem(declared: &Declared, functions: &[FunctionInfo], definitions: &Definitions) -> Option<String> {
    let Declared { name, result, codec, .. } = declared;
    let sends = sends(&declared.parameters);
    let Some(function) = functions.iter().find(|function| function.name == *name) else {
        let known: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
        return Some(format!(
            "{name}: Rust sends {sends}, Python has no such function; it has {}",
            known.join(", ")
        ));
    };
    let taker = Taker { function, definitions, codec: *codec };
    if let Err(reason) = taker.takes(&declared.parameters) {
        return Some(format!("{name}: Rust sends {sends}, Python takes {}{reason}", takes(function)));
    }
    let returns = function.returns.as_deref()?;
    let fits = declared.result_kinds.fit_result(Kinds::of_schema(&function.returns_schema, definitions));
    (!fits).then(|| format!("{name}: Rust reads {result}, Python returns {returns}"))
}

/// A Python function that gets arguments in a codec. The error of each check is a reason to append
/// to both signatures; it may be empty.
#[derive(Clone, Copy)]
struct Taker<'a> {
    function: &'a FunctionInfo,
    definitions: &'a Definitions,
    codec: Codec,
}

impl<'a> Taker<'a> {
    fn takes(self, sent: &[Parameter]) -> Result<(), String> {
        let Self { function: FunctionInfo { binding, argument, .. }, codec, .. } = self;
        match sent {
            _ if *binding == Binding::Unknown => Ok(()),
            [] => match argument {
                Some(argument) if argument.required => Err(String::new()),
                _ => Ok(()),
            },
            [_] if codec == Codec::Bytes => match argument {
                Some(argument) if argument.bytes => Ok(()),
                _ => Err(": it takes no raw bytes".into()),
            },
            [one] => self.takes_one(one),
            several => self.takes_several(several),
        }
    }

    /// Checks one argument, which is sent as it is.
    fn takes_one(self, sent: &Parameter) -> Result<(), String> {
        let first = self.function.parameters.first();
        match (self.function.binding, first) {
            (Binding::Unknown, _) => Ok(()),
            (Binding::Nothing, _) => Err(String::new()),
            (Binding::Single, Some(one)) if self.is_object_of(sent, one) => Ok(()),
            (Binding::Whole | Binding::Single, None) => Ok(()),
            (Binding::Whole | Binding::Single, Some(first)) => self.fits(sent, first, !first.required),
            (Binding::Keywords, _) => self.takes_keywords(sent),
            (Binding::Named, _) => self.takes_named(sent),
        }
    }

    /// Whether the argument is a struct with a field of this name.
    fn is_object_of(self, sent: &Parameter, one: &ParameterInfo) -> bool {
        sent.shape.fields.is_some_and(|fields| fields == [one.name.as_str()])
    }

    fn takes_keywords(self, sent: &Parameter) -> Result<(), String> {
        let required = self.required().next().is_some();
        if !self.kinds(sent).fit_parameter(Kinds::DICT, !required) {
            let reason = ": it takes its parameters by name, so one argument must be an object with them";
            return Err(reason.into());
        }
        self.has_all_required(sent)
    }

    /// Checks one argument of a function that binds by name, by position or whole. It fits if a
    /// value of one of its kinds may be bound.
    fn takes_named(self, sent: &Parameter) -> Result<(), String> {
        let (kinds, required) = (self.kinds(sent), self.required().collect::<Vec<_>>());
        let mut named = self.function.parameters.iter().filter(|taken| !taken.kind.is_variadic());
        let Some(first) = named.next() else { return self.takes_keywords(sent) };
        if kinds == Kinds::ANY {
            return Ok(());
        }
        let only_first = required.iter().all(|taken| taken.name == first.name);
        let whole = || match only_first {
            true => self.fits(sent, first, !first.required),
            false => Err(String::new()),
        };
        let mut problem = None;
        for kind in [Kinds::DICT, Kinds::LIST, kinds.without(Kinds::DICT.or(Kinds::LIST))] {
            let checked = match kind {
                _ if !kinds.meets(kind) => continue,
                Kinds::DICT => self.has_all_required(sent).or_else(|missing| match required[..] {
                    [one] if self.kinds_of(one).meets(Kinds::DICT) => Ok(()),
                    _ => Err(missing),
                }),
                Kinds::LIST if required.len() > 1 || !self.is_list(first) => {
                    Err(": Python would spread the list over its parameters".into())
                }
                _ => whole(),
            };
            match checked {
                Ok(()) => return Ok(()),
                Err(reason) => problem = problem.or(Some(reason)),
            }
        }
        problem.map_or(Ok(()), Err)
    }

    /// Checks that a struct has the required parameters among its fields, if these are known.
    fn has_all_required(self, sent: &Parameter) -> Result<(), String> {
        match self.required().find(|taken| !sent.shape.may_have(&taken.name)) {
            Some(missing) => Err(format!(": `{}` is missing", missing.name)),
            None => Ok(()),
        }
    }

    /// Checks several arguments, which are sent as an object with their names.
    fn takes_several(self, several: &[Parameter]) -> Result<(), String> {
        if !matches!(self.function.binding, Binding::Named | Binding::Keywords) {
            return Err(String::new());
        }
        let parameters = &self.function.parameters[..];
        let takes_more = parameters.iter().any(|taken| taken.kind == ParameterKind::VarKeyword);
        for sent in several {
            let named = parameters.iter().filter(|taken| !taken.kind.is_variadic());
            match named.into_iter().find(|taken| taken.name == sent.name) {
                Some(taken) => self.fits(sent, taken, false)?,
                None if takes_more => {}
                None => return Err(format!(": it has no `{}`", sent.name)),
            }
        }
        match self.required().find(|taken| several.iter().all(|sent| sent.name != taken.name)) {
            Some(missing) => Err(format!(": `{}` is missing", missing.name)),
            None => Ok(()),
        }
    }

    /// Checks one argument against the parameter that takes it.
    fn fits(self, sent: &Parameter, taken: &ParameterInfo, may_be_none: bool) -> Result<(), String> {
        if self.kinds(sent).fit_parameter(self.kinds_of(taken), may_be_none) {
            return Ok(());
        }
        let annotation = taken.annotation.as_deref().unwrap_or_default();
        let is_bytes = self.codec == Codec::Json && sent.shape.kinds == Kinds::BYTES;
        let hint = if is_bytes { " in JSON; send it `as msgpack` or `as bytes`" } else { "" };
        Err(format!(": {} does not fit {annotation}{hint}", sent.type_name))
    }

    /// The kinds of an argument on the wire.
    fn kinds(self, sent: &Parameter) -> Kinds {
        match self.codec {
            Codec::Json => sent.shape.kinds.in_json(),
            Codec::Msgpack => sent.shape.kinds,
            Codec::Bytes => Kinds::BYTES,
        }
    }

    fn kinds_of(self, taken: &ParameterInfo) -> Kinds {
        Kinds::of_schema(&taken.schema, self.definitions)
    }

    /// Whether a parameter is annotated as something that an array can be.
    fn is_list(self, taken: &ParameterInfo) -> bool {
        let kinds = self.kinds_of(taken);
        kinds != Kinds::ANY && kinds.meets(Kinds::LIST)
    }

    fn required(self) -> impl Iterator<Item = &'a ParameterInfo> {
        self.function.parameters.iter().filter(|taken| taken.required)
    }
}

fn sends(parameters: &[Parameter]) -> String {
    let parameters: Vec<String> = parameters.iter().map(|p| format!("{}: {}", p.name, p.type_name)).collect();
    format!("({})", parameters.join(", "))
}

/// The parameters in the signature, without the result.
fn takes(function: &FunctionInfo) -> &str {
    let signature = function.signature.as_str();
    let returns = function.returns.as_deref().and_then(|returns| signature.strip_suffix(returns));
    returns.and_then(|rest| rest.strip_suffix(" -> ")).unwrap_or(signature)
}

#[cfg(test)]
mod tests {
    use super::{Declared, Parameter, problem};
    use crate::backend::kinds::{Kinds, Shape};
    use crate::wire::Codec;
    use crate::wire::function::golden::{self, Bound};
    use crate::wire::function::{Definitions, FunctionInfo};

    const INPUT: Shape = Shape { kinds: Kinds::DICT, fields: Some(&["x"]) };

    fn rust(parameters: &[(&'static str, &'static str, Shape)]) -> Declared {
        let parameter = |&(name, type_name, shape): &_| Parameter { name, type_name, shape };
        Declared {
            name: "f",
            parameters: parameters.iter().map(parameter).collect(),
            result: "i64",
            result_kinds: Kinds::INT,
            codec: Codec::Json,
        }
    }

    fn golden(signature: &str) -> Bound {
        let mut all = golden::bound().into_iter();
        let found = all.find(|golden| golden.ready.signature == signature);
        found.unwrap_or_else(|| panic!("the golden functions include f{signature}"))
    }

    /// Why a call of the golden function would fail.
    fn found(declared: &Declared, signature: &str) -> Option<String> {
        let Bound { ready, definitions, .. } = golden(signature);
        let problem = problem(declared, &[ready], &definitions)?;
        let sends = super::sends(&declared.parameters);
        let start = format!("f: Rust sends {sends}, Python takes {signature}");
        Some(problem.strip_prefix(&start).unwrap_or(&problem).to_owned())
    }

    #[test]
    fn each_way_to_take_arguments_meets_each_way_to_send_them() {
        let int = || Shape::of(Kinds::INT);
        let maybe = || Shape::of(Kinds::INT.or(Kinds::NONE));
        let sends_none = rust(&[]);
        let sends_int = rust(&[("x", "i64", int())]);
        let sends_maybe = rust(&[("x", "Option<i64>", maybe())]);
        let sends_input = rust(&[("x", "Input", INPUT)]);
        let sends_map = rust(&[("x", "Map", Shape::of(Kinds::DICT))]);
        let sends_list = rust(&[("x", "Vec<i64>", Shape::of(Kinds::LIST))]);
        let sends_ab = rust(&[("a", "i64", int()), ("b", "i64", int())]);
        let sent = [sends_none, sends_int, sends_maybe, sends_input, sends_map, sends_list, sends_ab];

        let spread = Some(": Python would spread the list over its parameters");
        let object = Some(": it takes its parameters by name, so one argument must be an object with them");
        let (no, yes) = (Some(""), None::<&str>);
        #[rustfmt::skip]
        let rows: [(&str, [Option<&str>; 7]); 14] = [
            // sends:            (), i64, Option<i64>, Input {x},                       Map,
            // Vec<i64>, (a, b)
            ("()",              [yes, no, no,          no,                              no,     no,     no]),
            ("(x: float)",      [no, yes, Some(": Option<i64> does not fit float"), yes, Some(": Map does not fit float"), Some(": Vec<i64> does not fit float"), no]),
            ("(x)",             [no, yes, yes,         yes,                             yes,    yes,    no]),
            ("(x: int = 7)",    [yes, yes, yes,        yes,                             Some(": Map does not fit int"), Some(": Vec<i64> does not fit int"), no]),
            ("(x, y=2)",        [no, yes, yes,         yes,                             yes,    spread, Some(": it has no `a`")]),
            ("(a: int, b, c=3)", [no, no, no,          Some(": `a` is missing"),        yes,    spread, yes]),
            ("(a, b, /)",       [no, no,  no,          Some(": `a` is missing"),        yes,    spread, yes]),
            ("(values: list[float], scale: float = 1.0)", [no, Some(": i64 does not fit list[float]"), Some(": Option<i64> does not fit list[float]"), Some(": `values` is missing"), yes, yes, Some(": it has no `a`")]),
            ("(*, a: int)",     [no, yes, Some(": Option<i64> does not fit int"), Some(": `a` is missing"), yes, spread, Some(": it has no `b`")]),
            ("(a, *, b)",       [no, no,  no,          Some(": `a` is missing"),        yes,    spread, yes]),
            ("(a=1, *, b)",     [no, no,  no,          yes,                             yes,    spread, yes]),
            ("(**options)",     [yes, object, object,  yes,                             yes,    object, yes]),
            ("(*args)",         [yes, no, no,          no,                              no,     no,     no]),
            ("(...)",           [yes, yes, yes,        yes,                             yes,    yes,    yes]),
        ];
        for (signature, expected) in rows {
            for (declared, expected) in sent.iter().zip(expected) {
                let sends = super::sends(&declared.parameters);
                assert_eq!(found(declared, signature).as_deref(), expected, "{signature} {sends}");
            }
        }
    }

    #[test]
    fn missing_parameter_missing_function_and_other_result_are_told() {
        let boolean = Shape::of(Kinds::BOOL);
        let int = Shape::of(Kinds::INT);
        let sends_ac = rust(&[("a", "i64", int), ("c", "bool", boolean)]);
        assert_eq!(found(&sends_ac, "(a: int, b, c=3)").as_deref(), Some(": `b` is missing"));
        let other = golden("()").ready;
        let text = FunctionInfo {
            returns: Some("str".into()),
            returns_schema: serde_json::json!({"type": "string"}),
            ..other.clone()
        };
        let problem = |functions: &[FunctionInfo]| problem(&rust(&[]), functions, &Definitions::new());
        assert_eq!(problem(&[text]).as_deref(), Some("f: Rust reads i64, Python returns str"));
        let other = FunctionInfo { name: "g".into(), ..other };
        let missing = "f: Rust sends (), Python has no such function; it has g";
        assert_eq!(problem(&[other]).as_deref(), Some(missing));
    }

    #[test]
    fn bytes_are_a_list_in_json_where_python_takes_base64() {
        let sends = |codec, kinds| Declared { codec, ..rust(&[("data", "T", Shape::of(kinds))]) };
        let found = |codec, kinds| found(&sends(codec, kinds), "(data: bytes)");
        let hint = ": T does not fit bytes in JSON; send it `as msgpack` or `as bytes`";
        assert_eq!(found(Codec::Json, Kinds::BYTES).as_deref(), Some(hint));
        assert_eq!(found(Codec::Json, Kinds::STR), None);
        assert_eq!(found(Codec::Msgpack, Kinds::BYTES), None);
        assert_eq!(found(Codec::Bytes, Kinds::BYTES), None);
        let raw = sends(Codec::Bytes, Kinds::BYTES);
        assert_eq!(super::tests::found(&raw, "(x: float)").as_deref(), Some(": it takes no raw bytes"));
    }
}
