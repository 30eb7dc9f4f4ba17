//! The messages to the router. The main one is [`GetStatus`].

use actix::{Addr, Message};

use super::limits::Availability;
use super::stats::RouterStatus;
use crate::backend::Backend;
use crate::id::{SlotId, WorkerKey};
use crate::worker::Worker;

/// A worker serves.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerUp<B: Backend> {
    pub(crate) key: WorkerKey,
    pub(crate) addr: Addr<Worker<B>>,
    pub(crate) capacity: u32,
}

/// A worker is to get no more calls.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerDraining {
    pub(crate) key: WorkerKey,
}

/// The process of a slot has ended, and there is no successor for now.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct NotReplaced(pub(crate) SlotId);

/// Changes whether calls are admitted.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetAvailability<B: Backend> {
    /// Whether they are.
    pub availability: Availability,
    /// Why the last start failed.
    pub cause: Option<B::StartError>,
}

/// Admits no more calls. The answer comes when all admitted calls have ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// Whether the calls that wait end with [`Outcome::ShuttingDown`](crate::Outcome::ShuttingDown)
    /// instead of going to a worker.
    pub now: bool,
}

/// Asks whether calls are admitted.
#[derive(Message)]
#[rtype(result = "Availability")]
pub struct GetAvailability;

/// Asks for a [`RouterStatus`] without its oldest calls, of which there may be thousands to look
/// at.
#[derive(Message)]
#[rtype(result = "RouterStatus")]
pub struct GetCounters;

/// Asks for [`RouterStatus`].
#[derive(Message)]
#[rtype(result = "RouterStatus")]
pub struct GetStatus;
