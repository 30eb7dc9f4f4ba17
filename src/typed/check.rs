//! What was declared in Rust against what Python exposes. The main item is [`all`].

use super::kinds::Kinds;
use super::{Declared, Parameter};
use crate::{Codec, FunctionInfo, ParameterInfo, StartError};

/// How Python takes the one argument of a call (docs/protocol.md, section 4).
enum Binding<'a> {
    /// Nobody knows.
    Unknown,
    /// It takes none.
    Nothing,
    /// To this parameter.
    One(&'a ParameterInfo),
    /// To this parameter, unless it is null.
    Optional(&'a ParameterInfo),
    /// As keyword arguments; all have defaults, or there is one that has none.
    Keywords,
    /// As several arguments by their names.
    Several,
}

/// Whether all calls as declared would fit; the error names what does not.
pub(crate) fn all<'a>(
    declared: impl IntoIterator<Item = &'a Declared>,
    functions: &[FunctionInfo],
) -> Result<(), StartError> {
    let problems: Vec<String> =
        declared.into_iter().filter_map(|declared| problem(declared, functions)).collect();
    if problems.is_empty() { Ok(()) } else { Err(StartError::Signature { problems: problems.into() }) }
}

/// Why calls of a function as declared would fail, if they would; both sides are in the text.
fn problem(declared: &Declared, functions: &[FunctionInfo]) -> Option<String> {
    let Declared { name, result, .. } = declared;
    let sends = sends(&declared.parameters);
    let Some(function) = functions.iter().find(|function| function.name == *name) else {
        let known: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
        return Some(format!(
            "{name}: Rust sends {sends}, Python has no such function, but {}",
            known.join(", ")
        ));
    };
    if let Err(reason) = parameters(declared, function) {
        return Some(format!("{name}: Rust sends {sends}, Python takes {}{reason}", takes(function)));
    }
    let returns = function.returns.as_deref()?;
    let fits = declared.result_kinds.fit_result(Kinds::of_annotation(returns));
    (!fits).then(|| format!("{name}: Rust reads {result}, Python returns {returns}"))
}

/// The error has what is to be said beside both signatures.
fn parameters(declared: &Declared, function: &FunctionInfo) -> Result<(), String> {
    let said = |reason: &str| Err(format!(": {reason}"));
    let plain = || Err(String::new());
    match (&declared.parameters[..], binding(function)) {
        (_, Binding::Unknown) | ([], Binding::Nothing | Binding::Optional(_)) => Ok(()),
        ([], Binding::Keywords | Binding::Several) | ([_, _, ..], Binding::Keywords | Binding::Several) => {
            by_name(declared, function)
        }
        ([one], Binding::One(taken)) => kind(declared, one, taken, false),
        ([one], Binding::Optional(taken)) => kind(declared, one, taken, true),
        ([one], Binding::Keywords) if !one.kinds.fit_parameter(Kinds::DICT, true) => {
            said("it takes its parameters by their names, so one argument must be an object with them")
        }
        ([_], Binding::Keywords) => Ok(()),
        ([_, _, ..], Binding::One(_) | Binding::Optional(_)) if function.parameters.len() > 1 => {
            said("it takes one argument, because no other parameter is without default")
        }
        ([], Binding::One(_)) | ([_], Binding::Nothing | Binding::Several) | ([_, _, ..], _) => plain(),
    }
}

/// Several arguments, or none.
fn by_name(declared: &Declared, function: &FunctionInfo) -> Result<(), String> {
    let takes_more = function.parameters.iter().any(|taken| taken.kind == "var_keyword");
    let named = |taken: &&ParameterInfo| !taken.kind.starts_with("var_");
    for sent in &declared.parameters {
        match function.parameters.iter().filter(named).find(|taken| taken.name == sent.name) {
            Some(taken) => kind(declared, sent, taken, false)?,
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

fn kind(
    declared: &Declared,
    sent: &Parameter,
    taken: &ParameterInfo,
    may_be_none: bool,
) -> Result<(), String> {
    let kinds = match declared.codec {
        Codec::Json => sent.kinds.in_json(),
        Codec::Msgpack => sent.kinds,
        Codec::Bytes => Kinds::BYTES,
    };
    let annotation = taken.annotation.as_deref().unwrap_or_default();
    if kinds.fit_parameter(Kinds::of_annotation(annotation), may_be_none) {
        Ok(())
    } else {
        Err(format!(": {} is no {annotation}", sent.type_name))
    }
}

/// As the worker binds: `_bind.py`.
fn binding(function: &FunctionInfo) -> Binding<'_> {
    let parameters = &function.parameters;
    if parameters.is_empty() && function.signature.starts_with("(...)") {
        return Binding::Unknown;
    }
    let positional = || {
        parameters.iter().find(|p| ["positional_only", "positional_or_keyword"].contains(&p.kind.as_str()))
    };
    let of_kind = |kind: &str| parameters.iter().find(|p| p.kind == kind);
    match parameters.iter().filter(|p| p.required).count() {
        0 => {}
        1 if parameters.iter().any(|p| p.required && p.kind == "keyword_only") => return Binding::Keywords,
        1 => {}
        _ => return Binding::Several,
    }
    match (positional(), of_kind("var_positional")) {
        (Some(first), _) if first.required => Binding::One(first),
        (Some(first), _) => Binding::Optional(first),
        (None, Some(all)) => Binding::One(all),
        (None, None) if parameters.is_empty() => Binding::Nothing,
        (None, None) => Binding::Keywords,
    }
}

fn sends(parameters: &[Parameter]) -> String {
    let parameters: Vec<String> = parameters.iter().map(|p| format!("{}: {}", p.name, p.type_name)).collect();
    format!("({})", parameters.join(", "))
}

fn takes(function: &FunctionInfo) -> &str {
    let signature = function.signature.as_str();
    signature.rsplit_once(") -> ").map_or(signature, |(parameters, _)| &signature[..=parameters.len()])
}

#[cfg(test)]
mod tests {
    use super::problem;
    use crate::typed::kinds::Kinds;
    use crate::typed::{Declared, Parameter};
    use crate::{Codec, FunctionInfo, FunctionKind, ParameterInfo};

    const PLAIN: &str = "positional_or_keyword";

    /// A function of Python, from a name, the signature as Python prints it, and (name, kind,
    /// required, annotation).
    fn python(signature: &str, parameters: &[(&str, &str, bool, &str)]) -> FunctionInfo {
        let parameter = |&(name, kind, required, annotation): &(&str, &str, bool, &str)| ParameterInfo {
            name: name.into(),
            kind: kind.into(),
            required,
            annotation: Some(annotation.to_owned()).filter(|text| !text.is_empty()),
        };
        FunctionInfo {
            name: "f".into(),
            signature: signature.into(),
            doc: None,
            kind: FunctionKind::Sync,
            parameters: parameters.iter().map(parameter).collect(),
            returns: signature.rsplit_once(" -> ").map(|(_, returns)| returns.to_owned()),
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
        let none = python("()", &[]);
        let one = python("(a: int)", &[("a", PLAIN, true, "int")]);
        let with_default = python("(a, b=2)", &[("a", PLAIN, true, ""), ("b", PLAIN, false, "")]);
        let optional = python("(a: int = 1)", &[("a", PLAIN, false, "int")]);
        let two = python(
            "(a: int, b, c=3)",
            &[("a", PLAIN, true, "int"), ("b", "positional_only", true, ""), ("c", PLAIN, false, "")],
        );
        let all = python("(*args)", &[("args", "var_positional", false, "")]);
        let keyword = python("(*, a)", &[("a", "keyword_only", true, "")]);
        let keywords = python("(**options)", &[("options", "var_keyword", false, "")]);
        let unknown = python("(...)", &[]);

        let sends_none = rust(&[]);
        let sends_int = rust(&[("x", "i64", Kinds::INT)]);
        let sends_maybe = rust(&[("x", "Option<i64>", Kinds::INT.or(Kinds::NONE))]);
        let sends_dict = rust(&[("x", "Input", Kinds::DICT)]);
        let sends_ab = rust(&[("a", "i64", Kinds::INT), ("b", "bool", Kinds::BOOL)]);
        let sends_xb = rust(&[("x", "i64", Kinds::INT), ("b", "bool", Kinds::BOOL)]);

        let by_name = ": it takes its parameters by their names, so one argument must be an object with them";
        let one_only = ": it takes one argument, because no other parameter is without default";
        #[rustfmt::skip]
        let rows: [(&FunctionInfo, [Option<&str>; 6]); 9] = [
            // sends:          none,     int,            maybe,                        dict,
            // (a, b),                   (x, b)
            (&none,         [None,     Some(""),       Some(""),                     Some(""),                Some(""),                 Some("")]),
            (&one,          [Some(""), None,           Some(": Option<i64> is no int"), Some(": Input is no int"), Some(""),              Some("")]),
            (&with_default, [Some(""), None,           None,                         None,                    Some(one_only),           Some(one_only)]),
            (&optional,     [None,     None,           None,                         Some(": Input is no int"), Some(""),               Some("")]),
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
            &[("a", PLAIN, true, ""), ("b", PLAIN, true, ""), ("c", PLAIN, false, "")],
        );
        let told = |declared: &Declared, function: &FunctionInfo| {
            problem(declared, std::slice::from_ref(function)).expect("it does not fit")
        };
        assert_eq!(
            told(&sends_ab, &two),
            "f: Rust sends (a: i64, c: bool), Python takes (a, b, c=3): `b` is missing"
        );
        assert_eq!(told(&rust(&[]), &python("() -> str", &[])), "f: Rust reads i64, Python returns str");
        let other = FunctionInfo { name: "g".into(), ..two };
        assert_eq!(told(&rust(&[]), &other), "f: Rust sends (), Python has no such function, but g");
    }

    #[test]
    fn bytes_are_a_list_in_json_and_bytes_otherwise() {
        let function = python("(data: bytes)", &[("data", PLAIN, true, "bytes")]);
        let sends = || rust(&[("data", "Bytes", Kinds::BYTES)]);
        let found = |codec| problem(&Declared { codec, ..sends() }, std::slice::from_ref(&function));
        assert!(found(Codec::Json).is_some_and(|text| text.ends_with(": Bytes is no bytes")));
        assert_eq!(found(Codec::Msgpack), None);
        assert_eq!(found(Codec::Bytes), None);
    }
}
