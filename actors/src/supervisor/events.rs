//! What subscribers hear. The main item in this module is [`WorkerEvent`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::Message;

use crate::backend::Backend;
use crate::id::{Generation, SlotId};

/// Something that happened to a worker or to the pool, as an actor message.
///
/// Get them with [`Subscribe`](super::Subscribe). An event is sent after what it tells has taken
/// effect.
#[non_exhaustive]
pub enum WorkerEvent<B: Backend> {
    /// A process is ready and serves.
    Started {
        /// Its slot.
        slot: SlotId,
        /// Which process of the slot.
        generation: Generation,
        /// Its process id.
        pid: u32,
        /// How long the launch took.
        after: Duration,
    },
    /// A process did not become ready.
    StartFailed {
        /// Its slot.
        slot: SlotId,
        /// Which process of the slot.
        generation: Generation,
        /// Why.
        error: B::StartError,
    },
    /// A process that was ready is gone.
    Exited {
        /// Its slot.
        slot: SlotId,
        /// Which process of the slot.
        generation: Generation,
        /// Its process id.
        pid: u32,
        /// How it ended.
        exit: B::Exit,
        /// Whether the pool had asked it to.
        expected: bool,
        /// How many calls had started and are lost, or are tried again because they are idempotent.
        lost_calls: usize,
        /// How many calls went back to the queue.
        requeued: usize,
    },
    /// The next process of a slot starts after this delay.
    Restarting {
        /// The slot.
        slot: SlotId,
        /// The delay.
        delay: Duration,
    },
    /// A process has served long enough; it serves until its replacement does.
    Retiring {
        /// Its slot.
        slot: SlotId,
        /// Which process of the slot.
        generation: Generation,
        /// Why.
        reason: RetireReason,
    },
    /// A process finishes what it has, and exits.
    Draining {
        /// Its slot.
        slot: SlotId,
        /// Which process of the slot.
        generation: Generation,
    },
    /// No worker serves; calls are refused until one does.
    BreakerOpened {
        /// When the next start is tried.
        retry_after: Duration,
    },
    /// One start is tried.
    BreakerHalfOpened,
    /// A worker serves again.
    BreakerClosed,
    /// An actor of the pool panicked, which is a defect of this crate. All processes are killed,
    /// and the pool refuses calls for good; only a new pool serves again.
    Panicked {
        /// Which actor: `router`, `supervisor` or `worker`.
        actor: &'static str,
        /// What the panic said.
        message: Arc<str>,
    },
}

impl<B: Backend> Clone for WorkerEvent<B> {
    fn clone(&self) -> Self {
        match self {
            Self::Started { slot, generation, pid, after } => {
                Self::Started { slot: *slot, generation: *generation, pid: *pid, after: *after }
            }
            Self::StartFailed { slot, generation, error } => {
                Self::StartFailed { slot: *slot, generation: *generation, error: error.clone() }
            }
            Self::Exited { slot, generation, pid, exit, expected, lost_calls, requeued } => Self::Exited {
                slot: *slot,
                generation: *generation,
                pid: *pid,
                exit: exit.clone(),
                expected: *expected,
                lost_calls: *lost_calls,
                requeued: *requeued,
            },
            Self::Restarting { slot, delay } => Self::Restarting { slot: *slot, delay: *delay },
            Self::Retiring { slot, generation, reason } => {
                Self::Retiring { slot: *slot, generation: *generation, reason: *reason }
            }
            Self::Draining { slot, generation } => Self::Draining { slot: *slot, generation: *generation },
            Self::BreakerOpened { retry_after } => Self::BreakerOpened { retry_after: *retry_after },
            Self::BreakerHalfOpened => Self::BreakerHalfOpened,
            Self::BreakerClosed => Self::BreakerClosed,
            Self::Panicked { actor, message } => Self::Panicked { actor, message: Arc::clone(message) },
        }
    }
}

impl<B: Backend> Message for WorkerEvent<B> {
    type Result = ();
}

impl<B> fmt::Debug for WorkerEvent<B>
where
    B: Backend,
    B::Exit: fmt::Debug,
    B::StartError: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { slot, generation, pid, after } => {
                write!(f, "Started(slot {slot}, generation {generation}, pid {pid}, after {after:?})")
            }
            Self::StartFailed { slot, generation, error } => {
                write!(f, "StartFailed(slot {slot}, generation {generation}, {error:?})")
            }
            Self::Exited { slot, generation, pid, exit, expected, lost_calls, requeued } => write!(
                f,
                "Exited(slot {slot}, generation {generation}, pid {pid}, expected {expected}, lost {lost_calls}, requeued {requeued}, {exit:?})"
            ),
            Self::Restarting { slot, delay } => write!(f, "Restarting(slot {slot}, in {delay:?})"),
            Self::Retiring { slot, generation, reason } => {
                write!(f, "Retiring(slot {slot}, generation {generation}, {reason:?})")
            }
            Self::Draining { slot, generation } => {
                write!(f, "Draining(slot {slot}, generation {generation})")
            }
            Self::BreakerOpened { retry_after } => write!(f, "BreakerOpened(retry after {retry_after:?})"),
            Self::BreakerHalfOpened => f.write_str("BreakerHalfOpened"),
            Self::BreakerClosed => f.write_str("BreakerClosed"),
            Self::Panicked { actor, message } => write!(f, "Panicked({actor}: {message})"),
        }
    }
}

/// Why a process has served long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetireReason {
    /// It has answered as many calls as it may.
    MaxCalls,
    /// It is as old as it may be.
    MaxLifetime,
    /// It holds more memory than it may.
    MaxRss,
}
