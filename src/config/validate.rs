//! The check of a whole configuration. The main item in this module is [`PoolConfig::validate`].

use actix_pyproc_actors::setting::Settable as _;

use crate::config::environment::is_of_protocol;
use crate::config::{PoolConfig, WorkerSource};
use crate::error::ConfigError;

impl PoolConfig {
    /// The configuration as a pool uses it: checked, and with durations that cannot overflow the
    /// clock.
    pub(crate) fn checked(mut self) -> Result<Self, ConfigError> {
        self.validate()?;
        self.clamp_durations();
        Ok(self)
    }

    /// Checks each value against its bounds, and those that depend on each other.
    ///
    /// # Errors
    /// [`ConfigError::Field`] or [`ConfigError::Env`] for the first invalid value.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check("", &[]).map_err(|(key, bounds)| {
            let field = Self::fields().iter().find(|field| field.key == key).expect("the key is a field's");
            ConfigError::Field { field: &field.key, problem: format!("must be {bounds}") }
        })?;
        let rules = [
            ("worker", "must not be empty", !self.worker.is_empty()),
            ("name", "must have 1 to 100 characters, and no control characters", self.has_valid_name()),
            ("min_ready", "must not be above workers", self.min_ready <= self.workers),
            ("restart.max", "must not be below restart.initial", self.restart.max >= self.restart.initial),
        ];
        if let Some((field, problem, _)) = rules.into_iter().find(|(_, _, holds)| !holds) {
            return Err(ConfigError::Field { field, problem: problem.to_owned() });
        }
        let bad = |name: &str, value: &str| {
            name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') || is_of_protocol(name)
        };
        match self.env.iter().find(|(name, value)| bad(name, value)) {
            Some((name, _)) => Err(ConfigError::Env { name: name.clone() }),
            None => Ok(()),
        }
    }

    fn has_valid_name(&self) -> bool {
        let valid =
            |name: &String| !name.contains(char::is_control) && (1..=100).contains(&name.chars().count());
        self.name.as_ref().is_none_or(valid)
    }
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

    use actix_pyproc_actors::duration;

    use crate::config::{PoolConfig, RecycleConfig, RestartConfig, WorkerSource};
    use crate::error::ConfigError;

    #[test]
    fn durations_beyond_the_clock_become_the_longest() {
        let config = PoolConfig::default().call_timeout(Duration::MAX).kill_grace(Duration::MAX);
        let config = config.restart(RestartConfig::default().hold(Duration::MAX)).checked();
        let config = config.expect("a long duration is valid");
        assert_eq!((config.call_timeout, config.kill_grace), (Some(duration::LONGEST), duration::LONGEST));
        assert_eq!((config.restart.hold, config.stop_grace), (duration::LONGEST, Duration::from_secs(2)));
    }

    #[test]
    fn values_that_make_no_sense_are_refused_by_name() {
        let restart = |restart: RestartConfig| PoolConfig::default().restart(restart);
        let recycle = |recycle: RecycleConfig| PoolConfig::default().recycle(recycle);
        let (restarts, recycles) = (RestartConfig::default, RecycleConfig::default);
        let default = PoolConfig::default;
        let rows = [
            ("workers", default().workers(0)),
            ("worker", PoolConfig::new("")),
            ("worker", default().worker(WorkerSource::Module { module: String::new() })),
            ("name", default().name("")),
            ("name", default().name("two\nlines")),
            ("name", default().name("x".repeat(101))),
            ("min_ready", default().workers(2).min_ready(3)),
            ("max_queue", default().max_queue(0)),
            ("call_timeout", default().call_timeout(Duration::ZERO)),
            ("max_in_flight", default().max_in_flight(1025)),
            ("max_concurrent", default().max_concurrent(0)),
            ("max_attempts", default().max_attempts(0)),
            ("start_timeout", default().start_timeout(Duration::ZERO)),
            ("max_frame", default().max_frame(10)),
            ("restart.multiplier", restart(restarts().multiplier(f64::NAN))),
            ("restart.jitter", restart(restarts().jitter(1.0))),
            ("restart.max", restart(restarts().max(Duration::ZERO))),
            ("restart.within", restart(restarts().within(Duration::ZERO))),
            ("restart.max_start_failures", restart(restarts().max_start_failures(0))),
            ("recycle.jitter", recycle(recycles().jitter(-0.1))),
            ("recycle.max_calls", recycle(recycles().max_calls(0))),
            ("recycle.max_lifetime", recycle(recycles().max_lifetime(Duration::ZERO))),
            ("recycle.max_rss", recycle(recycles().max_rss(0))),
        ];
        for (name, config) in rows {
            let error = config.validate().expect_err(name);
            assert!(matches!(&error, ConfigError::Field { field, .. } if *field == name), "{name}: {error}");
        }
    }

    #[test]
    fn a_pool_is_named_by_its_configuration_or_its_worker() {
        let named = |config: PoolConfig| config.pool_name().into_owned();
        assert_eq!(named(PoolConfig::new("/srv/models/ranker.py")), "ranker");
        assert_eq!(named(PoolConfig::module("shop.ranker")), "shop.ranker");
        assert_eq!(named(PoolConfig::new("ranker.py").name("search ü")), "search ü");
        assert!(PoolConfig::default().name("search ü").validate().is_ok());
    }

    #[test]
    fn variables_of_the_protocol_cannot_be_set_by_the_user() {
        for name in ["PYPROC_SOCKET_FD", "PYPROC_NEW_FD", "PYPROC_TERMINAL", "A=B", ""] {
            let error = PoolConfig::default().env(name, "1").validate().expect_err(name);
            assert!(matches!(error, ConfigError::Env { .. }), "{name}");
        }
    }
}
