//! When processes are started, replaced and drained, without actors or clock. The main structure is
//! [`Core`].

use std::time::{Duration, Instant};

use super::event::{Action, Cause, Event};
use super::slot::{Purpose, Serving, Slot, SlotView, Wait};
use crate::id::{SlotId, WorkerKey};
use crate::restart::{RestartConfig, later};

/// The stage of the pool's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    Stopping,
    Stopped,
}

/// Whether the pool can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// It can, or is expected to soon.
    Closed,
    /// It cannot. The next start is tried at this time.
    Open(Instant),
    /// One start is being tried.
    HalfOpen,
}

/// The supervisor's decisions.
#[derive(Debug)]
pub struct Core {
    policy: RestartConfig,
    slots: Vec<Slot>,
    target: u32,
    next_generation: u32,
    start_failures: u32,
    breaker: Breaker,
    /// The slots whose process a reload has not replaced yet.
    reload: Option<Vec<SlotId>>,
    resizing: bool,
    life: Life,
}

impl Core {
    /// A pool of `workers` slots. None is started.
    #[must_use]
    pub fn new(workers: u32, policy: RestartConfig) -> Self {
        Self {
            policy,
            slots: Vec::new(),
            target: workers,
            next_generation: 1,
            start_failures: 0,
            breaker: Breaker::Closed,
            reload: None,
            resizing: false,
            life: Life::Running,
        }
    }

    /// Decides what to do about an event. `random` returns numbers from 0 to 1.
    pub fn handle(&mut self, event: Event, now: Instant, random: &mut dyn FnMut() -> f64) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Ready(key) => self.on_ready(key, now, &mut actions),
            Event::StartFailed(key) => self.on_start_failed(key, now, random(), &mut actions),
            Event::Exited(key, cause) => self.on_exited(key, cause, now, random(), &mut actions),
            Event::Shutdown if self.life == Life::Running => self.on_shutdown(&mut actions),
            // A pool that shuts down ignores everything else.
            _ if self.life != Life::Running => {}
            Event::Shutdown => unreachable!("a running pool was matched above"),
            Event::Start => self.grow(now, &mut actions),
            Event::RetireWanted(key) => self.on_retire_wanted(key),
            Event::Reload => self.on_reload(&mut actions),
            Event::Resize(workers) => self.on_resize(workers, now, &mut actions),
            Event::Tick => self.on_tick(now, &mut actions),
        }
        self.follow_up(now, &mut actions);
        actions
    }

    /// Checks what any event may have made due.
    fn follow_up(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.slots.retain(|slot| !(slot.leaving && slot.is_empty()));
        match self.life {
            Life::Running => {
                self.reload_next(actions);
                self.retire_next(actions);
                self.check_prospects(now, actions);
                self.probe(actions);
                self.check_resized(actions);
            }
            Life::Stopping if self.slots.is_empty() => {
                self.life = Life::Stopped;
                actions.push(Action::Stopped);
            }
            Life::Stopping | Life::Stopped => {}
        }
    }

    /// When `Event::Tick` is due.
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        match (self.life, self.breaker) {
            (Life::Running, Breaker::Open(until)) => Some(until),
            (Life::Running, Breaker::Closed) => self.slots.iter().filter_map(Slot::wake).min(),
            (Life::Running, Breaker::HalfOpen) | (Life::Stopping | Life::Stopped, _) => None,
        }
    }

    /// Whether the pool can serve.
    #[must_use]
    pub const fn breaker(&self) -> Breaker {
        self.breaker
    }

    /// How many slots serve.
    #[must_use]
    pub fn serving(&self) -> usize {
        self.slots.iter().filter(|slot| slot.serving.is_some() && !slot.leaving).count()
    }

    /// Whether this process serves.
    #[must_use]
    pub fn is_serving(&self, key: WorkerKey) -> bool {
        self.slot(key.slot).is_some_and(|slot| slot.serves(key.generation))
    }

    /// A row per slot, for status.
    pub fn slots(&self) -> impl Iterator<Item = SlotView> + '_ {
        self.slots.iter().map(|slot| SlotView {
            slot: slot.id,
            state: slot.state(),
            serving: slot.serving.map(|serving| (serving.generation, serving.since)),
            restarts: slot.restarted,
            kills: slot.killed,
        })
    }

    /// Whether the breaker is open or a slot rests.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        matches!(self.breaker, Breaker::Open(_))
            || self.slots.iter().any(|slot| matches!(slot.wait, Wait::Rest(_)))
    }

    fn on_ready(&mut self, key: WorkerKey, now: Instant, actions: &mut Vec<Action>) {
        let WorkerKey { slot: id, generation } = key;
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.launched(generation)) else {
            // The launch was cancelled while the process became ready. The process is not used.
            return;
        };
        slot.launching = None;
        let old = slot.serving.replace(Serving { generation, since: now, retires: false });
        slot.wait = Wait::No;
        actions.push(Action::Serve(key));
        if let Some(Serving { generation: old, .. }) = old {
            slot.draining.push(old);
            actions.push(Action::Drain(WorkerKey { slot: id, generation: old }));
        }
        self.start_failures = 0;
        if self.breaker != Breaker::Closed {
            self.breaker = Breaker::Closed;
            actions.push(Action::CloseBreaker);
            self.launch_where(|_| true, actions);
        }
        // A process that started after the reload began has the new code, whatever it was started
        // for.
        if let Some(left) = &mut self.reload {
            left.retain(|&slot| slot != id);
        }
    }

    fn on_start_failed(&mut self, key: WorkerKey, now: Instant, unit: f64, actions: &mut Vec<Action>) {
        let WorkerKey { slot: id, generation } = key;
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.launched(generation)) else { return };
        let purpose = slot.launching.take().map(|(_, purpose)| purpose);
        let reloads =
            purpose == Some(Purpose::Reload) || self.reload.as_ref().is_some_and(|left| left.contains(&id));
        if reloads {
            self.reload = None;
            actions.push(Action::ReloadFailed(key));
        }
        if slot.serving.is_some_and(|serving| !serving.retires) {
            // The old process keeps serving.
            return;
        }
        self.start_failures += 1;
        slot.postpone(Duration::ZERO, now, unit, actions);
        self.check_breaker(id, now, actions);
    }

    fn on_exited(
        &mut self,
        key: WorkerKey,
        cause: Cause,
        now: Instant,
        unit: f64,
        actions: &mut Vec<Action>,
    ) {
        let WorkerKey { slot: id, generation } = key;
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == id) else { return };
        if let Some(index) = slot.draining.iter().position(|&draining| draining == generation) {
            slot.draining.swap_remove(index);
            return;
        }
        let Some(Serving { since, .. }) = slot.serving.take_if(|serving| serving.generation == generation)
        else {
            return;
        };
        match cause {
            Cause::Itself => slot.restarted += 1,
            Cause::Pool => slot.killed += 1,
        }
        match (&mut slot.launching, cause) {
            // Its replacement is starting already.
            (Some((_, purpose @ Purpose::Retire)), _) => *purpose = Purpose::Fill,
            (Some(_), _) => {}
            (None, Cause::Pool) => slot.launch(Purpose::Fill, &mut self.next_generation, actions),
            (None, Cause::Itself) => slot.postpone(now.saturating_duration_since(since), now, unit, actions),
        }
        self.check_breaker(id, now, actions);
    }

    fn on_retire_wanted(&mut self, key: WorkerKey) {
        let slot = self.slots.iter_mut().find(|slot| slot.id == key.slot);
        if let Some(serving) = slot.and_then(|slot| slot.serving.as_mut()) {
            serving.retires |= serving.generation == key.generation;
        }
    }

    /// Starts the replacements of processes that are to retire, unless the reload replaces them.
    fn retire_next(&mut self, actions: &mut Vec<Action>) {
        let left = self.reload.as_deref().unwrap_or_default();
        for slot in &mut self.slots {
            let retires = slot.serving.is_some_and(|serving| serving.retires);
            if retires && slot.is_idle() && slot.wait == Wait::No && !left.contains(&slot.id) {
                slot.launch(Purpose::Retire, &mut self.next_generation, actions);
            }
        }
    }

    fn on_reload(&mut self, actions: &mut Vec<Action>) {
        // A process that is starting may have loaded the old code already.
        for slot in &mut self.slots {
            if let Some((generation, _)) = slot.launching.take() {
                actions.push(Action::CancelLaunch(WorkerKey { slot: slot.id, generation }));
                if slot.serving.is_none() {
                    slot.launch(Purpose::Fill, &mut self.next_generation, actions);
                }
            }
        }
        self.reload = Some(self.slots.iter().filter(|slot| !slot.leaving).map(|slot| slot.id).collect());
    }

    /// Starts the new process of the next slot, unless one of the reload is starting.
    fn reload_next(&mut self, actions: &mut Vec<Action>) {
        let Some(left) = &self.reload else { return };
        if left.is_empty() {
            self.reload = None;
            actions.push(Action::Reloaded);
            return;
        }
        let reloading = self.slots.iter().any(|slot| matches!(slot.launching, Some((_, Purpose::Reload))));
        let next = self.slots.iter_mut().find(|slot| left.contains(&slot.id) && slot.is_idle());
        if let Some(slot) = next.filter(|_| !reloading) {
            slot.launch(Purpose::Reload, &mut self.next_generation, actions);
        }
    }

    fn on_resize(&mut self, workers: u32, now: Instant, actions: &mut Vec<Action>) {
        self.target = workers;
        for slot in &mut self.slots {
            if slot.id.0 >= workers {
                slot.leave(actions);
            }
        }
        if let Some(left) = &mut self.reload {
            left.retain(|slot| slot.0 < workers);
        }
        self.resizing = true;
        self.grow(now, actions);
    }

    fn check_resized(&mut self, actions: &mut Vec<Action>) {
        if self.resizing && self.serving() >= self.target as usize {
            self.resizing = false;
            actions.push(Action::Resized);
        }
    }

    fn on_shutdown(&mut self, actions: &mut Vec<Action>) {
        self.life = Life::Stopping;
        self.reload = None;
        for slot in &mut self.slots {
            slot.leave(actions);
        }
    }

    fn on_tick(&mut self, now: Instant, actions: &mut Vec<Action>) {
        match self.breaker {
            Breaker::Open(until) if until <= now => {
                self.breaker = Breaker::HalfOpen;
                actions.push(Action::HalfOpenBreaker);
            }
            Breaker::Closed => {
                self.launch_where(|slot| slot.wake().is_some_and(|at| at <= now), actions);
            }
            Breaker::Open(_) | Breaker::HalfOpen => {}
        }
    }

    /// While the breaker is half-open, one process starts. If none does, this starts the one of the
    /// slot with the longest delay, so that the delays of the probes keep growing.
    fn probe(&mut self, actions: &mut Vec<Action>) {
        if self.breaker != Breaker::HalfOpen || self.slots.iter().any(|slot| slot.launching.is_some()) {
            return;
        }
        if let Some(slot) = self.slots.iter_mut().filter(|slot| !slot.leaving).max_by_key(|slot| slot.wake())
        {
            slot.launch(Purpose::Fill, &mut self.next_generation, actions);
        }
    }

    /// After a failure of slot `id`, opens the breaker if starts fail and nothing serves.
    fn check_breaker(&mut self, id: SlotId, now: Instant, actions: &mut Vec<Action>) {
        let fails = self.start_failures >= self.policy.max_start_failures;
        if (fails || self.breaker == Breaker::HalfOpen) && self.nothing_serves_or_starts() {
            let until = self.slot(id).and_then(Slot::wake).unwrap_or(now);
            self.open_breaker(until, actions);
        }
    }

    /// Opens the breaker if no process serves and none is about to. Rejecting calls at once is
    /// better than keeping them.
    fn check_prospects(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.breaker != Breaker::Closed || !self.nothing_serves_or_starts() {
            return;
        }
        let next = self.slots.iter().filter_map(Slot::wake).min();
        if next.is_none_or(|next| next > later(now, self.policy.hold)) {
            // A pool without slots is checked again, because it may be resized.
            let until = next.unwrap_or_else(|| later(now, self.policy.cooldown));
            self.open_breaker(until, actions);
        }
    }

    /// Whether no slot has a process that serves or starts. While a launch is in progress, its
    /// outcome decides.
    fn nothing_serves_or_starts(&self) -> bool {
        self.slots.iter().all(|slot| slot.serving.is_none() && slot.launching.is_none())
    }

    fn open_breaker(&mut self, until: Instant, actions: &mut Vec<Action>) {
        self.breaker = Breaker::Open(until);
        actions.push(Action::OpenBreaker(until));
    }

    /// Starts the processes of the waiting slots that are `wanted`.
    fn launch_where(&mut self, wanted: impl Fn(&Slot) -> bool, actions: &mut Vec<Action>) {
        for slot in self.slots.iter_mut().filter(|slot| slot.wait != Wait::No && wanted(slot)) {
            // If the process of the slot still serves, its replacement failed to start before.
            let purpose = if slot.serving.is_some() { Purpose::Retire } else { Purpose::Fill };
            slot.launch(purpose, &mut self.next_generation, actions);
        }
    }

    fn grow(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for id in (0..self.target).map(SlotId) {
            if let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == id && slot.leaving) {
                // The slot was to be removed, but its process has not ended yet.
                slot.leaving = false;
                slot.wait = Wait::No;
                slot.launch(Purpose::Fill, &mut self.next_generation, actions);
            }
            if self.slot(id).is_none() {
                let mut slot = Slot::new(id, self.policy.clone(), now);
                slot.launch(Purpose::Fill, &mut self.next_generation, actions);
                self.slots.push(slot);
            }
        }
    }

    fn slot(&self, id: SlotId) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.id == id)
    }
}
