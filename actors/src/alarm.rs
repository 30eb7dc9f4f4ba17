//! A reusable timer for an actor. The main structure in this module is [`Alarm`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// The time of the clock that tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A timer that moves only to an earlier time. Moving it is not free, and going off too early is
/// harmless.
pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    at: Option<Instant>,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), at: None }
    }

    /// Goes off at `at` or earlier. `None` changes nothing.
    pub(crate) fn set(&mut self, at: Option<Instant>, cx: &mut Context<'_>) {
        let Some(at) = at else { return };
        if self.at.is_none_or(|armed| at < armed) {
            self.at = Some(at);
            self.sleep.as_mut().reset(at.into());
            if self.sleep.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
    }

    /// When it goes off next, if it is set.
    pub(crate) const fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it has gone off since it was set.
    pub(crate) fn is_due(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        match self.at {
            Some(at) if at <= now => {
                self.at = None;
                true
            }
            // Registers the waker again, because an actor's future may be polled with another one.
            Some(_) => {
                if self.sleep.as_mut().poll(cx) == Poll::Ready(()) {
                    self.at = None;
                    return true;
                }
                false
            }
            None => false,
        }
    }
}
