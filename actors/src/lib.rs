//! The three actors of actix-pyproc, generic over the process behind them. The main item in this
//! crate is [`backend::Backend`].
//!
//! [`Supervisor`] owns one [`Worker`] per process and replaces those that end; [`Router`] takes the
//! calls and gives each to a worker. This crate knows nothing of Python, sockets or processes, so
//! every policy is tested in simulated time.

mod alarm;
pub mod backend;
pub mod duration;
pub mod id;
mod job;
mod panic;
pub mod restart;
pub mod router;
#[doc(hidden)]
pub mod setting;
pub mod supervisor;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod worker;

pub use crate::backend::{
    Backend, Class, KillReason, Link, LinkEvent, Outcome, Panic, Phase, Request, Unsent,
};
pub use crate::id::{CallId, ClassId, Generation, SlotId, WorkerKey};
pub use crate::router::Router;
pub use crate::supervisor::{RetireReason, Supervisor, WorkerEvent};
pub use crate::worker::{Desks, Worker};
