//! Holds the calls of one process and settles them. The main structure in this module is [`Worker`].

mod actor;
pub mod core;

pub use self::actor::Worker;
pub(crate) use self::actor::{Assign, Assigned, Dismiss, DrainWorker, KillWorker, RetireLimits, WorkerSpec};
