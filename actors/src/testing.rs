//! A backend whose processes are simulated in tokio's time, for tests without processes. The main
//! structure is [`ScriptedBackend`].
//!
//! Each [`ScriptedCall`] says how long it takes and how it ends. A [`Script`] plans launches and
//! makes processes fail. With `tokio::time::pause` a test of minutes takes milliseconds, and its
//! times are exact.
//!
//! ```
//! use std::time::Duration;
//!
//! use actix_pyproc_actors::testing::{limits, settings, ScriptedCall, ScriptedError, ScriptedPool, Then};
//!
//! # actix::System::new().block_on(async {
//! tokio::time::pause();
//! let pool = ScriptedPool::start(limits(), settings(2));
//! let call = ScriptedCall::new(7).takes(Duration::from_secs(60)).then(Then::Raise);
//! assert_eq!(pool.call(call).await.expect_err("it ends with an error"), ScriptedError::Raised);
//! assert_eq!(pool.script.executions().len(), 1);
//! pool.shutdown(Duration::from_secs(1)).await;
//! # });
//! ```

mod backend;
mod call;
mod pool;
mod process;
mod script;

pub use self::backend::{ScriptedBackend, ScriptedLink};
pub use self::call::{ScriptedCall, ScriptedError, ScriptedExit, ScriptedReply, Then};
pub use self::pool::{ScriptedPool, limits, settings};
pub use self::process::Execution;
pub use self::script::{LaunchPlan, LaunchRecord, Script};
