//! The events for the live pages, and the state that a page gets when it connects. The main
//! structure is [`Feed`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, broadcast};

use super::page::{Hello, PageEvent, PageStatus, Point};
use crate::status::{Crash, FailureRow, Incident, LogLine};

/// Five minutes.
const POINTS: usize = 300;
/// A page that falls behind by more events is disconnected; it reconnects by itself.
const BACKLOG: usize = 64;
/// How many lines of the workers a page gets when it connects.
const LINES: usize = 200;

/// The parts of a status that have events of their own.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) incidents: Vec<Incident>,
    pub(super) crashes: Vec<Crash>,
    pub(super) failures: Vec<FailureRow>,
    pub(super) log: Vec<LogLine>,
}

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
    pub(super) fn publish(&self, status: PageStatus, parts: Parts, point: Option<Point>) {
        let mut state = self.state();
        let mut events = vec![PageEvent::Status(Box::new(status))];
        events.extend(point.map(PageEvent::Point));
        let Parts { incidents, crashes, failures, mut log } = parts;
        if incidents != state.incidents {
            events.push(PageEvent::Incidents(incidents));
        }
        if crashes != state.crashes {
            events.push(PageEvent::Crashes(crashes));
        }
        if failures != state.failures {
            events.push(PageEvent::Failures(failures));
        }
        let sent = state.log.back().map_or(0, |line| line.number);
        log.retain(|line| line.number > sent);
        if !log.is_empty() {
            events.push(PageEvent::Log(log));
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
        PageEvent::Crashes(crashes) => state.crashes = crashes,
        PageEvent::Failures(failures) => state.failures = failures,
        PageEvent::Log(lines) => {
            state.log.extend(lines);
            let surplus = state.log.len().saturating_sub(LINES);
            state.log.drain(..surplus);
        }
        PageEvent::Point(point) => {
            if state.points.len() == POINTS {
                state.points.pop_front();
            }
            state.points.push_back(point);
        }
        PageEvent::About(_) | PageEvent::Hello(_) => {}
    }
}
