//! What the actors know about a call. The main structure in this module is [`Function`].

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{FunctionId, WorkerKey};

/// How many calls a status lists.
pub const LISTED_CALLS: usize = 20;

/// The function of a call, and how it occupies its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its number in the pool.
    pub id: FunctionId,
    /// Whether its calls run side by side in one worker (`async def`), not one after another.
    pub overlapping: bool,
}

/// How far a call in flight has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The function has not started.
    Sent,
    /// The function runs.
    Running,
    /// The function has ended, but its reply has not arrived.
    Finished,
}

/// The workers that died while a call ran in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deaths {
    /// How many.
    pub count: u32,
    /// How many of them the call may have caused.
    pub suspected: u32,
}

/// A call that waits for a worker or occupies one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallStatus {
    /// Its function.
    pub function: FunctionId,
    /// The worker that has it. `None` if it waits in the queue.
    pub worker: Option<WorkerKey>,
    /// How far it has come.
    pub stage: CallStage,
    /// The time since its admission; since its dispatch to the worker if its caller has its answer.
    pub age: Duration,
    /// How long its function has run, if it runs.
    pub running: Option<Duration>,
    /// How long its caller still waits at most. `None` means no limit, or that no caller waits.
    pub left: Option<Duration>,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallStage {
    /// It waits for a worker.
    #[default]
    Queued,
    /// A worker has it and runs another call first.
    Sent,
    /// It runs.
    Running,
    /// It was cancelled while it ran and has not ended: its deadline passed, its caller dropped the
    /// future, or its process is being ended.
    Cancelled,
    /// It has ended, and its reply is on its way.
    Finished,
    /// A stage that a newer gateway reported.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for CallStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A formatter is a serializer for the names of unit variants.
        self.serialize(f)
    }
}

/// The oldest calls, at most [`LISTED_CALLS`], the oldest first.
#[must_use]
pub fn oldest(mut calls: Vec<CallStatus>) -> Vec<CallStatus> {
    if calls.len() > LISTED_CALLS {
        // A status lists few of perhaps thousands of calls.
        calls.select_nth_unstable_by_key(LISTED_CALLS - 1, |call| Reverse(call.age));
        calls.truncate(LISTED_CALLS);
    }
    calls.sort_by_key(|call| Reverse(call.age));
    calls
}
