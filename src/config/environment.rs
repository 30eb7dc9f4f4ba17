//! The layer of the environment: variables called `PYPROC_…`. The main item in this module is
//! [`ConfigLayers::vars`].

use std::ffi::OsString;
use std::path::PathBuf;

use actix_pyproc_actors::setting::{Settable as _, below};
use serde_json::{Value, json};

use crate::config::field::{ENV_PREFIX, variable};
use crate::config::layers::{ConfigLayers, ConfigOrigin};
use crate::config::nearest::nearest;
use crate::config::{PoolConfig, WorkerSource};
use crate::error::ConfigError;

/// Secrets of the command line.
const SECRETS: [&str; 2] = ["PYPROC_TOKEN", "PYPROC_CONTROL_TOKEN"];

impl ConfigLayers {
    /// Adds a layer with the values of the environment, as [`ConfigLayers::vars`] does.
    ///
    /// # Errors
    /// Those of [`ConfigLayers::vars`].
    pub fn env(self) -> Result<Self, ConfigError> {
        // A name that is not UTF-8 cannot begin a `PYPROC_` variable.
        self.os_vars(std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))))
    }

    /// Adds a layer with the values of variables: `PYPROC_MAX_QUEUE` is `max_queue`,
    /// `PYPROC_RESTART_MAX_RESTARTS` is `restart.max_restarts`. Values are written as in TOML, but
    /// strings without quotes, and `env` as a JSON object, which replaces what earlier layers set.
    /// An empty value unsets an optional field.
    ///
    /// Variables that are not for the configuration are skipped: those of the protocol between host
    /// and worker (`PYPROC_…_FD`, `PYPROC_TERMINAL`), the secrets of the command line
    /// (`PYPROC_TOKEN`, `PYPROC_CONTROL_TOKEN`), those of benchmarks and tests (`PYPROC_BENCH_…`,
    /// `PYPROC_SOAK_…`), and those that Kubernetes sets in each pod near a service called `pyproc`
    /// (`PYPROC_PORT`, `PYPROC_SERVICE_HOST`, …).
    ///
    /// # Errors
    /// [`ConfigError::UnknownVariable`] if a variable names no field, [`ConfigError::Variable`] if
    /// a value does not fit its field.
    pub fn vars(self, vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        self.os_vars(vars.into_iter().map(|(name, value)| (name, value.into())))
    }

    fn os_vars(mut self, vars: impl IntoIterator<Item = (String, OsString)>) -> Result<Self, ConfigError> {
        for (name, value) in vars {
            if !name.starts_with(ENV_PREFIX) || is_foreign(&name) {
                continue;
            }
            let Some(field) = PoolConfig::fields().iter().find(|field| field.variable() == name) else {
                return Err(ConfigError::UnknownVariable { nearest: nearest_variable(&name), name });
            };
            let result = match value.into_string() {
                Ok(text) => self.set_text(&field.key, &text).map_err(|error| error.to_string()),
                Err(path) => self.set_path(&field.key, path.into()),
            };
            result.map_err(|message| ConfigError::Variable { name: name.clone(), message })?;
            let below_it = below(&field.key, "");
            self.origins.retain(|key, _| !key.starts_with(&below_it));
            self.origins.insert(field.key.clone(), ConfigOrigin::Variable { name });
        }
        Ok(self)
    }

    /// Reads a field from a text. A text that looks like a number is read as a number only if the
    /// field does not accept the text.
    fn set_text(&mut self, key: &str, text: &str) -> serde_json::Result<()> {
        let mut set = |value: Value| {
            let object = match key.split_once('.') {
                Some((section, name)) => json!({ section: { name: value } }),
                None => json!({ key: value }),
            };
            self.config.copy(key, &serde_json::from_value(object)?);
            Ok(())
        };
        if text.is_empty() && set(Value::Null).is_ok() {
            return Ok(());
        }
        match serde_json::from_str(text) {
            Ok(object @ Value::Object(_)) => set(object),
            Ok(value) => set(text.into()).or_else(|_: serde_json::Error| set(value)),
            Err(_) => set(text.into()),
        }
    }

    /// Sets a field to a value that is not UTF-8, which only a path can be.
    fn set_path(&mut self, key: &str, path: PathBuf) -> Result<(), String> {
        match key {
            "worker" => self.config.worker = WorkerSource::Path(path),
            "python" => self.config.python = Some(path),
            "cwd" => self.config.cwd = Some(path),
            _ => return Err("it is not UTF-8".to_owned()),
        }
        Ok(())
    }
}

impl PoolConfig {
    /// Overlays the fields that the environment names, as [`ConfigLayers::env`] does. After an
    /// error the configuration is as it was.
    ///
    /// # Errors
    /// Those of [`ConfigLayers::env`].
    pub fn apply_env(&mut self) -> Result<(), ConfigError> {
        *self = ConfigLayers::new(self.clone()).env()?.config;
        Ok(())
    }

    /// Overlays the fields that `vars` name, as [`ConfigLayers::vars`] does. After an error the
    /// configuration is as it was.
    ///
    /// # Errors
    /// Those of [`ConfigLayers::vars`].
    pub fn apply_vars(
        &mut self,
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        *self = ConfigLayers::new(self.clone()).vars(vars)?.config;
        Ok(())
    }

    /// The interpreter that is configured, or else that of `PYPROC_PYTHON`, the one variable that
    /// also counts in programs that do not call [`PoolConfig::apply_env`].
    pub(crate) fn python_of_host(&self) -> Option<PathBuf> {
        let of_variable = || {
            let name = variable("python");
            let value = std::env::var_os(&name)?;
            ConfigLayers::new(Self::default()).os_vars([(name, value)]).ok()?.config.python
        };
        self.python.clone().or_else(of_variable)
    }
}

fn nearest_variable(name: &str) -> Option<String> {
    let key = name[ENV_PREFIX.len()..].to_ascii_lowercase();
    nearest(&key, PoolConfig::fields().iter().map(|field| field.key.as_str())).map(variable)
}

/// Whether a `PYPROC_` variable does not belong to the configuration.
fn is_foreign(name: &str) -> bool {
    let of_kubernetes = name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_PORT_");
    let of_tests = name.starts_with("PYPROC_BENCH_") || name.starts_with("PYPROC_SOAK_");
    is_of_protocol(name) || SECRETS.contains(&name) || of_tests || of_kubernetes
}

/// Whether the host sets a variable for a worker, which it reads at its start.
pub(super) fn is_of_protocol(name: &str) -> bool {
    (name.starts_with(ENV_PREFIX) && name.ends_with("_FD")) || name == "PYPROC_TERMINAL"
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::{PoolConfig, Select, WorkerSource};
    use crate::error::ConfigError;

    fn with_vars(vars: &[(&str, &str)]) -> Result<PoolConfig, ConfigError> {
        let mut config = PoolConfig::new("worker.py");
        config.apply_vars(vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))?;
        Ok(config)
    }

    #[test]
    fn variables_overlay_their_fields_and_leave_the_others() {
        let config = with_vars(&[
            ("PYPROC_WORKERS", "3"),
            ("PYPROC_CALL_TIMEOUT", "none"),
            ("PYPROC_KILL_GRACE", "250"),
            ("PYPROC_SELECT", "round-robin"),
            ("PYPROC_PYTHON", "/opt/python"),
            ("PYPROC_ENV", r#"{"GPU": "{slot}"}"#),
            ("PYPROC_RESTART_MAX_RESTARTS", "7"),
            ("PYPROC_RECYCLE_MAX_CALLS", "9"),
            ("PYPROC_SOCKET_FD", "11"),
            ("OTHER", "1"),
        ])
        .expect("each value fits its field");
        assert_eq!((config.workers, config.call_timeout), (3, None));
        assert_eq!(config.kill_grace, Duration::from_millis(250));
        assert_eq!(config.select, Select::RoundRobin);
        assert_eq!(config.python.as_deref(), Some("/opt/python".as_ref()));
        assert_eq!(config.env["GPU"], "{slot}");
        assert_eq!((config.restart.max_restarts, config.recycle.max_calls), (7, Some(9)));
        assert_eq!(config.worker, WorkerSource::Path("worker.py".into()));
    }

    #[test]
    fn worker_can_be_a_path_or_a_module_in_a_variable() {
        let path = with_vars(&[("PYPROC_WORKER", "other.py")]).expect("it is a path");
        assert_eq!(path.worker, WorkerSource::Path("other.py".into()));
        let module = with_vars(&[("PYPROC_WORKER", r#"{"module": "pkg.mod"}"#)]).expect("it is a module");
        assert_eq!(module.worker, WorkerSource::Module { module: "pkg.mod".into() });
    }

    #[test]
    fn variable_that_does_not_fit_is_named() {
        let error = with_vars(&[("PYPROC_WORKERS", "many")]).expect_err("it is not a number");
        assert!(matches!(&error, ConfigError::Variable { name, .. } if name == "PYPROC_WORKERS"), "{error}");
    }

    #[test]
    fn empty_variable_unsets_an_optional_field_and_does_not_fit_others() {
        let mut config = PoolConfig::new("worker.py").python("/opt/python").cwd("/srv");
        config.recycle.max_calls = Some(9);
        for name in ["PYPROC_PYTHON", "PYPROC_CWD", "PYPROC_RECYCLE_MAX_CALLS"] {
            config.apply_vars([(name.to_owned(), String::new())]).expect(name);
        }
        assert_eq!(config, PoolConfig::new("worker.py"));
        with_vars(&[("PYPROC_MAX_QUEUE", "")]).expect_err("it is not a number");
    }
}
