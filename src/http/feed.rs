//! The events for the live pages, and the state that a page gets when it connects. The main
//! structure is [`Feed`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, broadcast};

use super::page::{Hello, PageEvent, PageStatus, Point};
use crate::status::Incident;

/// Five minutes.
const POINTS: usize = 300;
/// A page that falls behind by more events is disconnected; it reconnects by itself.
const BACKLOG: usize = 64;

/// Sends events to all live pages of a gateway.
#[derive(Debug)]
pub(super) struct Feed {
    pages: broadcast::Sender<Bytes>,
    state: Mutex<Hello>,
    /// Shared with the monitor, which does not keep the gateway alive.
    wake: Arc<Notify>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { pages: broadcast::Sender::new(BACKLOG), state: Mutex::default(), wake: Arc::default() }
    }
}

impl Feed {
    /// What is known now, and the events from now on.
    pub(super) fn subscribe(&self) -> (Bytes, broadcast::Receiver<Bytes>) {
        let state = self.state();
        // Under the lock, so that no event is sent twice or not at all.
        let events = self.pages.subscribe();
        (PageEvent::Hello(state.clone()).write().into(), events)
    }

    /// Sends what has changed since the last time.
    pub(super) fn publish(&self, status: PageStatus, incidents: Vec<Incident>, point: Option<Point>) {
        let mut state = self.state();
        let mut events = vec![PageEvent::Status(Box::new(status))];
        events.extend(point.map(PageEvent::Point));
        if incidents != state.incidents {
            events.push(PageEvent::Incidents(incidents));
        }
        for event in events {
            // Without a page there is no receiver.
            let _ = self.pages.send(event.write().into());
            keep(&mut state, event);
        }
    }

    /// Makes the monitor look at the pool now.
    pub(super) fn changed(&self) {
        self.wake.notify_one();
    }

    pub(super) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    fn state(&self) -> MutexGuard<'_, Hello> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds an event to the state that a page gets when it connects later.
fn keep(state: &mut Hello, event: PageEvent) {
    match event {
        PageEvent::Status(status) => state.status = Some(status),
        PageEvent::Incidents(incidents) => state.incidents = incidents,
        PageEvent::Point(point) => {
            if state.points.len() == POINTS {
                state.points.pop_front();
            }
            state.points.push_back(point);
        }
        PageEvent::About(_) | PageEvent::Hello(_) => {}
    }
}
