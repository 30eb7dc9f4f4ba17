//! The rows of `tests/vectors/front_door.json`: what becomes of an argument, and of a result. The
//! main structure is [`Row`].

use actix_pyproc::error::ArgumentError;
use actix_pyproc::{Pool, PoolConfig};
use serde::Deserialize;
use serde_json::Value;

use super::{python_with_libraries, read, worker};

/// One call of a function. Rows of the same source have functions of their own.
#[derive(Deserialize)]
pub(crate) struct Row {
    /// The name of the row, and of its function.
    pub(crate) id: String,
    pub(crate) table: String,
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) argument: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    msgpack: Option<Value>,
    #[serde(default, deserialize_with = "decoded")]
    pub(crate) bytes: Option<Vec<u8>>,
    /// The codecs that the row is about, if not both.
    #[serde(default)]
    codecs: Option<Vec<String>>,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// How the call ends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It returns this.
    Result(Value),
    /// Where the argument does not fit: path, kind (empty for any), and a part of the message.
    Errors(Vec<(String, String, String)>),
    /// The kind of another error, and a part of its text.
    Error(String, String),
}

#[derive(Deserialize)]
struct Vectors {
    rows: Vec<Row>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn decoded<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(Some(base64(&text)))
}

/// Decodes base64 with padding.
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<u32> = text
        .bytes()
        .filter(|byte| *byte != b'=')
        .map(|byte| ALPHABET.iter().position(|digit| *digit == byte).expect("it is base64") as u32)
        .collect();
    let group = |digits: &[u32]| {
        let bits = digits.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - digits.len()));
        bits.to_be_bytes()[1..digits.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}

/// The functions of all rows whose libraries the interpreter has.
pub(crate) fn config() -> PoolConfig {
    worker("front_door.py").python(python_with_libraries())
}

/// All rows.
pub(crate) fn all_rows() -> Vec<Row> {
    let rows = serde_json::from_str::<Vectors>(&read("tests/vectors/front_door.json"));
    rows.expect("the vectors have this form").rows
}

/// The rows that the pool has functions for; in CI that is all of them.
pub(crate) fn rows(pool: &Pool) -> Vec<Row> {
    let mut rows = all_rows();
    let functions = pool.functions();
    let all = rows.len();
    rows.retain(|row| functions.iter().any(|function| function.name == row.id));
    if all > rows.len() {
        let message = format!("{} of {all} rows need libraries that are not installed", all - rows.len());
        assert!(std::env::var_os("CI").is_none(), "{message}");
        eprintln!("SKIPPED: {message}");
    }
    for table in ["binding", "types", "results"] {
        assert!(rows.iter().any(|row| row.table == table), "there are rows of the table of {table}");
    }
    rows
}

impl Row {
    /// Whether the row is about a codec: `json` or `msgpack`.
    pub(crate) fn is_about(&self, codec: &str) -> bool {
        self.codecs.as_ref().is_none_or(|codecs| codecs.iter().any(|name| name == codec))
    }

    /// What MessagePack sends.
    pub(crate) fn msgpack(&self) -> Option<&Value> {
        self.msgpack.as_ref().or(self.argument.as_ref())
    }

    /// Asserts that these are the places where the argument does not fit.
    #[track_caller]
    pub(crate) fn expects_errors(&self, found: &[ArgumentError]) {
        let Outcome::Errors(expected) = &self.outcome else {
            panic!("{}: it does not end in {found:?}", self.id)
        };
        let fits = |(path, kind, text): &(String, String, String), found: &ArgumentError| {
            *path == *found.path
                && (kind.is_empty() || *kind == found.kind.as_str())
                && found.message.contains(text)
        };
        let all = expected.iter().zip(found).all(|(expected, found)| fits(expected, found));
        assert!(expected.len() == found.len() && all, "{}: {found:?} instead of {expected:?}", self.id);
    }

    /// Asserts that the call returns this.
    #[track_caller]
    pub(crate) fn expects_result(&self, found: &Value) {
        let Outcome::Result(expected) = &self.outcome else {
            panic!("{}: {found} instead of {:?}", self.id, self.outcome)
        };
        assert_eq!(found, expected, "{}", self.id);
    }

    /// Asserts that the call ends in an error of this kind and text.
    #[track_caller]
    pub(crate) fn expects_error(&self, found: &str, text: &str) {
        let Outcome::Error(kind, part) = &self.outcome else {
            panic!("{}: {found}: {text} instead of {:?}", self.id, self.outcome)
        };
        assert!(found == kind && text.contains(part), "{}: {found}: {text}", self.id);
    }
}
