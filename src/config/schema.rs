//! The JSON Schema of the configuration, for editors.

use serde_json::{Map, Value, json};

use super::{MAX_IN_FLIGHT, PoolConfig};

/// Bounds that [`PoolConfig::validate`] has too: the key, the keyword, its value.
const BOUNDS: [(&str, &str, u64); 17] = [
    ("workers", "minimum", 1),
    ("workers", "maximum", 65_535),
    ("max_queue", "minimum", 1),
    ("max_in_flight", "minimum", 1),
    ("max_in_flight", "maximum", MAX_IN_FLIGHT as u64),
    ("max_concurrent", "minimum", 1),
    ("max_attempts", "minimum", 1),
    ("max_frame", "minimum", 1024),
    ("restart.multiplier", "minimum", 1),
    ("restart.multiplier", "maximum", 100),
    ("restart.jitter", "minimum", 0),
    ("restart.jitter", "exclusiveMaximum", 1),
    ("restart.max_start_failures", "minimum", 1),
    ("recycle.max_calls", "minimum", 1),
    ("recycle.max_rss", "minimum", 1),
    ("recycle.jitter", "minimum", 0),
    ("recycle.jitter", "exclusiveMaximum", 1),
];

impl PoolConfig {
    /// The JSON Schema of the TOML that [`PoolConfig::from_toml_str`] reads, for editors.
    ///
    /// ```
    /// let schema = actix_pyproc::PoolConfig::json_schema();
    /// assert_eq!(schema["properties"]["max_queue"]["default"], 4096);
    /// ```
    #[must_use]
    pub fn json_schema() -> Value {
        let defaults = serde_json::to_value(Self::default()).unwrap_or_default();
        let (mut top, mut sections) = (Map::new(), Map::new());
        for field in Self::fields() {
            let mut property = field.schema;
            property["description"] = format!("{} Default: {}.", field.doc, field.default).into();
            for (_, keyword, bound) in BOUNDS.iter().filter(|(key, ..)| *key == field.key) {
                property[*keyword] = (*bound).into();
            }
            let pointer = format!("/{}", field.key.replace('.', "/"));
            let default = defaults.pointer(&pointer).filter(|default| {
                // That of the machine on which the schema was made means nothing elsewhere.
                !default.is_null() && field.key != "workers"
            });
            if let Some(default) = default {
                property["default"] = default.clone();
            }
            match field.key.split_once('.') {
                None => top.insert(field.key, property),
                Some((section, name)) => {
                    let section = sections.entry(section).or_insert_with(|| json!({}));
                    section[name] = property;
                    None
                }
            };
        }
        for (section, properties) in sections {
            let object = json!({"type": "object", "additionalProperties": false, "properties": properties});
            top.insert(section, object);
        }
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Configuration of a pool of Python processes (actix-pyproc)",
            "type": "object",
            "additionalProperties": false,
            "properties": top,
            "$defs": {"duration": {"anyOf": [
                {"type": "string", "pattern": "^ *([0-9]+\\.?[0-9]*|\\.[0-9]+) *(ns|us|ms|s|m|h)? *$"},
                {"type": "number", "minimum": 0},
            ]}},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::BOUNDS;
    use crate::config::{ConfigLayers, PoolConfig};

    #[test]
    fn bounds_are_those_of_the_check() {
        for (key, keyword, bound) in BOUNDS {
            let bound = bound as f64;
            let (inside, outside) = match keyword {
                "minimum" => (bound, bound - 1.0),
                "maximum" => (bound, bound + 1.0),
                _ => (bound - 0.5, bound),
            };
            let fraction = ["restart.multiplier", "restart.jitter", "recycle.jitter"].contains(&key);
            let accepts = |value: f64| {
                let text = if fraction { format!("{key} = {value:?}") } else { format!("{key} = {value}") };
                let layers = ConfigLayers::new(PoolConfig::default()).toml(&text, None);
                layers.and_then(ConfigLayers::finish).is_ok()
            };
            assert!(accepts(inside) && !accepts(outside), "{key} {keyword} {bound}");
        }
    }
}
