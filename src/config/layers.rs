//! A configuration from several places, and which value is from where. The main structure is
//! [`ConfigLayers`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::field::{Setting as _, below, variable};
use super::nearest::nearest;
use super::{ConfigError, ConfigField, ENV_PREFIX, PoolConfig, WorkerSource};

/// The one key that the value of `worker` can have.
const WORKER_MODULE: &str = "worker.module";

/// Secrets of the command line.
const TOKENS: [&str; 2] = ["PYPROC_TOKEN", "PYPROC_CONTROL_TOKEN"];

/// A configuration that is put together from layers, each of which counts before those that came
/// earlier; as a rule defaults, a TOML file, `PYPROC_…` variables, and flags. It knows where each
/// value comes from.
///
/// ```
/// use actix_pyproc::{ConfigLayers, ConfigOrigin, PoolConfig};
///
/// # fn main() -> Result<(), actix_pyproc::ConfigError> {
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
    config: PoolConfig,
    /// Those that are no defaults, by the key.
    origins: BTreeMap<String, ConfigOrigin>,
}

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigOrigin {
    /// Nobody has set it.
    #[default]
    Default,
    /// TOML.
    File {
        /// The file, if it is in one.
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

/// A value of a configuration, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConfigValue {
    /// Its key, with its section: `restart.max`; each variable of the workers has one of its own:
    /// `env.NAME`.
    pub key: String,
    /// The value as TOML has it; null is none.
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

    /// Overlays what a TOML file sets.
    ///
    /// # Errors
    /// [`ConfigError::Read`] if it cannot be read, and those of [`ConfigLayers::toml`].
    pub fn file(self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        self.toml(&text, Some(path))
    }

    /// Overlays what a TOML text sets; `path` is where it was read.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`] for the first key that there is none of, [`ConfigError::Toml`]
    /// if it is no TOML or a value does not fit its key.
    pub fn toml(mut self, text: &str, path: Option<&Path>) -> Result<Self, ConfigError> {
        let path = path.map(Path::to_owned);
        let unreadable =
            |error: toml::de::Error| ConfigError::Toml { path: path.clone(), message: error.to_string() };
        let table = DeTable::parse(text).map_err(unreadable)?;
        let fields = PoolConfig::fields();
        let mut keys = Keys { fields: &fields, found: Vec::new(), unknown: Vec::new() };
        keys.walk("", table.get_ref());
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        if let Some((at, key)) = keys.unknown.into_iter().min() {
            let known = fields.iter().map(|field| field.key.as_str());
            let nearest = nearest(&key, known.chain([WORKER_MODULE])).map(ToOwned::to_owned);
            return Err(ConfigError::UnknownKey { key, nearest, path, line: line(at) });
        }
        let read: PoolConfig = toml::from_str(text).map_err(unreadable)?;
        for (at, key) in keys.found {
            self.config.take_over(&key, &read);
            self.origins.insert(key, ConfigOrigin::File { path: path.clone(), line: line(at) });
        }
        Ok(self)
    }

    /// Overlays what the environment sets, as [`ConfigLayers::vars`] does.
    ///
    /// # Errors
    /// Those of [`ConfigLayers::vars`].
    pub fn env(mut self) -> Result<Self, ConfigError> {
        let mut vars = Vec::new();
        for (name, value) in std::env::vars_os() {
            // A name that is not UTF-8 is none of ours.
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => vars.push((name, value)),
                Err(value) if name.starts_with(ENV_PREFIX) && !is_foreign(&name) => {
                    self.set_path(name, value.into())?;
                }
                Err(_) => {}
            }
        }
        self.vars(vars)
    }

    /// Overlays what variables set: `PYPROC_MAX_QUEUE` is `max_queue`,
    /// `PYPROC_RESTART_MAX_RESTARTS` is `restart.max_restarts`. Values are written as in TOML,
    /// strings without quotes, `env` as a JSON object, which stands in place of what was there.
    ///
    /// Left alone are variables that are not for the configuration: those of the protocol between
    /// host and worker (`PYPROC_…_FD`), the secrets of the command line (`PYPROC_TOKEN`,
    /// `PYPROC_CONTROL_TOKEN`), those of benchmarks and tests (`PYPROC_BENCH_…`, `PYPROC_SOAK_…`),
    /// and those that Kubernetes sets in each pod near a service called `pyproc` (`PYPROC_PORT`,
    /// `PYPROC_SERVICE_HOST`, …).
    ///
    /// # Errors
    /// [`ConfigError::UnknownVariable`] if a variable names no field, [`ConfigError::Variable`] if
    /// a value does not fit its field.
    pub fn vars(mut self, vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let fields = PoolConfig::fields();
        for (name, value) in vars {
            if !name.starts_with(ENV_PREFIX) || is_foreign(&name) {
                continue;
            }
            let Some(field) = fields.iter().find(|field| field.variable() == name) else {
                return Err(ConfigError::UnknownVariable { nearest: nearest_variable(&name, &fields), name });
            };
            let result = self.set_from_text(&field.key, &value);
            result
                .map_err(|error| ConfigError::Variable { name: name.clone(), message: error.to_string() })?;
            let below_it = below(&field.key, "");
            self.origins.retain(|key, _| !key.starts_with(&below_it));
            self.origins.insert(field.key.clone(), ConfigOrigin::Variable { name });
        }
        Ok(self)
    }

    /// Lets a flag of a command line change the field of this key: `env.NAME` for a variable of the
    /// workers.
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
        let mut values = Vec::new();
        self.config.values("", &mut values);
        let with_origin =
            |(key, value): (String, Value)| ConfigValue { origin: self.origin(&key), key, value };
        values.into_iter().map(with_origin).collect()
    }

    /// The configuration, checked.
    ///
    /// # Errors
    /// Those of [`PoolConfig::validate`].
    pub fn finish(self) -> Result<PoolConfig, ConfigError> {
        self.config.validate()?;
        Ok(self.config)
    }

    /// Sets a field from a value that is not UTF-8, which only paths can be.
    fn set_path(&mut self, name: String, path: PathBuf) -> Result<(), ConfigError> {
        let key = match name.as_str() {
            "PYPROC_WORKER" => {
                self.config.worker = WorkerSource::Path(path);
                "worker"
            }
            "PYPROC_PYTHON" => {
                self.config.python = Some(path);
                "python"
            }
            "PYPROC_CWD" => {
                self.config.cwd = Some(path);
                "cwd"
            }
            _ => return Err(ConfigError::Variable { name, message: "it is not UTF-8".to_owned() }),
        };
        self.origins.insert(key.to_owned(), ConfigOrigin::Variable { name });
        Ok(())
    }

    /// A string field whose value looks like a number stays a string; one that takes both reads a
    /// number.
    fn set_from_text(&mut self, key: &str, text: &str) -> serde_json::Result<()> {
        let mut set = |value: Value| self.config.set(key, value).expect("it is the key of a field");
        match serde_json::from_str(text) {
            Ok(object @ Value::Object(_)) => set(object),
            Ok(value) => set(text.into()).or_else(|_| set(value)),
            Err(_) => set(text.into()),
        }
    }
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

/// The keys of a TOML text, with where they stand.
struct Keys<'a> {
    fields: &'a [ConfigField],
    found: Vec<(usize, String)>,
    unknown: Vec<(usize, String)>,
}

impl Keys<'_> {
    fn walk(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let (at, key) = (name.span().start, below(section, name.get_ref()));
            let is_section = self.fields.iter().any(|field| field.key.starts_with(&below(&key, "")));
            match value.get_ref() {
                DeValue::Table(table) if is_section => self.walk(&key, table),
                DeValue::Table(table) if key == "env" => {
                    let entries = table.keys().map(|name| (name.span().start, below(&key, name.get_ref())));
                    self.found.extend(entries);
                }
                DeValue::Table(table) if key == "worker" => {
                    let entries = table.keys().map(|name| (name.span().start, below(&key, name.get_ref())));
                    self.unknown.extend(entries.filter(|(_, key)| key != WORKER_MODULE));
                    self.found.push((at, key));
                }
                _ if self.fields.iter().any(|field| field.key == key) || is_section => {
                    self.found.push((at, key));
                }
                _ => self.unknown.push((at, key)),
            }
        }
    }
}

fn nearest_variable(name: &str, fields: &[ConfigField]) -> Option<String> {
    let key = name[ENV_PREFIX.len()..].to_ascii_lowercase();
    // In a variable the section is not told from the name.
    let flat: Vec<(String, &str)> =
        fields.iter().map(|field| (field.key.replace('.', "_"), field.key.as_str())).collect();
    let by_spelling = nearest(&key, flat.iter().map(|(flat, _)| flat.as_str()));
    let by_spelling = by_spelling.and_then(|found| flat.iter().find(|(flat, _)| flat == found));
    let meant = by_spelling.map(|(_, key)| *key);
    meant.or_else(|| nearest(&key, fields.iter().map(|field| field.key.as_str()))).map(variable)
}

fn is_foreign(name: &str) -> bool {
    let of_kubernetes = name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_PORT_");
    let of_tests = name.starts_with("PYPROC_BENCH_") || name.starts_with("PYPROC_SOAK_");
    name.ends_with("_FD") || TOKENS.contains(&name) || of_tests || of_kubernetes
}
