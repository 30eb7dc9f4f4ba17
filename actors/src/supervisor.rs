//! Owns the processes of a pool: starts, restarts, replaces and stops them. The main structure is
//! [`Supervisor`].
//!
//! Calls never pass through it.

mod actor;
pub mod core;
mod events;
mod handlers;
mod messages;
#[cfg(test)]
mod tests;

pub use self::actor::{Settings, Supervisor};
pub use self::core::SlotState;
pub use self::events::WorkerEvent;
pub use self::messages::{
    AwaitReady, GetSlots, ReloadAll, ReplaceSlot, Resize, Shutdown, SlotStatus, Subscribe,
};
