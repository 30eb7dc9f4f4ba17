//! Parameters by name on the command line: `x=3 name=ada config:=@config.json`. The main item is
//! [`object`].

use std::fs;
use std::io;

use serde::de::IgnoredAny;

use crate::failure::Failure;

/// Whether a word gives a parameter by name. JSON never has this form: no JSON value that starts
/// with a letter has an `=`.
pub(crate) fn is_named(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_') && word.contains('=')
}

/// The JSON object of these words. Values are copied as they are, so that no number loses a digit.
///
/// # Errors
/// [`Failure::Usage`] for a name that is given twice, for text after `:=` that is not JSON, and for
/// a file that cannot be read.
pub(crate) fn object(words: &[String]) -> Result<String, Failure> {
    let mut names = Vec::with_capacity(words.len());
    let mut fields = Vec::with_capacity(words.len());
    for word in words {
        let (name, value) = field(word)?;
        if names.contains(&name) {
            return Err(Failure::Usage(format!("{name} is given twice")));
        }
        fields.push(format!("{}:{value}", serde_json::Value::from(name)));
        names.push(name);
    }
    Ok(format!("{{{}}}", fields.join(",")))
}

/// The name, and the value as JSON.
fn field(word: &str) -> Result<(&str, String), Failure> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let (name, must_be_json) = match name.strip_suffix(':') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let file = value.strip_prefix('@');
    let text = match file {
        Some(path) => read(path).map_err(|error| {
            Failure::Usage(format!("failed to read {path:?} for the parameter {name}: {error}"))
        })?,
        None => value.to_owned(),
    };
    let json = serde_json::from_str::<IgnoredAny>(&text);
    match (json, must_be_json, file) {
        (Err(error), true, _) => {
            Err(Failure::Usage(format!("the value of the parameter {name} is not JSON: {error}")))
        }
        (Ok(_), true, _) | (Ok(_), false, None) => Ok((name, text)),
        // The text of a file is a string whatever it contains.
        _ => Ok((name, serde_json::Value::from(text).to_string())),
    }
}

fn read(path: &str) -> io::Result<String> {
    match path {
        "-" => io::read_to_string(io::stdin().lock()),
        path => fs::read_to_string(path),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{is_named, object};
    use crate::failure::Failure;

    fn json(words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        assert!(words.iter().all(|word| is_named(word)), "{words:?}");
        object(&words).map_err(|failure| match failure {
            Failure::Usage(message) => message,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn values_are_json_where_they_parse_and_strings_otherwise() {
        for (words, expected) in [
            (&["x=3", "name=ada"][..], r#"{"x":3,"name":"ada"}"#),
            (&["x=123456789012345678901234567890"], r#"{"x":123456789012345678901234567890}"#),
            (&["a=", "b=01", "c=NaN", "d=a=b"], r#"{"a":"","b":"01","c":"NaN","d":"a=b"}"#),
            (&["t=true", "n=null", "l=[1, 2]", r#"s="3""#], r#"{"t":true,"n":null,"l":[1, 2],"s":"3"}"#),
            (&["x:=3", r#"y:="@a""#, "größe=1"], r#"{"x":3,"y":"@a","größe":1}"#),
            (&["q=\"\n"], r#"{"q":"\"\n"}"#),
        ] {
            assert_eq!(json(words).as_deref(), Ok(expected), "{words:?}");
        }
    }

    #[test]
    fn file_is_a_string_or_json() {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let path = directory.path().join("f");
        fs::write(&path, "[1]\n").expect("the directory is writable");
        let path = path.to_str().expect("the path is UTF-8");
        assert_eq!(json(&[&format!("x=@{path}")]).as_deref(), Ok(r#"{"x":"[1]\n"}"#));
        assert_eq!(json(&[&format!("x:=@{path}")]).as_deref(), Ok("{\"x\":[1]\n}"));
        fs::write(path, "no JSON").expect("the directory is writable");
        for word in [format!("x:=@{path}"), "x=@/is/nowhere".to_owned()] {
            let error = json(&[&word]).expect_err("it is neither JSON nor a file");
            assert!(error.contains("parameter x"), "{error}");
        }
    }

    #[test]
    fn what_is_given_twice_or_is_not_json_is_wrong_usage() {
        assert_eq!(json(&["x=1", "x=2"]), Err("x is given twice".to_owned()));
        let error = json(&["x:=ada"]).expect_err("it is not JSON");
        assert!(error.starts_with("the value of the parameter x is not JSON"), "{error}");
    }

    #[test]
    fn json_is_not_taken_for_a_name() {
        for word in [r#"{"a": "b=c"}"#, r#""a=b""#, "-1", "null", "[\"x=1\"]", "-", "3=4"] {
            assert!(!is_named(word), "{word}");
        }
    }
}
