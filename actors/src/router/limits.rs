//! What the router may do, and whether it admits calls. The main structure is [`Limits`].

use std::time::{Duration, Instant};

use super::select::Select;

/// The bounds of the router.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many calls may wait.
    pub max_queue: usize,
    /// How many bytes of arguments may wait. A single call may exceed it.
    pub max_queue_bytes: usize,
    /// How many workers one function may occupy while abandoned calls of it do not end. `None`
    /// means all but one.
    pub max_abandoned: Option<usize>,
    /// A worker with this much estimated work on its socket gets no more calls.
    pub pipeline_budget: Duration,
    /// How many overlapping calls one worker may have.
    pub max_concurrent: u32,
    /// How a worker is chosen among those that have room.
    pub select: Select,
}

/// Whether the router admits calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Availability {
    /// It does.
    Open,
    /// It rejects calls, because no worker serves.
    Unavailable {
        /// When the next start is tried.
        retry_at: Instant,
    },
    /// It rejects new calls. Those that were admitted continue.
    ShuttingDown,
    /// It rejects calls, and sends nothing to workers any more.
    #[default]
    Stopped,
}

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The queue is full.
    Overloaded {
        /// When there may be room again.
        retry_after: Duration,
    },
    /// No worker serves.
    Unavailable {
        /// When the next start is tried.
        retry_after: Duration,
    },
    /// The pool drains.
    ShuttingDown,
}
