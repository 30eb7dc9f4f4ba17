//! Holds the calls of one process and settles them. The main structure in this module is
//! [`Worker`].

mod action;
mod actor;
pub mod core;
mod fate;
mod flight;
mod inflight;
mod messages;
mod new_workers;
mod policy;

pub use self::actor::Worker;
pub(crate) use self::inflight::{Answer, Assignment, Changes, Inflight, Release, Settled, WorkerSpec};
pub(crate) use self::messages::{
    Dismiss, DrainWorker, KillWorker, RetireWanted, WorkerDown, WorkerExited, WorkerKilled,
};
pub use self::new_workers::NewWorkers;
pub use self::policy::Patience;
pub(crate) use self::policy::{Policy, RetireLimits};
