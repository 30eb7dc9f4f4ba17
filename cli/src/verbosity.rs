//! How much goes to standard error, and in which form. The main items are [`Verbosity`] and
//! [`LogFormat`].

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;

/// The levels of `--log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verbosity {
    /// Nothing.
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The forms of `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line, with its time.
    Json,
}

impl Verbosity {
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
