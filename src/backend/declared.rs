//! Functions as declared in Rust, and the check of the functions that Python exposes against them.
//! The main item is [`check`].

use super::kinds::Kinds;
use crate::error::StartError;
use crate::wire::Codec;
use crate::wire::function::{Binding, FunctionInfo, ParameterInfo, ParameterKind};

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
    /// The kinds of values that this type is serialized as.
    pub kinds: Kinds,
}

/// Checks that all declared calls fit; the error names those that do not.
pub(crate) fn check<'a>(
    declared: impl IntoIterator<Item = &'a Declared>,
    functions: &[FunctionInfo],
) -> Result<(), StartError> {
    let problems: Vec<String> =
        declared.into_iter().filter_map(|declared| problem(declared, functions)).collect();
    if problems.is_empty() { Ok(()) } else { Err(StartError::Signature { problems: problems.into() }) }
}

/// Why calls of a declared function would fail, if they would. The text names both sides.
fn problem(declared: &Declared, functions: &[FunctionInfo]) -> Option<String> {
    let Declared { name, result, .. } = declared;
    let sends = sends(&declared.parameters);
    let Some(function) = functions.iter().find(|function| function.name == *name) else {
        let known: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
        return Some(format!(
            "{name}: Rust sends {sends}, Python has no such function; it has {}",
            known.join(", ")
        ));
    };
    if let Err(reason) = parameters(declared, function) {
        return Some(format!("{name}: Rust sends {sends}, Python takes {}{reason}", takes(function)));
    }
    let returns = function.returns.as_deref()?;
    let fits = declared.result_kinds.fit_result(Kinds::of_type(&function.returns_type));
    (!fits).then(|| format!("{name}: Rust reads {result}, Python returns {returns}"))
}

/// Checks the arguments. The error is a reason to append to both signatures; it may be empty.
fn parameters(declared: &Declared, function: &FunctionInfo) -> Result<(), String> {
    let because = |reason: &str| Err(format!(": {reason}"));
    let taken = &function.parameters[..];
    match (&declared.parameters[..], function.binding) {
        (_, Binding::Unknown | Binding::Single | Binding::Named | Binding::Keywords)
        | ([], Binding::Nothing | Binding::WholeOrDefault) => Ok(()),
        ([] | [_, _, ..], Binding::ByName | Binding::ByNameOrPosition) => by_name(declared, function),
        ([one], Binding::Whole) => kind(declared, one, taken.first(), false),
        ([one], Binding::WholeOrDefault) => kind(declared, one, taken.first(), true),
        ([one], Binding::ByName) if !one.kinds.fit_parameter(Kinds::DICT, true) => {
            because("it takes its parameters by name, so one argument must be an object with them")
        }
        ([_], Binding::ByName) => Ok(()),
        ([_, _, ..], Binding::Whole | Binding::WholeOrDefault) if taken.len() > 1 => {
            because("it takes one argument, because its other parameters are optional")
        }
        ([], Binding::Whole)
        | ([_], Binding::Nothing | Binding::ByNameOrPosition)
        | ([_, _, ..], Binding::Nothing | Binding::Whole | Binding::WholeOrDefault) => Err(String::new()),
    }
}

/// Checks several arguments, or none, that are bound by name.
fn by_name(declared: &Declared, function: &FunctionInfo) -> Result<(), String> {
    let takes_more = function.parameters.iter().any(|taken| taken.kind == ParameterKind::VarKeyword);
    let named = |taken: &&ParameterInfo| !taken.kind.is_variadic();
    for sent in &declared.parameters {
        match function.parameters.iter().filter(named).find(|taken| taken.name == sent.name) {
            found @ Some(_) => kind(declared, sent, found, false)?,
            None if takes_more => {}
            None => return Err(format!(": it has no `{}`", sent.name)),
        }
    }
    let is_sent = |taken: &ParameterInfo| declared.parameters.iter().any(|sent| sent.name == taken.name);
    match function.parameters.iter().find(|taken| taken.required && !is_sent(taken)) {
        Some(missing) if !declared.parameters.is_empty() => Err(format!(": `{}` is missing", missing.name)),
        Some(_) => Err(String::new()),
        None => Ok(()),
    }
}

/// Checks one argument against the parameter that takes it.
fn kind(
    declared: &Declared,
    sent: &Parameter,
    taken: Option<&ParameterInfo>,
    may_be_none: bool,
) -> Result<(), String> {
    let Some(taken) = taken else { return Ok(()) };
    let kinds = match declared.codec {
        Codec::Json => sent.kinds.in_json(),
        Codec::Msgpack => sent.kinds,
        Codec::Bytes => Kinds::BYTES,
    };
    if kinds.fit_parameter(Kinds::of_type(&taken.type_info), may_be_none) {
        Ok(())
    } else {
        let annotation = taken.annotation.as_deref().unwrap_or_default();
        Err(format!(": {} does not fit {annotation}", sent.type_name))
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
    use crate::backend::kinds::Kinds;
    use crate::wire::Codec;
    use crate::wire::function::{
        Binding, FunctionInfo, FunctionKind, ParameterInfo, ParameterKind, TypeInfo, golden,
    };

    const PLAIN: ParameterKind = ParameterKind::PositionalOrKeyword;

    /// A function of Python, from the signature as Python prints it, how its argument is bound, and
    /// (name, kind, required, annotation).
    fn python(
        signature: &str,
        binding: Binding,
        parameters: &[(&str, ParameterKind, bool, &str)],
    ) -> FunctionInfo {
        let type_info = |annotation: &str| match annotation {
            "int" => TypeInfo::Int,
            "str" => TypeInfo::Str,
            "bytes" => TypeInfo::Bytes,
            _ => TypeInfo::Any,
        };
        let parameter =
            |&(name, kind, required, annotation): &(&str, ParameterKind, bool, &str)| ParameterInfo {
                name: name.into(),
                kind,
                required,
                annotation: Some(annotation.to_owned()).filter(|text| !text.is_empty()),
                type_info: type_info(annotation),
                schema: serde_json::json!({}),
                default: None,
            };
        let returns = signature.rsplit_once(" -> ").map(|(_, returns)| returns);
        FunctionInfo {
            name: "f".into(),
            signature: signature.into(),
            doc: None,
            kind: FunctionKind::Sync,
            binding,
            parameters: parameters.iter().map(parameter).collect(),
            returns: returns.map(Into::into),
            returns_type: returns.map(type_info).unwrap_or_default(),
            argument: None,
            returns_schema: serde_json::json!({}),
            warnings: Vec::new(),
        }
    }

    fn rust(parameters: &[(&'static str, &'static str, Kinds)]) -> Declared {
        let parameter = |&(name, type_name, kinds): &_| Parameter { name, type_name, kinds };
        Declared {
            name: "f",
            parameters: parameters.iter().map(parameter).collect(),
            result: "i64",
            result_kinds: Kinds::INT,
            codec: Codec::Json,
        }
    }

    #[test]
    fn each_way_to_take_arguments_meets_each_way_to_send_them() {
        let none = python("()", Binding::Nothing, &[]);
        let one = python("(a: int)", Binding::Whole, &[("a", PLAIN, true, "int")]);
        let with_default =
            python("(a, b=2)", Binding::Whole, &[("a", PLAIN, true, ""), ("b", PLAIN, false, "")]);
        let optional = python("(a: int = 1)", Binding::WholeOrDefault, &[("a", PLAIN, false, "int")]);
        let two = python(
            "(a: int, b, c=3)",
            Binding::ByNameOrPosition,
            &[
                ("a", PLAIN, true, "int"),
                ("b", ParameterKind::PositionalOnly, true, ""),
                ("c", PLAIN, false, ""),
            ],
        );
        let all = python("(*args)", Binding::Whole, &[("args", ParameterKind::VarPositional, false, "")]);
        let keyword = python("(*, a)", Binding::ByName, &[("a", ParameterKind::KeywordOnly, true, "")]);
        let keywords =
            python("(**options)", Binding::ByName, &[("options", ParameterKind::VarKeyword, false, "")]);
        let unknown = python("(...)", Binding::Unknown, &[]);

        let sends_none = rust(&[]);
        let sends_int = rust(&[("x", "i64", Kinds::INT)]);
        let sends_maybe = rust(&[("x", "Option<i64>", Kinds::INT.or(Kinds::NONE))]);
        let sends_dict = rust(&[("x", "Input", Kinds::DICT)]);
        let sends_ab = rust(&[("a", "i64", Kinds::INT), ("b", "bool", Kinds::BOOL)]);
        let sends_xb = rust(&[("x", "i64", Kinds::INT), ("b", "bool", Kinds::BOOL)]);

        let by_name = ": it takes its parameters by name, so one argument must be an object with them";
        let one_only = ": it takes one argument, because its other parameters are optional";
        #[rustfmt::skip]
        let rows: [(&FunctionInfo, [Option<&str>; 6]); 9] = [
            // sends:          none,     int,            maybe,                        dict,
            // (a, b),                   (x, b)
            (&none,         [None,     Some(""),       Some(""),                     Some(""),                Some(""),                 Some("")]),
            (&one,          [Some(""), None,           Some(": Option<i64> does not fit int"), Some(": Input does not fit int"), Some(""),              Some("")]),
            (&with_default, [Some(""), None,           None,                         None,                    Some(one_only),           Some(one_only)]),
            (&optional,     [None,     None,           None,                         Some(": Input does not fit int"), Some(""),               Some("")]),
            (&two,          [Some(""), Some(""),       Some(""),                     Some(""),                None,                     Some(": it has no `x`")]),
            (&all,          [Some(""), None,           None,                         None,                    Some(""),                 Some("")]),
            (&keyword,      [Some(""), Some(by_name),  Some(by_name),                None,                    Some(": it has no `b`"),  Some(": it has no `x`")]),
            (&keywords,     [None,     Some(by_name),  Some(by_name),                None,                    None,                     None]),
            (&unknown,      [None,     None,           None,                         None,                    None,                     None]),
        ];
        let sent = [&sends_none, &sends_int, &sends_maybe, &sends_dict, &sends_ab, &sends_xb];
        for (function, expected) in rows {
            for (declared, expected) in sent.into_iter().zip(expected) {
                let found = problem(declared, std::slice::from_ref(function));
                let expected = expected.map(|reason| {
                    let sends = super::sends(&declared.parameters);
                    format!("f: Rust sends {sends}, Python takes {}{reason}", function.signature)
                });
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn missing_parameter_missing_function_and_other_result_are_told() {
        let sends_ab = rust(&[("a", "i64", Kinds::INT), ("c", "bool", Kinds::BOOL)]);
        let two = python(
            "(a, b, c=3) -> str",
            Binding::ByNameOrPosition,
            &[("a", PLAIN, true, ""), ("b", PLAIN, true, ""), ("c", PLAIN, false, "")],
        );
        let found = |declared: &Declared, function: &FunctionInfo| {
            problem(declared, std::slice::from_ref(function)).expect("it does not fit")
        };
        assert_eq!(
            found(&sends_ab, &two),
            "f: Rust sends (a: i64, c: bool), Python takes (a, b, c=3): `b` is missing"
        );
        assert_eq!(
            found(&rust(&[]), &python("() -> str", Binding::Nothing, &[])),
            "f: Rust reads i64, Python returns str"
        );
        let other = FunctionInfo { name: "g".into(), ..two };
        assert_eq!(found(&rust(&[]), &other), "f: Rust sends (), Python has no such function; it has g");
    }

    #[test]
    fn bytes_are_a_list_in_json_and_bytes_otherwise() {
        let function = python("(data: bytes)", Binding::Whole, &[("data", PLAIN, true, "bytes")]);
        let sends = || rust(&[("data", "Bytes", Kinds::BYTES)]);
        let found = |codec| problem(&Declared { codec, ..sends() }, std::slice::from_ref(&function));
        assert!(found(Codec::Json).is_some_and(|text| text.ends_with(": Bytes does not fit bytes")));
        assert_eq!(found(Codec::Msgpack), None);
        assert_eq!(found(Codec::Bytes), None);
    }

    #[test]
    fn golden_functions_fit_what_their_workers_bind() {
        let declared = |sent: &str| match sent {
            "()" => rust(&[]),
            "(x: i64)" => rust(&[("x", "i64", Kinds::INT)]),
            "(x: Input)" => rust(&[("x", "Input", Kinds::DICT)]),
            "(a: i64, b: bool)" => rust(&[("a", "i64", Kinds::INT), ("b", "bool", Kinds::BOOL)]),
            _ => panic!("a golden function has another declaration: {sent}"),
        };
        for golden in golden::functions() {
            for (sent, expected) in golden.typed {
                let function = &golden.ready;
                let found = problem(&declared(&sent), std::slice::from_ref(function));
                let text =
                    |reason| format!("f: Rust sends {sent}, Python takes {}{reason}", function.signature);
                assert_eq!(found, expected.map(text));
            }
        }
    }
}
