//! How a pool is set up. The main structure is [`PoolConfig`].

mod choices;
mod environment;
mod field;
mod file;
mod layers;
mod nearest;
mod schema;
mod validate;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use actix_pyproc_actors::duration;
use actix_pyproc_actors::setting::{Settable, settings};
use serde::{Deserialize, Serialize};

use self::choices::choices;

pub use actix_pyproc_actors::restart::RestartConfig;
pub use actix_pyproc_actors::router::select::Select;
pub use field::{ConfigField, ENV_PREFIX};
pub use layers::{ConfigLayers, ConfigOrigin, ConfigValue};

/// The most calls that one worker can have in flight: the size of the slot table.
pub const MAX_IN_FLIGHT: usize = 1024;

/// The maximum of `max_frame`: a `u32` counts the payload and 8 bytes of the header.
const MAX_FRAME: usize = u32::MAX as usize - 8;

settings! {
    /// How a pool is set up. [`PoolConfig::validate`] checks it when the pool starts.
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
    #[non_exhaustive]
    pub struct PoolConfig {
        /// The script that the workers run, or `{ module = "pkg.mod" }`.
        #[setting("`worker.py`")]
        pub worker: WorkerSource = WorkerSource::Path("worker.py".into()),
        /// The name of the pool in metrics.
        #[setting("none: that of the script without its suffix, or of the module")]
        #[set(impl Into<String> => Some(name.into()))]
        pub name: Option<String> = None,
        /// How many processes.
        #[setting("the number of cores", minimum = 1, maximum = 65_535)]
        pub workers: usize = std::thread::available_parallelism().map_or(1, usize::from),
        /// The Python interpreter.
        #[setting("none: that of the active virtual environment, else `python3`")]
        #[set(impl Into<PathBuf> => Some(python.into()))]
        pub python: Option<PathBuf> = None,
        /// Environment variables of the workers, in addition to those of the host; `{slot}` in a
        /// value becomes the slot's number.
        #[setting("none")]
        #[set(nothing)]
        pub env: BTreeMap<String, String> = BTreeMap::new(),
        /// The working directory of the workers.
        #[setting("none: that of the host")]
        #[set(impl Into<PathBuf> => Some(cwd.into()))]
        pub cwd: Option<PathBuf> = None,
        /// How a worker is chosen among those that have room.
        #[setting("`least-loaded`")]
        pub select: Select = Select::LeastLoaded,
        /// How many calls may wait for a worker; one more is refused as overloaded.
        #[setting("4,096", minimum = 1)]
        pub max_queue: usize = 4096,
        /// How many bytes of arguments and metadata may wait for a worker; a call beyond that is
        /// refused as overloaded unless it is the only one.
        #[setting("256 MiB")]
        pub max_queue_bytes: usize = 256 << 20,
        /// How many workers one function may occupy with abandoned calls that do not end; 0 for all
        /// but one.
        #[setting("0")]
        pub max_abandoned: usize = 0,
        /// The deadline of calls that have none of their own; `"none"` for no deadline.
        #[setting("30 s", exclusiveMinimum = 0)]
        #[set(impl Into<Option<Duration>> => call_timeout.into())]
        #[serde(with = "duration::optional")]
        pub call_timeout: Option<Duration> = Some(Duration::from_secs(30)),
        /// How much work, by estimate, is put on a busy worker's socket ahead of time.
        #[setting("1 ms")]
        #[serde(with = "duration")]
        pub pipeline_budget: Duration = Duration::from_millis(1),
        /// How many calls one worker may have on its socket, at most 1,024.
        #[setting("1,024", minimum = 1, maximum = MAX_IN_FLIGHT)]
        pub max_in_flight: usize = MAX_IN_FLIGHT,
        /// How many calls of `async def` functions run side by side in one worker.
        #[setting("100", minimum = 1)]
        pub max_concurrent: usize = 100,
        /// How many workers an idempotent call may be tried on.
        #[setting("3", minimum = 1)]
        pub max_attempts: u32 = 3,
        /// How long a cancelled call may take to end before its worker is killed.
        #[setting("1 s")]
        #[serde(with = "duration")]
        pub kill_grace: Duration = Duration::from_secs(1),
        /// How long a worker may take to become ready.
        #[setting("30 s", exclusiveMinimum = 0)]
        #[serde(with = "duration")]
        pub start_timeout: Duration = Duration::from_secs(30),
        /// How many workers must be ready before the pool counts as started; 0 for all.
        #[setting("0")]
        pub min_ready: usize = 0,
        /// How workers that died are replaced.
        pub restart: RestartConfig = RestartConfig::default(),
        /// When running workers are replaced.
        pub recycle: RecycleConfig = RecycleConfig::default(),
        /// How long a worker may take to finish its calls when it is retired or the pool shuts
        /// down.
        #[setting("10 s")]
        #[serde(with = "duration")]
        pub drain_timeout: Duration = Duration::from_secs(10),
        /// How long a process may take from SIGTERM to its end before it gets SIGKILL.
        #[setting("2 s")]
        #[serde(with = "duration")]
        pub stop_grace: Duration = Duration::from_secs(2),
        /// The longest argument or result, in bytes.
        #[setting("64 MiB", minimum = 1024, maximum = MAX_FRAME)]
        pub max_frame: usize = 64 << 20,
        /// How long an idle worker spins for its next call before it sleeps: less latency, one core
        /// more.
        #[setting("0 s")]
        #[serde(with = "duration")]
        pub busy_poll: Duration = Duration::ZERO,
        /// The lowest level of Python log records that become `tracing` events.
        #[setting("`info`")]
        pub log_level: LogLevel = LogLevel::Info,
        /// The library with which workers decode and encode JSON; a worker that cannot import it
        /// does not start.
        #[setting("`stdlib`")]
        pub json: JsonLibrary = JsonLibrary::Stdlib,
        /// How many of a worker's last lines on standard error are kept for its exit report.
        #[setting("20")]
        pub stderr_tail_lines: usize = 20,
        /// The thread that the pool's actors live on.
        #[setting("`current`")]
        pub thread: ActorThread = ActorThread::Current,
        hidden {
            /// Whether the workers use the terminal of the host, for a debugger. They then stay in
            /// the host's process group, which a terminal needs.
            pub terminal: bool,
        }
    }
}

settings! {
    /// When running workers are replaced; the replacement is ready before the old worker drains.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields, expecting = "the section [recycle]")]
    #[non_exhaustive]
    pub struct RecycleConfig {
        /// How many calls a worker serves before it is replaced.
        #[setting("none: never", minimum = 1)]
        #[set(u64 => Some(max_calls))]
        pub max_calls: Option<u64> = None,
        /// How long a worker lives before it is replaced.
        #[setting("none: never", exclusiveMinimum = 0)]
        #[set(Duration => Some(max_lifetime))]
        #[serde(with = "duration::optional")]
        pub max_lifetime: Option<Duration> = None,
        /// The resident memory, in bytes, above which a worker is replaced.
        #[setting("none: never", minimum = 1)]
        #[set(u64 => Some(max_rss))]
        pub max_rss: Option<u64> = None,
        /// How much the limits vary between workers, so that not all are replaced at once: 0.1 is
        /// ±10 %.
        #[setting("0.1", minimum = 0, exclusiveMaximum = 1)]
        pub jitter: f64 = 0.1,
    }
}

impl PoolConfig {
    /// A pool of workers that run the script at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::default().worker(WorkerSource::Path(path.into()))
    }

    /// A pool of workers that run a module, as `python -m` does.
    pub fn module(name: impl Into<String>) -> Self {
        Self::default().worker(WorkerSource::Module { module: name.into() })
    }

    /// The name of the pool: `name`, or that of its script without the suffix, or of its module.
    #[must_use]
    pub fn pool_name(&self) -> Cow<'_, str> {
        match (&self.name, &self.worker) {
            (Some(name), _) => name.into(),
            (None, WorkerSource::Module { module }) => module.into(),
            (None, WorkerSource::Path(path)) => path.file_stem().unwrap_or_default().to_string_lossy(),
        }
    }

    /// Adds an environment variable of the workers; `{slot}` in the value becomes the slot's
    /// number.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }
}

/// The script or module that the workers run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected the path of a script, or { module = \"pkg.mod\" }")]
pub enum WorkerSource {
    /// A module by its dotted name, as for `python -m`.
    Module {
        /// Its name.
        module: String,
    },
    /// A script. A relative path is relative to the host's working directory.
    Path(PathBuf),
}

impl Settable for WorkerSource {
    const SCHEMA: &'static str = r#"{"anyOf": [{"type": "string"}, {
        "type": "object",
        "properties": {"module": {"type": "string", "description": "A module by its dotted name, as for `python -m`."}},
        "required": ["module"],
        "additionalProperties": false
    }]}"#;
}

choices! {
    /// The levels of Python's `logging`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub enum LogLevel {
        /// `DEBUG`.
        Debug = "debug",
        /// `INFO`.
        #[default]
        Info = "info",
        /// `WARNING`.
        Warning = "warning",
        /// `ERROR`.
        Error = "error",
        /// `CRITICAL`.
        Critical = "critical",
    }
}

choices! {
    /// The library with which workers decode and encode JSON. `docs/json.md` has the differences.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[non_exhaustive]
    pub enum JsonLibrary {
        /// The standard library's `json`.
        #[default]
        Stdlib = "stdlib",
        /// The package `orjson`.
        Orjson = "orjson",
        /// The package `msgspec`.
        Msgspec = "msgspec",
    }
}

/// The thread that the pool's actors live on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorThread {
    /// The arbiter that starts the pool: calls from there stay on one thread.
    #[default]
    Current,
    /// Their own arbiter, for hosts whose threads block.
    Dedicated,
}

impl Settable for ActorThread {
    const SCHEMA: &'static str = r#"{"enum": ["current", "dedicated"]}"#;
}
