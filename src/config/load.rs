//! Reading a [`PoolConfig`] from TOML and from the environment.

use std::path::Path;

use super::{ConfigError, ConfigLayers, PoolConfig};

/// What the names of the variables begin with.
pub const ENV_PREFIX: &str = "PYPROC_";

impl PoolConfig {
    /// Reads a configuration from TOML. Fields that are not there keep their defaults; unknown ones
    /// are refused.
    ///
    /// ```
    /// # fn main() -> Result<(), actix_pyproc::ConfigError> {
    /// use actix_pyproc::PoolConfig;
    ///
    /// let config = PoolConfig::from_toml_str(r#"
    ///     worker = "worker.py"
    ///     call_timeout = "5s"
    ///     [restart]
    ///     max_restarts = 3
    /// "#)?;
    /// assert_eq!(config.restart.max_restarts, 3);
    /// let error = PoolConfig::from_toml_str("worker_count = 4").unwrap_err();
    /// assert_eq!(error.to_string(), "line 1: unknown key `worker_count`; did you mean `workers`?");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`] if a field is unknown, [`ConfigError::Toml`] if it is no TOML or
    /// a field has the wrong type.
    pub fn from_toml_str(text: &str) -> Result<Self, ConfigError> {
        Ok(ConfigLayers::new(Self::default()).toml(text, None)?.config().clone())
    }

    /// Reads a configuration from a TOML file.
    ///
    /// # Errors
    /// [`ConfigError::Read`] if the file cannot be read, and those of
    /// [`PoolConfig::from_toml_str`].
    pub fn from_toml_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Ok(ConfigLayers::new(Self::default()).file(path)?.config().clone())
    }

    /// Overlays the fields that the environment names, as [`ConfigLayers::vars`] does.
    ///
    /// # Errors
    /// [`ConfigError::UnknownVariable`] if a variable names no field, [`ConfigError::Variable`] if
    /// a value does not fit its field. The configuration is then as it was.
    pub fn apply_env(&mut self) -> Result<(), ConfigError> {
        *self = ConfigLayers::new(self.clone()).env()?.config().clone();
        Ok(())
    }

    /// Overlays the fields that `vars` name, as [`ConfigLayers::vars`] does.
    ///
    /// # Errors
    /// Those of [`PoolConfig::apply_env`].
    pub fn apply_vars(
        &mut self,
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        *self = ConfigLayers::new(self.clone()).vars(vars)?.config().clone();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::{ConfigError, PoolConfig, Select, WorkerSource};

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
        let error = with_vars(&[("PYPROC_WORKERS", "many")]).expect_err("it is no number");
        assert!(matches!(&error, ConfigError::Variable { name, .. } if name == "PYPROC_WORKERS"), "{error}");
    }

    #[test]
    fn unknown_field_in_toml_is_refused_and_the_message_names_it() {
        let error =
            PoolConfig::from_toml_str("worker = \"w.py\"\nworkerz = 3").expect_err("there is no such field");
        assert!(error.to_string().contains("workerz"), "{error}");
        let error = PoolConfig::from_toml_str("[restart]\nmax = \"soon\"").expect_err("it is no duration");
        assert!(error.to_string().contains("duration"), "{error}");
    }

    #[test]
    fn missing_file_is_named() {
        let error = PoolConfig::from_toml_file("/nonexistent/pool.toml").expect_err("there is no such file");
        assert!(error.to_string().contains("/nonexistent/pool.toml"), "{error}");
    }
}
