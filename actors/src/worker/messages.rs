//! The messages to and from a worker. The main one is [`WorkerExited`].

use std::sync::Arc;

use actix::Message;

use crate::backend::Backend;
use crate::call::CallStatus;
use crate::id::{FunctionId, WorkerKey};
use crate::reason::{KillReason, RetireReason};

/// Asks the process to finish the calls that it has, and to exit.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct DrainWorker;

/// Kills the process.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct KillWorker(pub(crate) KillReason);

/// The router has handled [`WorkerDown`]; the worker can stop.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Dismiss;

/// To the router: the process has ended. The last changes are in the worker's `Inflight`.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerDown {
    pub(crate) key: WorkerKey,
}

/// To the router: the process is being killed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerKilled {
    pub(crate) key: WorkerKey,
    /// The function whose abandoned call occupies it.
    pub(crate) abandoned: Option<FunctionId>,
}

/// To the supervisor: the process has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerExited<B: Backend> {
    pub(crate) key: WorkerKey,
    pub(crate) pid: u32,
    pub(crate) exit: B::Exit,
    /// Whether the pool killed it because a call did not end or because it was stopped.
    pub(crate) by_host: bool,
    pub(crate) lost_calls: usize,
    /// The calls that had started: the oldest that ran, then the oldest that had ended.
    pub(crate) started: Arc<[CallStatus]>,
    pub(crate) requeued: usize,
}

/// To the supervisor: the process has reached a limit and is to be replaced.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RetireWanted {
    pub(crate) key: WorkerKey,
    pub(crate) reason: RetireReason,
}
