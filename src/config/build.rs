//! Defaults and setters of [`PoolConfig`].

use std::path::PathBuf;
use std::time::Duration;

use super::{
    ActorThread, LogLevel, MAX_IN_FLIGHT, PoolConfig, RecycleConfig, RestartConfig, Select, WorkerSource,
};

const SECOND: Duration = Duration::from_secs(1);

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            worker: WorkerSource::Path("worker.py".into()),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            python: None,
            env: std::collections::BTreeMap::new(),
            cwd: None,
            select: Select::default(),
            max_queue: 4096,
            max_queue_bytes: 256 << 20,
            max_abandoned: 0,
            call_timeout: Some(30 * SECOND),
            pipeline_budget: Duration::from_millis(1),
            max_in_flight: MAX_IN_FLIGHT,
            max_concurrent: 100,
            max_attempts: 3,
            kill_grace: SECOND,
            start_timeout: 30 * SECOND,
            min_ready: 0,
            restart: RestartConfig::default(),
            recycle: RecycleConfig::default(),
            drain_timeout: 10 * SECOND,
            stop_grace: 2 * SECOND,
            max_frame: 64 << 20,
            busy_poll: Duration::ZERO,
            log_level: LogLevel::default(),
            stderr_tail_lines: 20,
            thread: ActorThread::default(),
        }
    }
}

impl Default for RecycleConfig {
    fn default() -> Self {
        Self { max_calls: None, max_lifetime: None, max_rss: None, jitter: 0.1 }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $value:expr;)*) => {
        $($(#[$doc])* #[must_use] pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $value;
            self
        })*
    };
}

impl PoolConfig {
    /// A pool of workers that run the script at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { worker: WorkerSource::Path(path.into()), ..Self::default() }
    }

    /// A pool of workers that run a module, as `python -m` does.
    pub fn module(name: impl Into<String>) -> Self {
        Self { worker: WorkerSource::Module { module: name.into() }, ..Self::default() }
    }

    setters! {
        /// Sets [`PoolConfig::workers`](#structfield.workers).
        workers: usize => workers;
        /// Sets [`PoolConfig::python`](#structfield.python).
        python: impl Into<PathBuf> => Some(python.into());
        /// Sets [`PoolConfig::cwd`](#structfield.cwd).
        cwd: impl Into<PathBuf> => Some(cwd.into());
        /// Sets [`PoolConfig::select`](#structfield.select).
        select: Select => select;
        /// Sets [`PoolConfig::max_queue`](#structfield.max_queue).
        max_queue: usize => max_queue;
        /// Sets [`PoolConfig::max_queue_bytes`](#structfield.max_queue_bytes).
        max_queue_bytes: usize => max_queue_bytes;
        /// Sets [`PoolConfig::max_abandoned`](#structfield.max_abandoned).
        max_abandoned: usize => max_abandoned;
        /// Sets [`PoolConfig::call_timeout`](#structfield.call_timeout); `None` is for no deadline.
        call_timeout: impl Into<Option<Duration>> => call_timeout.into();
        /// Sets [`PoolConfig::pipeline_budget`](#structfield.pipeline_budget).
        pipeline_budget: Duration => pipeline_budget;
        /// Sets [`PoolConfig::max_in_flight`](#structfield.max_in_flight).
        max_in_flight: usize => max_in_flight;
        /// Sets [`PoolConfig::max_concurrent`](#structfield.max_concurrent).
        max_concurrent: usize => max_concurrent;
        /// Sets [`PoolConfig::max_attempts`](#structfield.max_attempts).
        max_attempts: u32 => max_attempts;
        /// Sets [`PoolConfig::kill_grace`](#structfield.kill_grace).
        kill_grace: Duration => kill_grace;
        /// Sets [`PoolConfig::start_timeout`](#structfield.start_timeout).
        start_timeout: Duration => start_timeout;
        /// Sets [`PoolConfig::min_ready`](#structfield.min_ready).
        min_ready: usize => min_ready;
        /// Sets [`PoolConfig::restart`](#structfield.restart).
        restart: RestartConfig => restart;
        /// Sets [`PoolConfig::recycle`](#structfield.recycle).
        recycle: RecycleConfig => recycle;
        /// Sets [`PoolConfig::drain_timeout`](#structfield.drain_timeout).
        drain_timeout: Duration => drain_timeout;
        /// Sets [`PoolConfig::stop_grace`](#structfield.stop_grace).
        stop_grace: Duration => stop_grace;
        /// Sets [`PoolConfig::max_frame`](#structfield.max_frame).
        max_frame: usize => max_frame;
        /// Sets [`PoolConfig::busy_poll`](#structfield.busy_poll).
        busy_poll: Duration => busy_poll;
        /// Sets [`PoolConfig::log_level`](#structfield.log_level).
        log_level: LogLevel => log_level;
        /// Sets [`PoolConfig::stderr_tail_lines`](#structfield.stderr_tail_lines).
        stderr_tail_lines: usize => stderr_tail_lines;
        /// Sets [`PoolConfig::thread`](#structfield.thread).
        thread: ActorThread => thread;
    }

    /// Adds an environment variable of the workers; `{slot}` in the value becomes the slot's
    /// number.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::{ActorThread, LogLevel, PoolConfig, RecycleConfig, RestartConfig, Select};

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
            stderr_tail_lines = 7
            thread = "dedicated"
            restart = { initial = "1ms", multiplier = 1.5, max = "1s", jitter = 0.0, reset_after = "2s", max_restarts = 4, within = "9s", cooldown = "8s", max_start_failures = 6, hold = "2s" }
            recycle = { max_calls = 100, max_lifetime = "1h", max_rss = 1000000, jitter = 0.5 }
        "#;
        let secs = Duration::from_secs;
        let mut restart = RestartConfig::default();
        restart.initial = Duration::from_millis(1);
        restart.multiplier = 1.5;
        restart.max = secs(1);
        restart.jitter = 0.0;
        restart.reset_after = secs(2);
        restart.max_restarts = 4;
        restart.within = secs(9);
        restart.cooldown = secs(8);
        restart.max_start_failures = 6;
        restart.hold = secs(2);
        let expected = PoolConfig {
            restart,
            recycle: RecycleConfig {
                max_calls: Some(100),
                max_lifetime: Some(secs(3600)),
                max_rss: Some(1_000_000),
                jitter: 0.5,
            },
            ..PoolConfig::module("pkg.mod")
        }
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
        .stderr_tail_lines(7)
        .thread(ActorThread::Dedicated);
        let config = PoolConfig::from_toml_str(text).expect("every field is right");
        assert_eq!(config, expected);
        config.validate().expect("the values make sense");
        let written = serde_json::to_value(&config).expect("a configuration is plain values");
        let read = serde_json::from_value::<PoolConfig>(written).expect("it was written by us");
        assert_eq!(read, expected);
    }
}
