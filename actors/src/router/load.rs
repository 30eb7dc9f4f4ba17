//! The load of one worker, as the router counts it. The main structure is [`Load`].

use std::collections::VecDeque;
use std::time::Instant;

use super::limits::Limits;
use crate::call::Function;
use crate::id::{FunctionId, WorkerKey};

/// A call that waits.
#[derive(Debug)]
pub struct Entry<J> {
    /// The call.
    pub job: J,
    /// Its function.
    pub function: Function,
    /// Its affinity key.
    pub affinity: Option<u64>,
    /// When its caller must have an answer.
    pub deadline: Option<Instant>,
    /// Its place among all calls: those with lower numbers go first.
    pub order: u64,
    /// The length of its arguments, in bytes.
    pub size: usize,
    /// Whether it must run alone in its worker.
    pub alone: bool,
}

/// One worker and the calls that it has.
#[derive(Debug)]
pub(super) struct Load<J> {
    pub(super) key: WorkerKey,
    pub(super) capacity: u32,
    pub(super) in_flight: u32,
    pub(super) overlapping: u32,
    /// The estimated time of its calls, in nanoseconds.
    pub(super) backlog: u64,
    pub(super) stalled: bool,
    pub(super) draining: bool,
    pub(super) reserved: Reserved,
    /// Functions that its process does not have.
    pub(super) lacks: Vec<FunctionId>,
    /// The function whose abandoned call occupies it.
    pub(super) abandoned: Option<FunctionId>,
    /// The function of the latest call that is not overlapping.
    pub(super) latest: Option<FunctionId>,
    /// Calls bound to this worker by affinity that wait for room.
    pub(super) waiting: VecDeque<Entry<J>>,
}

/// Whether a worker is reserved for a call that must run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserved {
    No,
    /// It gets no other call, so that it becomes idle.
    Clearing,
    /// It has such a call.
    Occupied,
}

impl<J> Load<J> {
    pub(super) const fn new(key: WorkerKey, capacity: u32) -> Self {
        Self {
            key,
            capacity,
            in_flight: 0,
            overlapping: 0,
            backlog: 0,
            stalled: false,
            draining: false,
            reserved: Reserved::No,
            lacks: Vec::new(),
            abandoned: None,
            latest: None,
            waiting: VecDeque::new(),
        }
    }

    /// Whether it has a call of this function that is not overlapping. Only the latest call is
    /// known.
    pub(super) fn has_call_of(&self, function: FunctionId) -> bool {
        self.abandoned == Some(function)
            || (self.latest == Some(function) && self.in_flight > self.overlapping)
    }

    pub(super) fn has_room(&self, function: Function, limits: &Limits) -> bool {
        !self.draining
            && !self.stalled
            && self.reserved == Reserved::No
            && !self.lacks.contains(&function.id)
            && self.in_flight < self.capacity
            && (self.backlog == 0 || u128::from(self.backlog) < limits.pipeline_budget.as_nanos())
            && (!function.overlapping || self.overlapping < limits.max_concurrent)
    }
}
