//! How a pool is set up. The main structure is [`PoolConfig`].

mod build;
mod error;
mod field;
mod layers;
mod load;
mod nearest;
mod schema;
mod validate;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use actix_pyproc_actors::duration;
use serde::{Deserialize, Serialize};

pub use actix_pyproc_actors::restart::RestartConfig;
pub use actix_pyproc_actors::router::select::Select;
pub use error::ConfigError;
pub use field::ConfigField;
pub use layers::{ConfigLayers, ConfigOrigin, ConfigValue};
pub use load::ENV_PREFIX;

use field::{described, settings};

/// The most calls that one worker can have in flight: the size of the slot table.
pub const MAX_IN_FLIGHT: usize = 1024;

described! {
    /// How a pool is set up. [`PoolConfig::validate`] is called once, when the pool starts.
    ///
    /// ```
    /// use actix_pyproc::PoolConfig;
    /// use std::time::Duration;
    ///
    /// let config = PoolConfig::new("worker.py").workers(4).call_timeout(Duration::from_secs(5));
    /// assert!(config.validate().is_ok());
    /// ```
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct PoolConfig {
        /// The script that the workers run, or `{ module = "pkg.mod" }`.
        /// Default: `worker.py`.
        pub worker: WorkerSource,
        /// How many processes.
        /// Default: the number of cores.
        pub workers: usize,
        /// The Python interpreter.
        /// Default: none: that of the active virtual environment, else `python3`.
        pub python: Option<PathBuf>,
        /// Environment variables of the workers, beside those of the host; `{slot}` in a value
        /// becomes the slot's number. Default: none.
        pub env: BTreeMap<String, String>,
        /// The working directory of the workers.
        /// Default: none: that of the host.
        pub cwd: Option<PathBuf>,
        /// How a worker is chosen among those that have room.
        /// Default: `least-loaded`.
        pub select: Select,
        /// How many calls may wait for a worker; one more is refused as overloaded.
        /// Default: 4,096.
        pub max_queue: usize,
        /// How many bytes of arguments and metadata may wait for a worker; a call beyond that is
        /// refused as overloaded unless it is the only one.
        /// Default: 256 MiB.
        pub max_queue_bytes: usize,
        /// How many workers one function may occupy while calls of it that were given up do not
        /// end; 0 for all but one.
        /// Default: 0.
        pub max_abandoned: usize,
        /// The deadline of calls that bring none; `"none"` for no deadline.
        /// Default: 30 s.
        #[serde(with = "duration::optional")]
        pub call_timeout: Option<Duration>,
        /// How much work, by estimate, is put on a busy worker's socket ahead of time.
        /// Default: 1 ms.
        #[serde(with = "duration")]
        pub pipeline_budget: Duration,
        /// How many calls one worker may have on its socket, at most 1,024.
        /// Default: 1,024.
        pub max_in_flight: usize,
        /// How many calls of `async def` functions run side by side in one worker.
        /// Default: 100.
        pub max_concurrent: usize,
        /// How many workers an idempotent call may be tried on.
        /// Default: 3.
        pub max_attempts: u32,
        /// How long a cancelled call may take to end before its worker is killed.
        /// Default: 1 s.
        #[serde(with = "duration")]
        pub kill_grace: Duration,
        /// How long a worker may take to become ready.
        /// Default: 30 s.
        #[serde(with = "duration")]
        pub start_timeout: Duration,
        /// How many workers must be ready before the pool counts as started; 0 for all.
        /// Default: 0.
        pub min_ready: usize,
        /// How workers that died are replaced.
        pub restart: RestartConfig,
        /// When workers that live are replaced.
        pub recycle: RecycleConfig,
        /// How long a worker may take to finish its calls when it is retired or the pool shuts
        /// down. Default: 10 s.
        #[serde(with = "duration")]
        pub drain_timeout: Duration,
        /// How long a process may take from SIGTERM to its end before it gets SIGKILL.
        /// Default: 2 s.
        #[serde(with = "duration")]
        pub stop_grace: Duration,
        /// The longest argument or result, in bytes.
        /// Default: 64 MiB.
        pub max_frame: usize,
        /// How long an idle worker spins for its next call before it sleeps: less latency, one core
        /// more. Default: 0.
        #[serde(with = "duration")]
        pub busy_poll: Duration,
        /// The lowest level of Python log records that become `tracing` events.
        /// Default: `info`.
        pub log_level: LogLevel,
        /// How many of a worker's last lines on standard error are kept for its exit report.
        /// Default: 20.
        pub stderr_tail_lines: usize,
        /// The thread that the pool's actors live on.
        /// Default: `current`.
        pub thread: ActorThread,
    }
}

actix_pyproc_actors::restart_config!(settings);

described! {
    /// When workers that live are replaced; the replacement is ready before the old one drains.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields, expecting = "the section [recycle]")]
    pub struct RecycleConfig {
        /// After this many calls.
        /// Default: none: never.
        pub max_calls: Option<u64>,
        /// After this long.
        /// Default: none: never.
        #[serde(with = "duration::optional")]
        pub max_lifetime: Option<Duration>,
        /// Above this much resident memory, in bytes.
        /// Default: none: never.
        pub max_rss: Option<u64>,
        /// How much the limits differ from worker to worker, so that not all are replaced at once:
        /// 0.1 is ±10 %. Default: 0.1.
        pub jitter: f64,
    }
}

/// What the workers run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected the path of a script, or { module = \"pkg.mod\" }")]
pub enum WorkerSource {
    /// A module by its dotted name, as for `python -m`.
    Module {
        /// Its name.
        module: String,
    },
    /// A script; a relative path counts from the host's working directory.
    Path(PathBuf),
}

/// The levels of Python's `logging`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// `DEBUG`.
    Debug,
    /// `INFO`.
    #[default]
    Info,
    /// `WARNING`.
    Warning,
    /// `ERROR`.
    Error,
    /// `CRITICAL`.
    Critical,
}

impl LogLevel {
    /// The name as Python writes it, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// The thread that the pool's actors live on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorThread {
    /// The arbiter that starts the pool: a call from there crosses no thread.
    #[default]
    Current,
    /// An arbiter of their own, for hosts whose threads block.
    Dedicated,
}
