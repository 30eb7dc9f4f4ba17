//! What all commands have in common: the options that make a pool. The main structure is
//! [`PoolOptions`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_pyproc::{Codec, ConfigLayers, ConfigOrigin, LogLevel, PoolConfig, Select, WorkerSource};
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;

use crate::failure::Failure;

/// The options that make a pool. A flag counts before a `PYPROC_` variable, and that before the
/// file.
#[derive(Args)]
pub(crate) struct PoolOptions {
    /// Run a module, as `python -m` does, in place of a file
    #[arg(short, long, value_name = "MODULE")]
    pub(crate) module: Option<String>,
    /// How many processes
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// The interpreter [default: PYPROC_PYTHON, else the active virtual environment's, else
    /// python3]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// A TOML file with the configuration of the pool
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// The deadline of a call, in milliseconds [default: 30000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// How long a worker may take to become ready, in milliseconds [default: 30000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    start_timeout: Option<u64>,
    /// How many calls may wait for a worker [default: 4096]
    #[arg(long, value_name = "N")]
    max_queue: Option<usize>,
    /// How a worker is chosen [default: least-loaded]
    #[arg(long, value_name = "STRATEGY", value_parser = select_parser())]
    select: Option<Select>,
    /// How arguments and results are encoded; `serve` goes by each request's Content-Type
    #[arg(long, default_value = "json", value_parser = codec_parser())]
    pub(crate) codec: Codec,
    /// An environment variable of the workers; {slot} in VALUE becomes the worker's number
    /// (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = env_pair)]
    env: Vec<(String, String)>,
    /// What goes to standard error: print() is info, a worker's standard error is warn, logging has
    /// its own levels [default: what workers print, and the pool's warnings]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<Log>,
}

/// The levels of `--log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Log {
    /// Nothing.
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl PoolOptions {
    /// The configuration that defaults, file, environment and flags make together.
    pub(crate) fn config(&self, script: Option<&Path>, defaults: PoolConfig) -> Result<PoolConfig, Failure> {
        Ok(self.layers(script, defaults)?.finish()?)
    }

    /// The same for a command that makes one call: it starts one worker, unless a number of workers
    /// is set.
    pub(crate) fn config_for_one(&self, script: Option<&Path>) -> Result<PoolConfig, Failure> {
        let layers = self.layers(script, PoolConfig::default().workers(1))?;
        let mut config = layers.config().clone();
        if layers.origin("workers") == ConfigOrigin::Default {
            // How many must be ready was meant for the pool that the file is for.
            config.min_ready = 0;
        }
        config.validate()?;
        Ok(config)
    }

    /// The configuration, unchecked, with where each value comes from.
    pub(crate) fn layers(
        &self,
        script: Option<&Path>,
        defaults: PoolConfig,
    ) -> Result<ConfigLayers, Failure> {
        let layers = ConfigLayers::new(defaults);
        let layers = match &self.config {
            Some(path) => layers.file(path)?,
            None => layers,
        };
        let layers = self.overlay(layers.env()?);
        Ok(match script {
            Some(path) => {
                layers.flag("worker", "WORKER", |config| config.worker = WorkerSource::Path(path.to_owned()))
            }
            None => layers,
        })
    }

    fn overlay(&self, mut layers: ConfigLayers) -> ConfigLayers {
        fn flag<T: Clone>(
            layers: ConfigLayers,
            (key, name): (&'static str, &'static str),
            value: &Option<T>,
            set: impl FnOnce(&mut PoolConfig, T),
        ) -> ConfigLayers {
            match value.clone() {
                Some(value) => layers.flag(key, name, |config| set(config, value)),
                None => layers,
            }
        }
        let millis = |millis: u64| Duration::from_millis(millis);
        layers = flag(layers, ("worker", "--module"), &self.module, |config, module| {
            config.worker = WorkerSource::Module { module };
        });
        layers = flag(layers, ("workers", "--workers"), &self.workers, |config, n| config.workers = n);
        layers =
            flag(layers, ("python", "--python"), &self.python, |config, path| config.python = Some(path));
        layers = flag(layers, ("call_timeout", "--timeout"), &self.timeout, |config, timeout| {
            config.call_timeout = Some(millis(timeout));
        });
        layers =
            flag(layers, ("start_timeout", "--start-timeout"), &self.start_timeout, |config, timeout| {
                config.start_timeout = millis(timeout);
            });
        layers =
            flag(layers, ("max_queue", "--max-queue"), &self.max_queue, |config, n| config.max_queue = n);
        layers = flag(layers, ("select", "--select"), &self.select, |config, select| config.select = select);
        for (name, value) in &self.env {
            layers = layers.flag(format!("env.{name}"), "--env", |config| {
                config.env.insert(name.clone(), value.clone());
            });
        }
        match self.log {
            Some(Log::Debug | Log::Trace) => {
                layers.flag("log_level", "--log", |config| config.log_level = LogLevel::Debug)
            }
            _ => layers,
        }
    }
}

impl Log {
    pub(crate) fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

fn select_parser() -> impl clap::builder::TypedValueParser<Value = Select> {
    PossibleValuesParser::new(["round-robin", "least-loaded"]).map(|name| match name.as_str() {
        "round-robin" => Select::RoundRobin,
        _ => Select::LeastLoaded,
    })
}

fn codec_parser() -> impl clap::builder::TypedValueParser<Value = Codec> {
    PossibleValuesParser::new(["json", "msgpack"]).map(|name| match name.as_str() {
        "msgpack" => Codec::Msgpack,
        _ => Codec::Json,
    })
}

fn env_pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is expected"),
    }
}
