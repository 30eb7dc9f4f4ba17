//! Admits calls, holds the queue and gives each call to a worker. The main structure in this module
//! is [`Router`].
//!
//! A worker is given only as much as fits the pipeline budget (late binding), so that short calls
//! do not wait behind a long one while another worker is free.

mod actor;
pub mod core;
mod distribution;
pub mod estimate;
pub mod select;
mod stats;
#[cfg(test)]
mod tests;

pub use self::actor::{Admission, Drain, GetStatus, Router, SetAvailability};
pub(crate) use self::actor::{
    Answer, Done, NotReplaced, Release, WorkerDown, WorkerDraining, WorkerKilled, WorkerUp,
};
pub use self::distribution::Distribution;
pub use self::stats::{CallTally, FunctionStatus, LatencyStatus, RouterStatus, WorkerStatus};
