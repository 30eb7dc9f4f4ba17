//! Holds the calls of one process and settles them. The main structure in this module is
//! [`Worker`].

mod actor;
pub mod core;
mod desk;

pub use self::actor::Worker;
pub(crate) use self::actor::{Dismiss, DrainWorker, KillWorker};
pub use self::desk::Desks;
pub(crate) use self::desk::{Assigned, News, RetireLimits, SharedDesk, WorkerSpec};
