//! One slot of the pool. The main structure in this module is [`Slot`].

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::event::Action;
use crate::id::{Generation, SlotId, WorkerKey};
use crate::restart::{RestartConfig, Restarts, Verdict};

/// What a slot is doing, for status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SlotState {
    /// Its first or next process starts.
    Starting,
    /// Its process serves.
    Serving,
    /// Its process serves until the replacement is ready.
    Replacing,
    /// Its next process starts after a delay.
    Backoff,
    /// It has restarted too often and rests.
    Resting,
    /// Its process finishes its calls.
    Draining,
    /// It has no process.
    #[default]
    Stopped,
    /// A state that a newer version reported.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A formatter is a serializer for the names of unit variants.
        self.serialize(f)
    }
}

/// One slot, for status.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SlotView {
    /// Which slot.
    pub slot: SlotId,
    /// Its state.
    pub state: SlotState,
    /// The process that serves, and since when.
    pub serving: Option<(Generation, Instant)>,
    /// How often its process was replaced after it had ended by itself.
    pub restarts: u64,
    /// How often its process was replaced after the pool had killed it.
    pub kills: u64,
}

/// One slot: its processes, and when the next one starts.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: SlotId,
    pub(super) serving: Option<Serving>,
    pub(super) launching: Option<(Generation, Purpose)>,
    pub(super) draining: Vec<Generation>,
    pub(super) wait: Wait,
    pub(super) restarts: Restarts,
    pub(super) restarted: u64,
    pub(super) killed: u64,
    /// Whether the slot is removed when its last process has ended.
    pub(super) leaving: bool,
}

/// Why a process is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The slot has none.
    Fill,
    /// The process of the slot is to retire.
    Retire,
    /// The code has changed.
    Reload,
}

/// When a slot without a process gets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    Backoff(Instant),
    Rest(Instant),
}

/// The process that serves in a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serving {
    pub(super) generation: Generation,
    pub(super) since: Instant,
    /// Whether it is to be replaced.
    pub(super) retires: bool,
}

impl Slot {
    pub(super) fn new(id: SlotId, policy: RestartConfig, now: Instant) -> Self {
        Self {
            id,
            serving: None,
            launching: None,
            draining: Vec::new(),
            wait: Wait::No,
            restarts: Restarts::new(policy, now),
            restarted: 0,
            killed: 0,
            leaving: false,
        }
    }

    pub(super) fn launch(&mut self, purpose: Purpose, next_generation: &mut u32, actions: &mut Vec<Action>) {
        debug_assert!(self.launching.is_none(), "slot {} starts two processes at once", self.id);
        let generation = Generation(*next_generation);
        *next_generation += 1;
        self.launching = Some((generation, purpose));
        self.wait = Wait::No;
        actions.push(Action::Launch(self.key(generation)));
    }

    const fn key(&self, generation: Generation) -> WorkerKey {
        WorkerKey { slot: self.id, generation }
    }

    pub(super) fn serves(&self, generation: Generation) -> bool {
        self.serving.is_some_and(|serving| serving.generation == generation)
    }

    /// Whether no process starts, and one may.
    pub(super) fn is_idle(&self) -> bool {
        self.launching.is_none() && !self.leaving
    }

    pub(super) fn launched(&self, generation: Generation) -> bool {
        self.launching.is_some_and(|(launching, _)| launching == generation)
    }

    /// Delays the next start as the policy says.
    pub(super) fn postpone(&mut self, served: Duration, now: Instant, unit: f64, actions: &mut Vec<Action>) {
        let (wait, until) = match self.restarts.failed(served, now, unit) {
            Verdict::RestartAt(at) => (Wait::Backoff(at), at),
            Verdict::RestUntil(at) => (Wait::Rest(at), at),
        };
        self.wait = wait;
        actions.push(Action::Waiting(self.id, until.saturating_duration_since(now)));
    }

    /// The slot is removed when its processes have ended.
    pub(super) fn leave(&mut self, actions: &mut Vec<Action>) {
        self.leaving = true;
        self.wait = Wait::No;
        if let Some((generation, _)) = self.launching.take() {
            actions.push(Action::CancelLaunch(self.key(generation)));
        }
        if let Some(Serving { generation, .. }) = self.serving.take() {
            self.draining.push(generation);
            actions.push(Action::Drain(self.key(generation)));
        }
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        match self.wait {
            Wait::Backoff(at) | Wait::Rest(at) => Some(at),
            Wait::No => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.serving.is_none() && self.launching.is_none() && self.draining.is_empty()
    }

    pub(super) fn state(&self) -> SlotState {
        match (self.serving, self.launching, self.wait) {
            (Some(_), Some(_), _) => SlotState::Replacing,
            (Some(_), None, _) => SlotState::Serving,
            (None, Some(_), _) => SlotState::Starting,
            (None, None, Wait::Backoff(_)) => SlotState::Backoff,
            (None, None, Wait::Rest(_)) => SlotState::Resting,
            (None, None, Wait::No) if !self.draining.is_empty() => SlotState::Draining,
            (None, None, Wait::No) => SlotState::Stopped,
        }
    }
}
