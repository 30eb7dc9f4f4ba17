//! The queue of new workers for the router. The main structure in this module is [`NewWorkers`].

use std::cell::RefCell;
use std::rc::Rc;

use super::inflight::Inflight;
use crate::backend::Backend;
use crate::id::WorkerKey;
use crate::panic::Breakdown;
use crate::waker::RouterWaker;

/// The queue through which the supervisor hands new workers to the router of the same arbiter, and
/// what all actors of the pool share.
///
/// The router puts calls into the `Inflight` of a worker directly. A message per call would cost
/// one more turn of the event loop. The `Inflight` itself cannot travel in a message either: it is
/// an `Rc`, which is not `Send`, and actix requires messages to be.
pub struct NewWorkers<B: Backend> {
    queue: Queue<B>,
    router: RouterWaker,
    breakdown: Breakdown,
}

type Queue<B> = Rc<RefCell<Vec<(WorkerKey, Rc<RefCell<Inflight<B>>>)>>>;

impl<B: Backend> Default for NewWorkers<B> {
    fn default() -> Self {
        let router = RouterWaker::default();
        Self { queue: Queue::<B>::default(), breakdown: Breakdown::new(router.clone()), router }
    }
}

impl<B: Backend> Clone for NewWorkers<B> {
    fn clone(&self) -> Self {
        Self { queue: Rc::clone(&self.queue), router: self.router.clone(), breakdown: self.breakdown.clone() }
    }
}

impl<B: Backend> NewWorkers<B> {
    pub(crate) fn push(&self, key: WorkerKey, inflight: Rc<RefCell<Inflight<B>>>) {
        self.queue.borrow_mut().push((key, inflight));
    }

    pub(crate) fn take(&self, key: WorkerKey) -> Option<Rc<RefCell<Inflight<B>>>> {
        let mut queue = self.queue.borrow_mut();
        let index = queue.iter().position(|(of, _)| *of == key)?;
        Some(queue.swap_remove(index).1)
    }

    /// Wakes the router when a worker has changes for it.
    pub(crate) const fn router(&self) -> &RouterWaker {
        &self.router
    }

    /// The first panic of the actors of the pool.
    pub(crate) const fn breakdown(&self) -> &Breakdown {
        &self.breakdown
    }
}
