//! A call on its way through the actors. The main structure in this module is [`Job`].

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::backend::{Backend, Class, Request};

/// Where a call's answer goes; dropped by a caller that no longer wants it.
pub(crate) type ReplySender<B> = oneshot::Sender<Result<<B as Backend>::Reply, <B as Backend>::Error>>;

/// A call that was admitted and has no answer yet. Whoever holds it must settle it or pass it on.
///
/// It is a pointer: on its way it moves through a queue, a batch and a table, and what moves there is short.
pub(crate) struct Job<B: Backend>(Box<Admitted<B>>);

/// What there is to know of a call.
pub(crate) struct Admitted<B: Backend> {
    pub(crate) call: B::Call,
    pub(crate) class: Class,
    pub(crate) admitted: Instant,
    /// Its number among all calls of the pool, by admission.
    pub(crate) order: u64,
    pub(crate) deadline: Option<Instant>,
    /// How many workers died while it ran.
    pub(crate) attempts: u32,
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
}
