//! The argument of a call, which is read and checked before the pool starts. The main structure is
//! [`Argument`].

use std::borrow::Cow;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use actix_pyproc::{Call, CallError, Codec};
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::failure::Failure;

/// An argument that can be sent.
#[derive(Debug)]
pub(crate) enum Argument {
    /// No argument: every parameter has its default. The codec is that of the result.
    Absent(Codec),
    /// JSON as the user wrote it, so that no number loses a digit.
    Json(String),
    /// A value to send as MessagePack.
    Msgpack(Value),
    /// Raw bytes.
    Bytes(Bytes),
}

impl Argument {
    /// Checks JSON; `-` reads it from standard input.
    pub(crate) fn json(text: &str, codec: Codec) -> Result<Self, Failure> {
        let text = match text {
            "-" => io::read_to_string(io::stdin().lock())
                .map_err(|error| Failure::Usage(format!("failed to read standard input: {error}")))?,
            text => text.to_owned(),
        };
        Self::json_text(text, codec)
    }

    /// Checks JSON.
    pub(crate) fn json_text(text: String, codec: Codec) -> Result<Self, Failure> {
        let not_json =
            |error: serde_json::Error| Failure::Usage(format!("the argument is not JSON: {error}"));
        if codec != Codec::Msgpack {
            serde_json::from_str::<IgnoredAny>(&text).map_err(not_json)?;
            return Ok(Self::Json(text));
        }
        let value = serde_json::from_str(&text).map_err(not_json)?;
        match large_integer(&text) {
            Some(digits) => {
                Err(Failure::Usage(format!("{digits} does not fit the 64 bits of a MessagePack integer")))
            }
            None => Ok(Self::Msgpack(value)),
        }
    }

    /// Reads a file, or standard input for `-`.
    pub(crate) fn bytes(path: &Path) -> Result<Self, Failure> {
        let mut bytes = Vec::new();
        let read = match path.to_str() {
            Some("-") => io::stdin().lock().read_to_end(&mut bytes).map(drop),
            _ => fs::read(path).map(|content| bytes = content),
        };
        match read {
            Ok(()) => Ok(Self::Bytes(bytes.into())),
            Err(error) => Err(Failure::Usage(format!("failed to read {}: {error}", path.display()))),
        }
    }

    pub(crate) fn into_call(self, function: impl Into<Cow<'static, str>>) -> Result<Call, CallError> {
        match self {
            Self::Absent(Codec::Msgpack) => Ok(Call::empty_msgpack(function)),
            Self::Absent(_) => Ok(Call::empty(function)),
            Self::Json(text) => Ok(Call::raw_json(function, text)),
            Self::Msgpack(value) => Call::msgpack(function, &value),
            Self::Bytes(bytes) => Ok(Call::bytes(function, bytes)),
        }
    }
}

/// The first integer in valid JSON that does not fit 64 bits. Parsed as a value it would silently
/// become a float.
fn large_integer(json: &str) -> Option<&str> {
    let mut outside = true;
    // Numbers inside of strings are text.
    let pieces = json.split_inclusive(['"', ',', ':', '[', ']', '{', '}', ' ', '\t', '\n', '\r']);
    let mut escaped = false;
    for piece in pieces {
        let word = piece.trim_end_matches(['"', ',', ':', '[', ']', '{', '}', ' ', '\t', '\n', '\r']);
        if outside && is_large(word) {
            return Some(word);
        }
        if piece.ends_with('"') {
            let backslashes = word.bytes().rev().take_while(|&byte| byte == b'\\').count();
            escaped = !outside && backslashes % 2 == 1;
            outside ^= !escaped;
        }
    }
    debug_assert!(outside && !escaped, "valid JSON ends outside of a string");
    None
}

fn is_large(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    integer && word.parse::<i64>().is_err() && word.parse::<u64>().is_err()
}

#[cfg(test)]
mod tests {
    use actix_pyproc::Codec;

    use super::{Argument, large_integer};
    use crate::failure::Failure;

    #[test]
    fn integers_beyond_64_bits_are_found_and_nothing_else() {
        let large = "18446744073709551616";
        for json in [
            large.to_owned(),
            format!("[1, {large}]"),
            format!(r#"{{"a\\": {large}}}"#),
            "-9223372036854775809".into(),
        ] {
            assert!(large_integer(&json).is_some(), "{json}");
        }
        for json in [
            "18446744073709551615",
            "-9223372036854775808",
            "1e400",
            "1.5",
            r#""18446744073709551616""#,
            r#"["a\" 18446744073709551616 ", "\\"]"#,
            r#"{"18446744073709551616": null}"#,
        ] {
            assert_eq!(large_integer(json), None, "{json}");
        }
    }

    #[test]
    fn json_goes_as_it_was_written_and_what_is_none_is_wrong_usage() {
        let json = Argument::json("18446744073709551616", Codec::Json).expect("the text is JSON");
        let call = json.into_call("f").expect("JSON is sent as it is");
        assert_eq!(&call.payload()[..], b"18446744073709551616");
        for (text, codec) in [
            ("{", Codec::Json),
            ("", Codec::Json),
            ("NaN", Codec::Json),
            ("1 2", Codec::Msgpack),
            ("18446744073709551616", Codec::Msgpack),
        ] {
            assert!(matches!(Argument::json(text, codec), Err(Failure::Usage(_))), "{text}");
        }
    }
}
