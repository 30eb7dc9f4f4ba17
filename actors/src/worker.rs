//! Holds the calls of one process and settles them. The main structure in this module is
//! [`Worker`].

mod actor;
pub mod core;
mod fate;
mod inflight;
mod messages;
mod new_workers;

pub use self::actor::Worker;
pub(crate) use self::inflight::{Answer, Assignment, Changes, Inflight, Release, Settled, WorkerSpec};
pub(crate) use self::messages::{
    Dismiss, DrainWorker, KillWorker, RetireWanted, WorkerDown, WorkerExited, WorkerKilled,
};
pub use self::new_workers::NewWorkers;
