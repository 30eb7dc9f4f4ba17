//! The fields of the configuration as data, for layers, documentation and schema. The main
//! structure is [`ConfigField`].

use std::sync::LazyLock;

use actix_pyproc_actors::setting::{Settable as _, Setting, below};

use crate::config::PoolConfig;

/// What the names of the variables begin with.
pub const ENV_PREFIX: &str = "PYPROC_";

/// A field of [`PoolConfig`], as its declaration describes it.
///
/// ```
/// let fields = actix_pyproc::PoolConfig::fields();
/// let field = fields.iter().find(|field| field.key == "max_queue").expect("there is one");
/// assert_eq!(field.variable(), "PYPROC_MAX_QUEUE");
/// assert_eq!(field.default, "4,096");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConfigField {
    /// Its key in TOML, with its section: `restart.max`.
    pub key: String,
    /// What it means.
    pub doc: &'static str,
    /// Its default, in words.
    pub default: &'static str,
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
    pub fn fields() -> &'static [ConfigField] {
        static FIELDS: LazyLock<Vec<ConfigField>> = LazyLock::new(|| {
            let mut fields = Vec::new();
            collect("", PoolConfig::SECTION, &mut fields);
            fields
        });
        &FIELDS
    }
}

fn collect(section: &str, settings: &'static [Setting], fields: &mut Vec<ConfigField>) {
    for setting in settings {
        let key = below(section, setting.name);
        if setting.section.is_empty() {
            fields.push(ConfigField { key, doc: setting.doc, default: setting.default });
        } else {
            collect(&key, setting.section, fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_pyproc_actors::duration;
    use serde_json::{Value, json};

    use crate::config::{ConfigLayers, PoolConfig};

    #[test]
    fn each_field_says_what_it_means_and_its_default() {
        for field in PoolConfig::fields() {
            assert!(field.doc.ends_with('.') && !field.default.is_empty(), "{field:?}");
        }
    }

    #[test]
    fn defaults_in_words_are_those_of_the_values() {
        let values = ConfigLayers::new(PoolConfig::default().workers(1)).values();
        for field in PoolConfig::fields().iter().filter(|field| field.key != "workers") {
            let value = values.iter().find(|value| value.key == field.key).map(|value| &value.value);
            let value = value.cloned().unwrap_or_default();
            // Without a limit: null, or "none".
            if !field.default.starts_with("none") || !(value.is_null() || value == "none") {
                assert_eq!(read(field.default), value.as_f64().map_or(value, Value::from), "{field:?}");
            }
        }
    }

    /// A default in words as a value.
    fn read(words: &str) -> Value {
        let words = words.trim_matches('`').replace([',', ' '], "");
        let (number, factor) = match words.strip_suffix("MiB") {
            Some(number) => (number, f64::from(1 << 20)),
            None => (&*words, 1.0),
        };
        if let Ok(number) = number.parse::<f64>() {
            return json!(number * factor);
        }
        duration::parse(&words).map(duration::format).unwrap_or(words).into()
    }
}
