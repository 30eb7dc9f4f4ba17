//! The options that configure a pool. The main structure is [`PoolOptions`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_pyproc::config::{ConfigLayers, ConfigOrigin, JsonLibrary, LogLevel, Select, WorkerSource};
use actix_pyproc::{Codec, PoolConfig};
use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;

use crate::duration::{self, TimeLimit};
use crate::failure::Failure;
use crate::verbosity::{LogFormat, Verbosity};

/// The options that configure a pool. Flags override `PYPROC_` variables, which override the file.
#[derive(Args)]
pub(crate) struct PoolOptions {
    /// Run a module instead of a file, as `python -m` does
    #[arg(short, long, value_name = "MODULE")]
    pub(crate) module: Option<String>,
    /// The number of worker processes
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// The Python interpreter [default: PYPROC_PYTHON, else the active virtual environment's, else
    /// python3]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// A TOML file that configures the pool
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// The deadline of a call: 5s, 250ms, none; a bare number is milliseconds [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration::positive_limit)]
    timeout: Option<TimeLimit>,
    /// How long a worker may take to become ready: 5s, 250ms; a bare number is milliseconds
    /// [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration::positive)]
    start_timeout: Option<Duration>,
    /// How many calls may wait for a worker [default: 4096]
    #[arg(long, value_name = "N")]
    max_queue: Option<usize>,
    /// How the pool selects a worker for a call [default: least-loaded]
    #[arg(long, value_name = "STRATEGY", value_parser = select_parser())]
    select: Option<Select>,
    /// How arguments and results are encoded; `serve` uses the Content-Type of each request instead
    #[arg(long, default_value = "json", value_parser = codec_parser())]
    pub(crate) codec: Codec,
    /// The library with which workers decode and encode JSON [default: stdlib]
    #[arg(long, value_name = "LIBRARY", value_parser = json_parser())]
    json_codec: Option<JsonLibrary>,
    /// An environment variable of the workers; {slot} in VALUE becomes the number of the worker's
    /// slot (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = env_pair)]
    env: Vec<(String, String)>,
    /// What goes to standard error: print() counts as info, a worker's standard error as warn,
    /// logging has its own levels [default: what workers print, and the pool's warnings]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<Verbosity>,
    /// How standard error is written; `json` is one object per line: timestamp (RFC 3339), level,
    /// target, fields and spans
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

impl PoolOptions {
    /// The configuration from defaults, file, environment and flags.
    pub(crate) fn config(&self, script: Option<&Path>, defaults: PoolConfig) -> Result<PoolConfig, Failure> {
        Ok(self.layers(script, defaults)?.finish()?)
    }

    /// As [`PoolOptions::config`], for a command that makes one call: it starts one worker, unless
    /// the number of workers is set.
    pub(crate) fn config_for_one(&self, script: Option<&Path>) -> Result<PoolConfig, Failure> {
        let layers = self.layers(script, PoolConfig::default().workers(1))?;
        let mut config = layers.config().clone();
        if layers.origin("workers") == ConfigOrigin::Default {
            // The file's `min_ready` is meant for a pool with all of its workers.
            config.min_ready = 0;
        }
        config.validate()?;
        Ok(config)
    }

    /// The unchecked configuration, with the origin of each value.
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
        layers = flag(layers, ("worker", "--module"), &self.module, |config, module| {
            config.worker = WorkerSource::Module { module };
        });
        layers = flag(layers, ("workers", "--workers"), &self.workers, |config, n| config.workers = n);
        layers =
            flag(layers, ("python", "--python"), &self.python, |config, path| config.python = Some(path));
        layers = flag(layers, ("call_timeout", "--timeout"), &self.timeout, |config, timeout| {
            config.call_timeout = timeout.0;
        });
        layers =
            flag(layers, ("start_timeout", "--start-timeout"), &self.start_timeout, |config, timeout| {
                config.start_timeout = timeout;
            });
        layers =
            flag(layers, ("max_queue", "--max-queue"), &self.max_queue, |config, n| config.max_queue = n);
        layers = flag(layers, ("select", "--select"), &self.select, |config, select| config.select = select);
        layers = flag(layers, ("json", "--json-codec"), &self.json_codec, |config, json| config.json = json);
        for (name, value) in &self.env {
            layers = layers.flag(format!("env.{name}"), "--env", |config| {
                config.env.insert(name.clone(), value.clone());
            });
        }
        match self.log {
            Some(Verbosity::Debug | Verbosity::Trace) => {
                layers.flag("log_level", "--log", |config| config.log_level = LogLevel::Debug)
            }
            _ => layers,
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

fn json_parser() -> impl clap::builder::TypedValueParser<Value = JsonLibrary> {
    let all = JsonLibrary::ALL.iter().copied();
    PossibleValuesParser::new(all.clone().map(JsonLibrary::as_str)).map(move |name| {
        all.clone().find(|library| library.as_str() == name).expect("the name is that of a library")
    })
}

fn env_pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE"),
    }
}
