//! Owns the processes of a pool: starts, restarts, replaces and stops them. The main structure is
//! [`Supervisor`].
//!
//! It is never in the way of a call.

mod actor;
pub mod core;
mod events;
#[cfg(test)]
mod tests;

pub use self::actor::{
    AwaitReady, GetSlots, ReloadAll, ReplaceSlot, Resize, Settings, Shutdown, SlotStatus, Subscribe,
    Supervisor,
};
pub(crate) use self::actor::{RetireWanted, WorkerExited};
pub use self::events::{RetireReason, WorkerEvent};
