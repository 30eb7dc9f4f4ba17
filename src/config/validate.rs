//! The check of a [`PoolConfig`] as a whole.

use std::time::Duration;

use super::{ConfigError, MAX_IN_FLIGHT, PoolConfig, WorkerSource};

/// The greatest `max_frame`: what a `u32` can count beside the header.
const MAX_FRAME: usize = u32::MAX as usize - 8;

impl PoolConfig {
    /// Checks that the values make sense, each and together.
    ///
    /// # Errors
    /// [`ConfigError::Field`] or [`ConfigError::Env`] for the first that does not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let restart = &self.restart;
        let share = |value: f64| (0.0..1.0).contains(&value);
        let rules = [
            ("workers", "must be from 1 to 65,535", (1..=65_535).contains(&self.workers)),
            ("worker", "must not be empty", !self.worker.is_empty()),
            ("min_ready", "must not be above workers", self.min_ready <= self.workers),
            ("max_queue", "must be at least 1", self.max_queue >= 1),
            ("call_timeout", "must not be 0", self.call_timeout != Some(Duration::ZERO)),
            ("max_in_flight", "must be from 1 to 1,024", (1..=MAX_IN_FLIGHT).contains(&self.max_in_flight)),
            ("max_concurrent", "must be at least 1", self.max_concurrent >= 1),
            ("max_attempts", "must be at least 1", self.max_attempts >= 1),
            ("start_timeout", "must not be 0", !self.start_timeout.is_zero()),
            ("max_frame", "must be from 1 KiB to 4 GiB - 9", (1024..=MAX_FRAME).contains(&self.max_frame)),
            ("restart.multiplier", "must be from 1 to 100", (1.0..=100.0).contains(&restart.multiplier)),
            ("restart.jitter", "must be at least 0 and below 1", share(restart.jitter)),
            ("restart.max", "must not be below restart.initial", restart.max >= restart.initial),
            ("restart.within", "must not be 0", !restart.within.is_zero()),
            ("restart.max_start_failures", "must be at least 1", restart.max_start_failures >= 1),
            ("recycle.jitter", "must be at least 0 and below 1", share(self.recycle.jitter)),
            ("recycle.max_calls", "must be at least 1", self.recycle.max_calls != Some(0)),
            ("recycle.max_lifetime", "must not be 0", self.recycle.max_lifetime != Some(Duration::ZERO)),
            ("recycle.max_rss", "must be at least 1", self.recycle.max_rss != Some(0)),
        ];
        if let Some((field, problem, _)) = rules.into_iter().find(|(_, _, holds)| !holds) {
            return Err(ConfigError::Field { field, problem });
        }
        let bad = |name: &str, value: &str| {
            name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') || is_reserved(name)
        };
        match self.env.iter().find(|(name, value)| bad(name, value)) {
            Some((name, _)) => Err(ConfigError::Env { name: name.clone() }),
            None => Ok(()),
        }
    }
}

/// Whether a variable belongs to the protocol.
fn is_reserved(name: &str) -> bool {
    name.starts_with("PYPROC_") && name.ends_with("_FD")
}

impl WorkerSource {
    fn is_empty(&self) -> bool {
        match self {
            Self::Path(path) => path.as_os_str().is_empty(),
            Self::Module { module } => module.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::{ConfigError, PoolConfig, RecycleConfig, RestartConfig, WorkerSource};

    #[test]
    fn values_that_make_no_sense_are_refused_by_name() {
        let restart = |change: fn(&mut RestartConfig)| {
            let mut config = PoolConfig::default();
            change(&mut config.restart);
            config
        };
        let recycle = |change: fn(&mut RecycleConfig)| {
            let mut config = PoolConfig::default();
            change(&mut config.recycle);
            config
        };
        let default = PoolConfig::default;
        let rows = [
            ("workers", default().workers(0)),
            ("worker", PoolConfig::new("")),
            ("worker", PoolConfig { worker: WorkerSource::Module { module: String::new() }, ..default() }),
            ("min_ready", default().workers(2).min_ready(3)),
            ("max_queue", default().max_queue(0)),
            ("call_timeout", default().call_timeout(Duration::ZERO)),
            ("max_in_flight", default().max_in_flight(1025)),
            ("max_concurrent", default().max_concurrent(0)),
            ("max_attempts", default().max_attempts(0)),
            ("start_timeout", default().start_timeout(Duration::ZERO)),
            ("max_frame", default().max_frame(10)),
            ("restart.multiplier", restart(|r| r.multiplier = f64::NAN)),
            ("restart.jitter", restart(|r| r.jitter = 1.0)),
            ("restart.max", restart(|r| r.max = Duration::ZERO)),
            ("restart.within", restart(|r| r.within = Duration::ZERO)),
            ("restart.max_start_failures", restart(|r| r.max_start_failures = 0)),
            ("recycle.jitter", recycle(|r| r.jitter = -0.1)),
            ("recycle.max_calls", recycle(|r| r.max_calls = Some(0))),
            ("recycle.max_lifetime", recycle(|r| r.max_lifetime = Some(Duration::ZERO))),
            ("recycle.max_rss", recycle(|r| r.max_rss = Some(0))),
        ];
        for (name, config) in rows {
            let error = config.validate().expect_err(name);
            assert!(matches!(&error, ConfigError::Field { field, .. } if *field == name), "{name}: {error}");
        }
    }

    #[test]
    fn variables_of_the_protocol_cannot_be_set_by_the_user() {
        for name in ["PYPROC_SOCKET_FD", "A=B", ""] {
            let error = PoolConfig::default().env(name, "1").validate().expect_err(name);
            assert!(matches!(error, ConfigError::Env { .. }), "{name}");
        }
    }
}
