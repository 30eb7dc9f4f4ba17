//! Admits calls, holds the queue and assigns each call to a worker. The main structure in this
//! module is [`Router`].
//!
//! A worker gets only as much work as fits the pipeline budget (late binding), so that short calls
//! do not wait behind a long one while another worker is free.

mod actor;
mod buckets;
pub mod core;
mod distribution;
pub mod estimate;
mod handlers;
mod limits;
mod load;
mod messages;
mod quantiles;
pub mod select;
mod stats;
#[cfg(test)]
mod tests;

pub use self::actor::{Admission, Router};
pub use self::distribution::Distribution;
pub use self::limits::{Availability, Limits, Rejection};
pub use self::load::Entry;
pub use self::messages::{Drain, GetAvailability, GetCounters, GetStatus, SetAvailability};
pub(crate) use self::messages::{NotReplaced, WorkerDraining, WorkerUp};
pub use self::quantiles::LatencyStatus;
pub use self::stats::{CallTally, FunctionStatus, RouterStatus, WorkerStatus};
