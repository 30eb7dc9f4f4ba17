//! A call on its way through the actors. The main structure in this module is [`Job`].

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::backend::{Backend, Class, Outcome, Request};

/// Where a call's answer goes; dropped by a caller that no longer wants it.
pub(crate) type ReplySender<B> = oneshot::Sender<Result<<B as Backend>::Reply, <B as Backend>::Error>>;

/// A call that was admitted and has no answer yet. Whoever holds it must settle it or pass it on.
///
/// It is a pointer: on its way it moves through a queue, a batch and a table, and what moves there
/// is short.
pub(crate) struct Job<B: Backend>(Box<Admitted<B>>);

/// What there is to know of a call.
pub(crate) struct Admitted<B: Backend> {
    pub(crate) call: B::Call,
    pub(crate) class: Class,
    pub(crate) admitted: Instant,
    /// Its number among all calls of the pool, by admission.
    pub(crate) order: u64,
    pub(crate) deadline: Option<Instant>,
    /// How many workers died after it had started in them.
    pub(crate) attempts: u32,
    /// How many of them it may have ended.
    pub(crate) suspected: u32,
    /// Whether it must run alone in its worker, so that the worker's end tells its cause.
    pub(crate) alone: bool,
    /// How the last of them ended.
    pub(crate) last_exit: Option<B::Exit>,
    /// `None` for a call whose sender wants no answer (`do_send`).
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

    /// Answers the caller. Returns whether there was one to hear it.
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

    /// How the call ends when `outcome` keeps it from a worker: a call that ran in part on a worker
    /// that died is lost with that worker, whatever keeps it from the next one.
    pub(crate) fn outcome(&self, outcome: Outcome<B>) -> Outcome<B> {
        match (&self.last_exit, outcome) {
            (Some(_), outcome @ Outcome::DeadlineExceeded { .. }) => outcome,
            (Some(exit), _) => Outcome::WorkerLost { exit: exit.clone() },
            (None, outcome) => outcome,
        }
    }
}
