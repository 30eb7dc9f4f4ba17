//! A call on its way through the actors. The main structure in this module is [`Job`].

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::backend::{Backend, Outcome, Routable};
use crate::call::{Deaths, Function};

/// Where the answer of a call goes. The caller drops the other end when it stops waiting.
pub(crate) type ReplySender<B> = oneshot::Sender<Result<<B as Backend>::Reply, <B as Backend>::Error>>;

/// A call that was admitted and has no answer yet. Its holder must settle it or pass it on.
///
/// It is a pointer, because it moves through a queue, a batch and a table.
pub(crate) struct Job<B: Backend>(Box<Admitted<B>>);

/// The call, and what the pool knows about it.
pub(crate) struct Admitted<B: Backend> {
    pub(crate) call: B::Call,
    pub(crate) function: Function,
    pub(crate) admitted: Instant,
    /// Its number among all calls of the pool, by admission.
    pub(crate) order: u64,
    pub(crate) deadline: Option<Instant>,
    /// The workers that died while it ran in them.
    pub(crate) deaths: Deaths,
    /// Whether it must run alone in its worker, so that a death of the worker shows its cause.
    pub(crate) alone: bool,
    /// How the last of these workers ended.
    pub(crate) last_exit: Option<B::Exit>,
    /// `None` if the sender wants no answer (`do_send`).
    pub(crate) reply: Option<ReplySender<B>>,
}

impl<B: Backend> Deref for Job<B> {
    type Target = Admitted<B>;

    fn deref(&self) -> &Admitted<B> {
        &self.0
    }
}

impl<B: Backend> DerefMut for Job<B> {
    fn deref_mut(&mut self) -> &mut Admitted<B> {
        &mut self.0
    }
}

impl<B: Backend> Job<B> {
    pub(crate) fn new(admitted: Admitted<B>) -> Self {
        Self(Box::new(admitted))
    }

    /// Answers the caller. Returns whether the caller was still waiting.
    pub(crate) fn settle(self, result: Result<B::Reply, B::Error>) -> bool {
        self.0.reply.is_none_or(|reply| reply.send(result).is_ok())
    }

    /// Whether the caller has dropped its future.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    pub(crate) fn affinity(&self) -> Option<u64> {
        self.call.affinity()
    }

    /// How the call ends if `outcome` keeps it from a worker. A call that ran in part in a worker
    /// that died is lost with that worker, whatever keeps it from the next one.
    pub(crate) fn outcome(&self, outcome: Outcome<B>) -> Outcome<B> {
        match (&self.last_exit, outcome) {
            (Some(_), outcome @ Outcome::DeadlineExceeded { .. }) => outcome,
            (Some(exit), _) => Outcome::WorkerLost { exit: exit.clone() },
            (None, outcome) => outcome,
        }
    }
}
