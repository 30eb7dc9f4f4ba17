//! The events that subscribers get. The main item in this module is [`WorkerEvent`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::Message;

use crate::backend::Backend;
use crate::call::CallStatus;
use crate::id::{SlotId, WorkerKey};
use crate::reason::RetireReason;

/// Something that happened to a worker or to the pool, as an actor message.
///
/// Subscribe with [`Subscribe`](super::Subscribe). An event is sent after its change has taken
/// effect.
#[non_exhaustive]
pub enum WorkerEvent<B: Backend> {
    /// A process is ready and serves.
    Started {
        /// Which process.
        worker: WorkerKey,
        /// Its process id.
        pid: u32,
        /// How long the launch took.
        after: Duration,
    },
    /// A process did not become ready.
    StartFailed {
        /// Which process.
        worker: WorkerKey,
        /// Why.
        error: B::StartError,
    },
    /// A process that was ready has ended.
    Exited {
        /// Which process.
        worker: WorkerKey,
        /// Its process id.
        pid: u32,
        /// How it ended.
        exit: B::Exit,
        /// Whether the pool had asked it to end.
        expected: bool,
        /// How many calls had started. They are lost, or retried if they are idempotent.
        lost_calls: usize,
        /// The calls that had started, also those whose callers had their answers, at most 20: the
        /// oldest that ran, then the oldest that had ended and whose replies were not sent.
        started: Arc<[CallStatus]>,
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
    /// A process has reached a limit. It serves until its replacement is ready.
    Retiring {
        /// Which process.
        worker: WorkerKey,
        /// Which limit.
        reason: RetireReason,
    },
    /// A process finishes the calls that it has, and exits.
    Draining {
        /// Which process.
        worker: WorkerKey,
    },
    /// No worker serves. Calls are rejected until one does.
    BreakerOpened {
        /// When the next start is tried.
        retry_after: Duration,
    },
    /// One start is tried.
    BreakerHalfOpened,
    /// A worker serves again.
    BreakerClosed,
    /// An actor of the pool panicked, which is a defect of this crate. All processes are killed,
    /// and the pool rejects all calls from now on. Only a new pool serves again.
    Panicked {
        /// Which actor: `router`, `supervisor` or `worker`.
        actor: &'static str,
        /// The message of the panic.
        message: Arc<str>,
    },
}

impl<B: Backend> Clone for WorkerEvent<B> {
    fn clone(&self) -> Self {
        match self {
            Self::Started { worker, pid, after } => {
                Self::Started { worker: *worker, pid: *pid, after: *after }
            }
            Self::StartFailed { worker, error } => {
                Self::StartFailed { worker: *worker, error: error.clone() }
            }
            Self::Exited { worker, pid, exit, expected, lost_calls, started, requeued } => Self::Exited {
                worker: *worker,
                pid: *pid,
                exit: exit.clone(),
                expected: *expected,
                lost_calls: *lost_calls,
                started: Arc::clone(started),
                requeued: *requeued,
            },
            Self::Restarting { slot, delay } => Self::Restarting { slot: *slot, delay: *delay },
            Self::Retiring { worker, reason } => Self::Retiring { worker: *worker, reason: *reason },
            Self::Draining { worker } => Self::Draining { worker: *worker },
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
            Self::Started { worker, pid, after } => {
                write!(f, "Started({worker}, pid {pid}, after {after:?})")
            }
            Self::StartFailed { worker, error } => write!(f, "StartFailed({worker}, {error:?})"),
            Self::Exited { worker, pid, exit, expected, lost_calls, requeued, started: _ } => write!(
                f,
                "Exited({worker}, pid {pid}, expected {expected}, lost {lost_calls}, requeued {requeued}, {exit:?})"
            ),
            Self::Restarting { slot, delay } => write!(f, "Restarting(slot {slot}, in {delay:?})"),
            Self::Retiring { worker, reason } => write!(f, "Retiring({worker}, {reason:?})"),
            Self::Draining { worker } => write!(f, "Draining({worker})"),
            Self::BreakerOpened { retry_after } => write!(f, "BreakerOpened(retry after {retry_after:?})"),
            Self::BreakerHalfOpened => f.write_str("BreakerHalfOpened"),
            Self::BreakerClosed => f.write_str("BreakerClosed"),
            Self::Panicked { actor, message } => write!(f, "Panicked({actor}: {message})"),
        }
    }
}
