//! The messages to the supervisor. The main one is [`AwaitReady`].

use std::marker::PhantomData;
use std::time::Duration;

use actix::{Message, Recipient};

use super::slot::SlotState;
use super::worker_event::WorkerEvent;
use crate::backend::Backend;
use crate::id::{Generation, SlotId};

/// Waits until this many workers serve. The answer is the error of the first start that fails
/// before that. Workers that become ready and end again and again are an error too, once the
/// breaker opens or one of them rests.
pub struct AwaitReady<B: Backend> {
    pub(super) workers: Option<u32>,
    backend: PhantomData<fn() -> B>,
}

impl<B: Backend> AwaitReady<B> {
    /// Waits for this many; `None` means all.
    #[must_use]
    pub const fn new(workers: Option<u32>) -> Self {
        Self { workers, backend: PhantomData }
    }
}

impl<B: Backend> Message for AwaitReady<B> {
    type Result = Result<(), B::StartError>;
}

/// Replaces all workers one by one. Each new one serves before the old one drains. The answer comes
/// when all are replaced, or is the error of a new worker that does not start: the old ones then
/// keep serving.
pub struct ReloadAll<B: Backend>(PhantomData<fn() -> B>);

impl<B: Backend> Default for ReloadAll<B> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<B: Backend> Message for ReloadAll<B> {
    type Result = Result<(), B::StartError>;
}

/// Changes the number of workers. The answer comes when all serve, or is the error of one that does
/// not start. Workers that are removed finish the calls that they have.
pub struct Resize<B: Backend> {
    pub(super) workers: u32,
    backend: PhantomData<fn() -> B>,
}

impl<B: Backend> Resize<B> {
    /// Sets the number of workers.
    #[must_use]
    pub const fn new(workers: u32) -> Self {
        Self { workers, backend: PhantomData }
    }
}

impl<B: Backend> Message for Resize<B> {
    type Result = Result<(), B::StartError>;
}

/// Replaces the process of one slot. The new one serves before the old one drains. The answer says
/// whether the slot serves at all.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct ReplaceSlot(pub SlotId);

/// Sends every [`WorkerEvent`] from now on to this recipient.
pub struct Subscribe<B: Backend>(pub Recipient<WorkerEvent<B>>);

impl<B: Backend> Message for Subscribe<B> {
    type Result = ();
}

/// Admits no more calls, waits for those that were admitted, and stops the workers. The answer
/// comes when no process is left.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Shutdown {
    /// After this time, calls that still wait end with `ShuttingDown`, and processes that still run
    /// are killed.
    pub deadline: Duration,
}

/// Asks for a [`SlotStatus`] per slot.
pub struct GetSlots<B: Backend>(PhantomData<fn() -> B>);

impl<B: Backend> Default for GetSlots<B> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<B: Backend> Message for GetSlots<B> {
    type Result = Vec<SlotStatus<B>>;
}

/// One slot, as the supervisor sees it.
#[non_exhaustive]
pub struct SlotStatus<B: Backend> {
    /// Which slot.
    pub slot: SlotId,
    /// Its state.
    pub state: SlotState,
    /// The process that serves.
    pub generation: Option<Generation>,
    /// Its process id.
    pub pid: Option<u32>,
    /// How long it has served.
    pub uptime: Option<Duration>,
    /// How often the process of the slot was replaced after it had ended by itself.
    pub restarts: u64,
    /// How often the process of the slot was replaced after the pool had killed it.
    pub kills: u64,
    /// How the last process of the slot ended.
    pub last_exit: Option<B::Exit>,
}
