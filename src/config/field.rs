//! The fields of the configuration as data: what documentation, schema and layers go by. The main
//! structure is [`ConfigField`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use actix_pyproc_actors::duration;
use serde_json::{Value, json};

use super::{ActorThread, ENV_PREFIX, LogLevel, PoolConfig, Select, WorkerSource};

/// A field of [`PoolConfig`], as documentation tells it.
///
/// ```
/// let fields = actix_pyproc::PoolConfig::fields();
/// let field = fields.iter().find(|field| field.key == "max_queue").expect("there is one");
/// assert_eq!(field.variable(), "PYPROC_MAX_QUEUE");
/// assert_eq!(field.default, "4,096");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConfigField {
    /// Its key in TOML, with its section: `restart.max`.
    pub key: String,
    /// What it means.
    pub doc: String,
    /// Its default, in words.
    pub default: String,
    /// What values it takes, as a JSON Schema.
    pub(super) schema: Value,
}

impl ConfigField {
    /// The environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        variable(&self.key)
    }
}

/// The environment variable that sets the field of this key.
pub(super) fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

impl PoolConfig {
    /// All fields, in the order in which they are declared.
    #[must_use]
    pub fn fields() -> Vec<ConfigField> {
        let mut fields = Vec::new();
        Self::describe("", "", &mut fields);
        fields
    }
}

/// Something that has keys below it, or is the value of one.
pub(super) trait Setting {
    /// Adds the fields, whose keys begin with `key`.
    fn describe(key: &str, doc: &str, fields: &mut Vec<ConfigField>);

    /// Adds the values, by their keys, which begin with `key`.
    fn values(&self, key: &str, values: &mut Vec<(String, Value)>);

    /// Reads the field of this key; `None` if there is no such field.
    fn set(&mut self, key: &str, value: Value) -> Option<serde_json::Result<()>>;

    /// Takes over the field of this key, if there is one.
    fn take_over(&mut self, key: &str, other: &Self);
}

/// Declares a struct of settings, and makes data of its fields and their docs.
macro_rules! described {
    (
        $(#[$outer:meta])*
        pub struct $name:ident {
            $($(#[doc = $doc:literal])+ $(#[serde($($serde:tt)*)])? pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$outer])*
        pub struct $name {
            $($(#[doc = $doc])+ $(#[serde($($serde)*)])? pub $field: $type,)*
        }

        settings! {
            $(#[$outer])*
            pub struct $name {
                $($(#[doc = $doc])+ $(#[serde($($serde)*)])? pub $field: $type,)*
            }
        }
    };
}
pub(super) use described;

/// Makes data of the fields of a struct of settings, and of their docs.
macro_rules! settings {
    (
        $(#[$outer:meta])*
        pub struct $name:ident {
            $($(#[doc = $doc:literal])+ $(#[serde($($serde:tt)*)])? pub $field:ident: $type:ty,)*
        }
    ) => {
        impl crate::config::field::Setting for $name {
            fn describe(key: &str, _: &str, fields: &mut Vec<crate::config::ConfigField>) {
                $(<$type as crate::config::field::Setting>::describe(
                    &crate::config::field::below(key, stringify!($field)),
                    concat!($($doc, "\n"),+),
                    fields,
                );)*
            }

            fn values(&self, key: &str, values: &mut Vec<(String, serde_json::Value)>) {
                $(<$type as crate::config::field::Setting>::values(
                    &self.$field,
                    &crate::config::field::below(key, stringify!($field)),
                    values,
                );)*
            }

            fn set(&mut self, key: &str, value: serde_json::Value) -> Option<serde_json::Result<()>> {
                let (first, rest) = key.split_once('.').unwrap_or((key, ""));
                match first {
                    $(stringify!($field) => self.$field.set(rest, value),)*
                    _ => None,
                }
            }

            fn take_over(&mut self, key: &str, other: &Self) {
                let (first, rest) = key.split_once('.').unwrap_or((key, ""));
                match first {
                    $(stringify!($field) => self.$field.take_over(rest, &other.$field),)*
                    _ => {}
                }
            }
        }
    };
}
pub(super) use settings;

/// The key of a field below another.
pub(super) fn below(key: &str, name: &str) -> String {
    match key {
        "" => name.to_owned(),
        _ => format!("{key}.{name}"),
    }
}

/// Splits a doc into its meaning and its default.
fn field(key: &str, doc: &str, schema: Value) -> ConfigField {
    let (meaning, default) = doc.split_once("Default:").unwrap_or((doc, "none."));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    ConfigField {
        key: key.to_owned(),
        doc: words(meaning),
        default: words(default).trim_end_matches('.').to_owned(),
        schema,
    }
}

/// Settings that are read and written by functions, or else by serde.
macro_rules! leaves {
    ($($type:ty: $schema:tt, $read:expr, $write:expr;)*) => {
        $(impl Setting for $type {
            fn describe(key: &str, doc: &str, fields: &mut Vec<ConfigField>) {
                fields.push(field(key, doc, json!($schema)));
            }

            fn values(&self, key: &str, values: &mut Vec<(String, Value)>) {
                values.push((key.to_owned(), $write(self)));
            }

            fn set(&mut self, key: &str, value: Value) -> Option<serde_json::Result<()>> {
                key.is_empty().then(|| {
                    *self = $read(value)?;
                    Ok(())
                })
            }

            fn take_over(&mut self, _: &str, other: &Self) {
                self.clone_from(other);
            }
        })*
    };
}

leaves! {
    usize: {"type": "integer", "minimum": 0}, serde_json::from_value, plain;
    u32: {"type": "integer", "minimum": 0}, serde_json::from_value, plain;
    f64: {"type": "number"}, serde_json::from_value, plain;
    Option<u64>: {"type": "integer", "minimum": 0}, serde_json::from_value, plain;
    Option<PathBuf>: {"type": "string"}, serde_json::from_value,
        |path: &Option<PathBuf>| plain(&path.as_ref().map(|path| path.to_string_lossy()));
    Duration: {"$ref": "#/$defs/duration"}, duration::deserialize,
        |duration: &Duration| duration::format(*duration).into();
    Option<Duration>: {"anyOf": [{"$ref": "#/$defs/duration"}, {"const": "none"}]}, duration::optional::deserialize,
        |duration: &Option<Duration>| duration.map_or_else(|| "none".to_owned(), duration::format).into();
    Select: {"enum": ["round-robin", "least-loaded"]}, serde_json::from_value, plain;
    LogLevel: {"enum": ["debug", "info", "warning", "error", "critical"]}, serde_json::from_value, plain;
    ActorThread: {"enum": ["current", "dedicated"]}, serde_json::from_value, plain;
    WorkerSource: {"anyOf": [{"type": "string"}, {
        "type": "object",
        "properties": {"module": {"type": "string", "description": "A module by its dotted name, as for `python -m`."}},
        "required": ["module"],
        "additionalProperties": false,
    }]}, serde_json::from_value, |worker: &WorkerSource| match worker {
        WorkerSource::Module { module } => json!({"module": module}),
        WorkerSource::Path(path) => path.to_string_lossy().into(),
    };
}

/// The value as serde tells it.
fn plain(value: &impl serde::Serialize) -> Value {
    // Numbers and strings have a JSON.
    serde_json::to_value(value).unwrap_or_default()
}

impl Setting for BTreeMap<String, String> {
    fn describe(key: &str, doc: &str, fields: &mut Vec<ConfigField>) {
        fields.push(field(key, doc, json!({"type": "object", "additionalProperties": {"type": "string"}})));
    }

    fn values(&self, key: &str, values: &mut Vec<(String, Value)>) {
        values.extend(self.iter().map(|(name, value)| (below(key, name), value.clone().into())));
    }

    fn set(&mut self, key: &str, value: Value) -> Option<serde_json::Result<()>> {
        key.is_empty().then(|| {
            *self = serde_json::from_value(value)?;
            Ok(())
        })
    }

    fn take_over(&mut self, _: &str, other: &Self) {
        self.extend(other.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::Setting as _;
    use crate::config::PoolConfig;

    #[test]
    fn each_field_says_what_it_means_and_its_default() {
        for field in PoolConfig::fields() {
            assert!(field.doc.ends_with('.') && !field.default.is_empty(), "{field:?}");
        }
    }

    #[test]
    fn each_value_can_be_read_back() {
        let config = PoolConfig::default().env("A", "1").python("p").cwd("/").min_ready(1);
        let mut values = Vec::new();
        config.values("", &mut values);
        let mut copy = PoolConfig::new("other.py").workers(77).env("A", "2");
        for (key, value) in values {
            if let Some(name) = key.strip_prefix("env.") {
                copy = copy.env(name, value.as_str().expect("it is a string"));
                continue;
            }
            let set = copy.set(&key, value.clone());
            // A field without a value has none to be read.
            let expected = value.is_null() || matches!(set, Some(Ok(())));
            assert!(expected, "{key} = {value}: {set:?}");
        }
        assert_eq!(copy, config);
    }
}
