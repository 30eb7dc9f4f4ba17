//! Owns the processes of a pool: starts, restarts, replaces and stops them. The main structure is
//! [`Supervisor`].
//!
//! Calls never pass through it.

mod actor;
pub mod core;
mod event;
mod handlers;
mod messages;
mod slot;
#[cfg(test)]
mod tests;
mod worker_event;

pub use self::actor::{Settings, Supervisor};
pub use self::messages::{
    AwaitReady, GetSlots, ReloadAll, ReplaceSlot, Resize, Shutdown, SlotStatus, Subscribe,
};
pub use self::slot::SlotState;
pub use self::worker_event::WorkerEvent;
