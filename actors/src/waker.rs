//! Wakes the router. The main structure in this module is [`RouterWaker`].

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Waker;

/// The waker of the router's task. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct RouterWaker(Rc<RefCell<Option<Waker>>>);

impl RouterWaker {
    pub(crate) fn register(&self, waker: &Waker) {
        set_waker(&mut self.0.borrow_mut(), waker);
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.0.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// Stores a waker. It is cloned only if it wakes another task than the one before.
pub(crate) fn set_waker(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(place) => place.clone_from(waker),
        None => *place = Some(waker.clone()),
    }
}
