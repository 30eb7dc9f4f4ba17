//! The JSON Schema of the configuration, for editors. The main item in this module is
//! [`PoolConfig::json_schema`].

use actix_pyproc_actors::duration;
use actix_pyproc_actors::setting::{Settable as _, Setting};
use serde_json::{Map, Value, json};

use crate::config::PoolConfig;

impl PoolConfig {
    /// The JSON Schema of the TOML that [`PoolConfig::from_toml_str`] reads, for editors.
    ///
    /// ```
    /// let schema = actix_pyproc::PoolConfig::json_schema();
    /// assert_eq!(schema["properties"]["max_queue"]["default"], 4096);
    /// ```
    #[must_use]
    pub fn json_schema() -> Value {
        let mut defaults = serde_json::to_value(Self::default()).unwrap_or_default();
        // The number of cores differs between machines.
        defaults["workers"] = Value::Null;
        let mut schema = section(Self::SCHEMA, Self::SECTION, &defaults);
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        schema["title"] = "Configuration of a pool of Python processes (actix-pyproc)".into();
        schema["$defs"] = json!({"duration": {"anyOf": [
            {"type": "string", "pattern": "^ *([0-9]+\\.?[0-9]*|\\.[0-9]+) *(ns|us|ms|s|m|h)? *$"},
            {"type": "number", "minimum": 0, "maximum": duration::LONGEST.as_millis() as u64},
        ]}});
        schema
    }
}

fn section(schema: &str, settings: &[Setting], defaults: &Value) -> Value {
    let properties = settings.iter().map(|setting| {
        let default = &defaults[setting.name];
        let property = match setting.section {
            [] => property(setting, default),
            settings => section(setting.schema, settings, default),
        };
        (setting.name.to_owned(), property)
    });
    let properties: Map<String, Value> = properties.collect();
    let mut schema = of_type(schema);
    schema["properties"] = properties.into();
    schema
}

fn property(setting: &Setting, default: &Value) -> Value {
    let mut property = of_type(setting.schema);
    property["description"] = format!("{} Default: {}.", setting.doc, setting.default).into();
    if !default.is_null() {
        property["default"] = default.clone();
    }
    // Leaves out the bounds of durations, which are in seconds; values can have other units. All
    // other bounds are whole numbers.
    if property.get("type").is_some() {
        for (keyword, bound) in setting.bounds {
            property[*keyword] = (*bound as u64).into();
        }
    }
    property
}

fn of_type(schema: &str) -> Value {
    serde_json::from_str(schema).expect("the schema of a type is JSON")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::config::{ConfigLayers, PoolConfig};

    fn accepts(key: &str, value: impl std::fmt::Display) -> bool {
        let layers = ConfigLayers::new(PoolConfig::default()).toml(&format!("{key} = {value}"), None);
        layers.and_then(ConfigLayers::finish).is_ok()
    }

    fn property<'a>(schema: &'a Value, key: &str) -> &'a Value {
        let pointer = format!("/properties/{}", key.replace('.', "/properties/"));
        schema.pointer(&pointer).expect(key)
    }

    #[test]
    fn bounds_are_those_of_the_check() {
        let schema = PoolConfig::json_schema();
        let mut bounds = 0;
        for field in PoolConfig::fields() {
            let property = property(&schema, &field.key);
            for keyword in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
                let Some(bound) = property[keyword].as_f64() else { continue };
                let (inside, outside) = match keyword {
                    "minimum" => (bound, bound - 1.0),
                    "maximum" => (bound, bound + 1.0),
                    "exclusiveMinimum" => (bound + 0.5, bound),
                    _ => (bound - 0.5, bound),
                };
                let accepts = |number: f64| match property["type"].as_str() {
                    Some("integer") => accepts(&field.key, number),
                    _ => accepts(&field.key, format!("{number:?}")),
                };
                assert!(accepts(inside) && !accepts(outside), "{} {keyword} {bound}", field.key);
                bounds += 1;
            }
        }
        // 0 is that of each other integer.
        assert_eq!(bounds, 23);
    }

    #[test]
    fn each_choice_is_read() {
        let schema = PoolConfig::json_schema();
        let mut choices = 0;
        for field in PoolConfig::fields() {
            let property = property(&schema, &field.key);
            for choice in property["enum"].as_array().into_iter().flatten() {
                assert!(accepts(&field.key, choice), "{} = {choice}", field.key);
                choices += 1;
            }
        }
        assert_eq!(choices, 12);
    }
}
