//! Why the pool ends calls and processes. The main item in this module is [`KillReason`].

use serde::{Deserialize, Serialize};

/// Why the pool cancels a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// The deadline passed.
    DeadlinePassed,
    /// The caller dropped the future.
    Abandoned,
}

/// Why the pool kills a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillReason {
    /// A cancelled call did not end within the grace period. The stacks show where it is.
    Stuck,
    /// It was stopped (SIGSTOP) and did not continue within the grace period.
    Stopped,
    /// It did not drain in time.
    DrainTimeout,
    /// The pool stops at once.
    Shutdown,
}

/// Why the pool replaces a healthy process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetireReason {
    /// It has answered `max_calls` calls.
    MaxCalls,
    /// It is older than `max_lifetime`.
    MaxLifetime,
    /// Its memory exceeds `max_rss`.
    MaxRss,
}
