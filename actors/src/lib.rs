//! The three actors of actix-pyproc, generic over the process behind them. The main item in this
//! crate is [`backend::Backend`].
//!
//! [`Supervisor`] owns one [`Worker`] per process and replaces processes that end. [`Router`] takes
//! the calls and assigns each to a worker. This crate does not depend on Python, sockets or
//! processes, so every policy is tested in simulated time.

mod alarm;
pub mod backend;
pub mod call;
pub mod duration;
pub mod id;
mod job;
mod panic;
pub mod reason;
pub mod restart;
pub mod router;
#[doc(hidden)]
pub mod setting;
pub mod supervisor;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod waker;
pub mod worker;

pub use crate::backend::{Backend, Link, LinkEvent, Outcome, Panic, Routable, Unsent};
pub use crate::call::{Function, Phase};
pub use crate::id::{CallId, FunctionId, Generation, SlotId, WorkerKey};
pub use crate::reason::{KillReason, RetireReason};
pub use crate::router::Router;
pub use crate::supervisor::{Supervisor, WorkerEvent};
pub use crate::worker::{NewWorkers, Worker};
