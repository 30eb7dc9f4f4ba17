//! The layer of a TOML file: its keys, their lines, and its values. The main item in this module is
//! [`ConfigLayers::toml`].

use std::path::Path;

use actix_pyproc_actors::setting::{Settable as _, below};
use toml::de::{DeTable, DeValue};

use crate::config::PoolConfig;
use crate::config::layers::{ConfigLayers, ConfigOrigin};
use crate::config::nearest::nearest;
use crate::error::ConfigError;

/// The one key that the value of `worker` can have.
const WORKER_MODULE: &str = "worker.module";

impl ConfigLayers {
    /// Adds a layer with the values of a TOML file.
    ///
    /// # Errors
    /// [`ConfigError::Read`] if it cannot be read, and the errors of [`ConfigLayers::toml`].
    pub fn file(self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        self.toml(&text, Some(path))
    }

    /// Adds a layer with the values of a TOML text; `path` is the file that it was read from.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`] for the first unknown key, [`ConfigError::Toml`] if the text is
    /// not TOML or a value does not fit its key.
    pub fn toml(mut self, text: &str, path: Option<&Path>) -> Result<Self, ConfigError> {
        let path = path.map(Path::to_owned);
        let unreadable =
            |error: toml::de::Error| ConfigError::Toml { path: path.clone(), message: error.to_string() };
        let keys = keys("", DeTable::parse(text).map_err(unreadable)?.get_ref());
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        if let Some((at, key)) = keys.iter().filter(|(_, key)| !is_known(key)).min() {
            let known = PoolConfig::fields().iter().map(|field| field.key.as_str());
            let nearest = nearest(key, known.chain([WORKER_MODULE])).map(ToOwned::to_owned);
            return Err(ConfigError::UnknownKey { key: key.clone(), nearest, path, line: line(*at) });
        }
        let read: PoolConfig = toml::from_str(text).map_err(unreadable)?;
        for (at, key) in keys {
            self.config.copy(&key, &read);
            self.origins.insert(key, ConfigOrigin::File { path: path.clone(), line: line(at) });
        }
        Ok(self)
    }
}

impl PoolConfig {
    /// Reads a configuration from TOML. Fields that are absent keep their defaults; unknown keys
    /// are errors.
    ///
    /// ```
    /// # fn main() -> Result<(), actix_pyproc::error::ConfigError> {
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
    /// Those of [`ConfigLayers::toml`].
    pub fn from_toml_str(text: &str) -> Result<Self, ConfigError> {
        Ok(ConfigLayers::new(Self::default()).toml(text, None)?.config)
    }

    /// Reads a configuration from a TOML file.
    ///
    /// # Errors
    /// Those of [`ConfigLayers::file`].
    pub fn from_toml_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Ok(ConfigLayers::new(Self::default()).file(path)?.config)
    }
}

/// The keys of a table, with their offsets. A section is represented by the keys below it.
fn keys(section: &str, table: &DeTable<'_>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (name, value) in table {
        let key = below(section, name.get_ref());
        let is_open = is_section(&key) || key == "env";
        match value.get_ref() {
            DeValue::Table(table) if is_open => found.extend(keys(&key, table)),
            DeValue::Table(table) if key == "worker" => {
                found.extend(keys(&key, table));
                found.push((name.span().start, key));
            }
            _ => found.push((name.span().start, key)),
        }
    }
    found
}

fn is_known(key: &str) -> bool {
    let is_field = PoolConfig::fields().iter().any(|field| field.key == key);
    is_field || is_section(key) || key == WORKER_MODULE || key.starts_with("env.")
}

fn is_section(key: &str) -> bool {
    PoolConfig::SECTION.iter().any(|setting| setting.name == key && !setting.section.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::{
        ActorThread, JsonLibrary, LogLevel, PoolConfig, RecycleConfig, RestartConfig, Select,
    };

    #[test]
    fn defaults_are_valid_and_all_left_out() {
        let config = PoolConfig::default();
        config.validate().expect("the defaults make sense");
        assert_eq!(PoolConfig::from_toml_str("").expect("all fields have defaults"), config);
    }

    #[test]
    fn every_field_is_read_from_toml() {
        let text = r#"
            worker = { module = "pkg.mod" }
            name = "ranker"
            workers = 3
            python = "/opt/python"
            env = { GPU = "{slot}" }
            cwd = "/srv"
            select = "round-robin"
            max_queue = 10
            max_queue_bytes = 4096
            max_abandoned = 2
            call_timeout = "none"
            pipeline_budget = "2ms"
            max_in_flight = 64
            max_concurrent = 5
            max_attempts = 2
            kill_grace = "3s"
            start_timeout = 4000
            min_ready = 1
            drain_timeout = "5s"
            stop_grace = "6s"
            max_frame = 2048
            busy_poll = "50us"
            log_level = "debug"
            json = "msgspec"
            stderr_tail_lines = 7
            thread = "dedicated"
            restart = { initial = "1ms", multiplier = 1.5, max = "1s", jitter = 0.0, reset_after = "2s", max_restarts = 4, within = "9s", cooldown = "8s", max_start_failures = 6, hold = "2s" }
            recycle = { max_calls = 100, max_lifetime = "1h", max_rss = 1000000, jitter = 0.5 }
        "#;
        let secs = Duration::from_secs;
        let restart = RestartConfig::default()
            .initial(Duration::from_millis(1))
            .multiplier(1.5)
            .max(secs(1))
            .jitter(0.0)
            .reset_after(secs(2))
            .max_restarts(4)
            .within(secs(9))
            .cooldown(secs(8))
            .max_start_failures(6)
            .hold(secs(2));
        let recycle =
            RecycleConfig::default().max_calls(100).max_lifetime(secs(3600)).max_rss(1_000_000).jitter(0.5);
        let expected = PoolConfig::module("pkg.mod")
            .restart(restart)
            .recycle(recycle)
            .name("ranker")
            .workers(3)
            .python("/opt/python")
            .env("GPU", "{slot}")
            .cwd("/srv")
            .select(Select::RoundRobin)
            .max_queue(10)
            .max_queue_bytes(4096)
            .max_abandoned(2)
            .call_timeout(None)
            .pipeline_budget(Duration::from_millis(2))
            .max_in_flight(64)
            .max_concurrent(5)
            .max_attempts(2)
            .kill_grace(secs(3))
            .start_timeout(secs(4))
            .min_ready(1)
            .drain_timeout(secs(5))
            .stop_grace(secs(6))
            .max_frame(2048)
            .busy_poll(Duration::from_micros(50))
            .log_level(LogLevel::Debug)
            .json(JsonLibrary::Msgspec)
            .stderr_tail_lines(7)
            .thread(ActorThread::Dedicated);
        let config = PoolConfig::from_toml_str(text).expect("every field is right");
        assert_eq!(config, expected);
        config.validate().expect("the values make sense");
        let written = serde_json::to_value(&config).expect("a configuration is plain values");
        let read = serde_json::from_value::<PoolConfig>(written).expect("it was written by us");
        assert_eq!(read, expected);
    }

    #[test]
    fn unknown_field_in_toml_is_refused_and_the_message_names_it() {
        let error =
            PoolConfig::from_toml_str("worker = \"w.py\"\nworkerz = 3").expect_err("the field is unknown");
        assert!(error.to_string().contains("workerz"), "{error}");
        let error = PoolConfig::from_toml_str("[restart]\nmax = \"soon\"").expect_err("it is not a duration");
        assert!(error.to_string().contains("duration"), "{error}");
    }

    #[test]
    fn missing_file_is_named() {
        let error =
            PoolConfig::from_toml_file("/nonexistent/pool.toml").expect_err("the file does not exist");
        assert!(error.to_string().contains("/nonexistent/pool.toml"), "{error}");
    }
}
