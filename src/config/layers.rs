//! A configuration from several sources, with the origin of each value. The main structure is
//! [`ConfigLayers`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use actix_pyproc_actors::setting::below;
use serde_json::Value;

use crate::config::{PoolConfig, WorkerSource};
use crate::error::ConfigError;

/// A configuration made of layers, each of which overrides the earlier ones: usually defaults, a
/// TOML file, `PYPROC_…` variables, and flags. It knows where each value comes from.
///
/// ```
/// use actix_pyproc::PoolConfig;
/// use actix_pyproc::config::{ConfigLayers, ConfigOrigin};
///
/// # fn main() -> Result<(), actix_pyproc::error::ConfigError> {
/// let layers = ConfigLayers::new(PoolConfig::new("worker.py"))
///     .toml("workers = 2\nmax_queue = 100", None)?
///     .vars([("PYPROC_WORKERS".to_owned(), "3".to_owned())])?
///     .flag("max_attempts", "--attempts", |config| config.max_attempts = 1);
/// assert_eq!(layers.origin("workers"), ConfigOrigin::Variable { name: "PYPROC_WORKERS".to_owned() });
/// assert_eq!(layers.origin("select"), ConfigOrigin::Default);
/// let config = layers.finish()?;
/// assert_eq!((config.workers, config.max_queue, config.max_attempts), (3, 100, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ConfigLayers {
    pub(super) config: PoolConfig,
    /// The origins that are not defaults, by key.
    pub(super) origins: BTreeMap<String, ConfigOrigin>,
}

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigOrigin {
    /// No layer has set it.
    #[default]
    Default,
    /// TOML.
    File {
        /// The file, if the TOML is from one.
        path: Option<PathBuf>,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        name: String,
    },
    /// The command line.
    Flag {
        /// The flag, such as `--workers`.
        name: &'static str,
    },
}

/// A value of a configuration, with its origin.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConfigValue {
    /// Its key, with its section: `restart.max`. Each variable of the workers has its own:
    /// `env.NAME`.
    pub key: String,
    /// The value as TOML has it; null if it is not set.
    pub value: Value,
    /// Where it comes from.
    pub origin: ConfigOrigin,
}

impl ConfigLayers {
    /// The lowest layer.
    #[must_use]
    pub fn new(defaults: PoolConfig) -> Self {
        Self { config: defaults, origins: BTreeMap::new() }
    }

    /// Adds a value from a flag of a command line. The key is that of the field which `change`
    /// sets: `env.NAME` for a variable of the workers.
    #[must_use]
    pub fn flag(
        mut self,
        key: impl Into<String>,
        name: &'static str,
        change: impl FnOnce(&mut PoolConfig),
    ) -> Self {
        change(&mut self.config);
        self.origins.insert(key.into(), ConfigOrigin::Flag { name });
        self
    }

    /// The configuration so far, unchecked.
    #[must_use]
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// Where the value of a key comes from.
    #[must_use]
    pub fn origin(&self, key: &str) -> ConfigOrigin {
        let section = key.split_once('.').map_or(key, |(section, _)| section);
        self.origins.get(key).or_else(|| self.origins.get(section)).cloned().unwrap_or_default()
    }

    /// All values, in the order in which the fields are declared.
    #[must_use]
    pub fn values(&self) -> Vec<ConfigValue> {
        let written = serde_json::to_value(with_utf8_paths(self.config.clone()))
            .expect("only paths that are not UTF-8 have no JSON");
        let mut values = Vec::new();
        let mut add = |key: String, value: &Value| {
            values.push(ConfigValue { origin: self.origin(&key), key, value: value.clone() });
        };
        for field in PoolConfig::fields() {
            match written.pointer(&format!("/{}", field.key.replace('.', "/"))) {
                Some(Value::Object(variables)) if field.key == "env" => {
                    variables.iter().for_each(|(name, value)| add(below("env", name), value));
                }
                value => add(field.key.clone(), value.unwrap_or(&Value::Null)),
            }
        }
        values
    }

    /// The configuration, checked.
    ///
    /// # Errors
    /// Those of [`PoolConfig::validate`].
    pub fn finish(self) -> Result<PoolConfig, ConfigError> {
        self.config.validate()?;
        Ok(self.config)
    }
}

/// Replaces the bytes of paths that are not UTF-8.
fn with_utf8_paths(mut config: PoolConfig) -> PoolConfig {
    let lossy = |path: &mut PathBuf| *path = path.to_string_lossy().into_owned().into();
    config.python.as_mut().map(lossy);
    config.cwd.as_mut().map(lossy);
    if let WorkerSource::Path(path) = &mut config.worker {
        lossy(path);
    }
    config
}

impl fmt::Display for ConfigOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path: Some(path), line } => write!(f, "{}:{line}", path.display()),
            Self::File { path: None, line } => write!(f, "line {line}"),
            Self::Variable { name } => write!(f, "variable {name}"),
            Self::Flag { name } if name.starts_with('-') => write!(f, "flag {name}"),
            Self::Flag { name } => write!(f, "argument {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::PoolConfig;
    use crate::config::layers::ConfigLayers;

    #[test]
    fn each_value_can_be_read_back() {
        let config = PoolConfig::default().env("A", "1").python("p").cwd("/").min_ready(1);
        let mut copy = PoolConfig::new("other.py").workers(77).env("A", "2");
        for value in ConfigLayers::new(config.clone()).values() {
            // A field that is not set cannot be written in TOML.
            if !value.value.is_null() {
                let text = format!("{} = {}", value.key, value.value);
                let layers = ConfigLayers::new(copy).toml(&text, None);
                copy = layers.unwrap_or_else(|error| panic!("{text}: {error}")).config;
            }
        }
        assert_eq!(copy, config);
    }
}
