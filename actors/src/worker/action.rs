//! What a worker does. The main item in this module is [`Action`].

use crate::id::CallId;
use crate::reason::{CancelReason, KillReason, RetireReason};

/// What the worker is to do.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Action<J> {
    /// Cancel the call in the process, then answer the caller. In this order: what has not started
    /// when it is cancelled never starts.
    End {
        /// The call.
        id: CallId,
        /// The caller's side of it.
        job: J,
        /// Why.
        reason: CancelReason,
    },
    /// Cancel the call in the process once more.
    Cancel(CallId),
    /// Revoke these calls, and then ask `Core::take_revoked` which of them will not start.
    Revoke {
        /// The calls, in their order.
        ids: Vec<CallId>,
        /// The call that they wait for.
        running: CallId,
    },
    /// Answer the caller of a call that was interrupted with its process: its deadline has passed.
    Expire(J),
    /// Kill the process.
    Kill(KillReason),
    /// Ask the supervisor for a replacement.
    Retire(RetireReason),
}
