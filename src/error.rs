//! The errors of calls and of starts, and how processes exit. The main structure is [`CallError`].

mod argument;
mod call;
mod config;
mod exception;
mod exit;
mod python;
mod readable;
mod start;
#[cfg(feature = "testing")]
mod testing;

pub use argument::{ArgumentError, ArgumentErrorKind};
pub use call::CallError;
pub use config::ConfigError;
pub use exception::ExceptionInfo;
pub use exit::{Exit, ExitCause, ExitStatus};
pub use python::Python;
pub use start::StartError;
