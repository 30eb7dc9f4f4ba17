//! When processes are started, replaced and given up, without actors or clock. The main structure
//! is [`Core`].

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::id::{Generation, SlotId};
use crate::restart::{RestartConfig, Restarts, Verdict, later};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The pool is to start.
    Start,
    /// A launch brought a process that serves.
    Ready(SlotId, Generation),
    /// A launch failed.
    StartFailed(SlotId, Generation),
    /// A process that was ready is gone.
    Exited(SlotId, Generation, Cause),
    /// A process has served long enough.
    RetireWanted(SlotId, Generation),
    /// All workers are to be replaced, one by one.
    Reload,
    /// The pool is to have this many slots.
    Resize(u32),
    /// The workers are to drain; none is started any more.
    Shutdown,
    /// The time that [`Core::next_wake`] named has come.
    Tick,
}

/// Who ended a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It ended by itself, or somebody outside of the pool ended it.
    Itself,
    /// The pool killed it, because a call did not end or the process was stopped. The next process
    /// is as good as this one was, so it starts at once.
    Pool,
}

/// What the actor is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Start a process.
    Launch(SlotId, Generation),
    /// Give up a launch.
    CancelLaunch(SlotId, Generation),
    /// Let the router use a process that is ready.
    Serve(SlotId, Generation),
    /// Let a process finish what it has, and exit.
    Drain(SlotId, Generation),
    /// A restart waits for its time.
    Waiting(SlotId, Duration),
    /// Refuse calls: no worker serves, and the next start is tried then.
    OpenBreaker(Instant),
    /// One start is tried.
    HalfOpenBreaker,
    /// Take calls again.
    CloseBreaker,
    /// Every slot of a reload has its new process.
    Reloaded,
    /// A new process of a reload did not start; the old one stays.
    ReloadFailed(SlotId, Generation),
    /// Every slot of a resize that grows serves.
    Resized,
    /// No process is left.
    Stopped,
}

/// Why a process is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The slot has none.
    Fill,
    /// The slot's process has served long enough.
    Retire,
    /// The code is new.
    Reload,
}

/// When a slot without a process gets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    No,
    Backoff(Instant),
    Rest(Instant),
}

/// The process that a slot's calls go to.
#[derive(Clone, Copy, Debug)]
struct Serving {
    generation: Generation,
    since: Instant,
    /// Whether it has served long enough.
    retires: bool,
}

/// Where the pool is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    Stopping,
    Stopped,
}

#[derive(Debug)]
struct Slot {
    id: SlotId,
    serving: Option<Serving>,
    launching: Option<(Generation, Purpose)>,
    draining: Vec<Generation>,
    wait: Wait,
    restarts: Restarts,
    restarted: u64,
    killed: u64,
    /// Whether the slot is to go when its process has gone.
    leaving: bool,
}

/// Whether the pool can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// It can, or is expected to soon.
    Closed,
    /// It cannot; the next start is tried then.
    Open(Instant),
    /// One start is being tried.
    HalfOpen,
}

/// What a slot is doing, for status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SlotState {
    /// Its first or next process starts.
    Starting,
    /// Its process serves.
    Serving,
    /// Its process serves until its replacement does.
    Replacing,
    /// Its next process waits for the delay to pass.
    Backoff,
    /// It has restarted too often and rests.
    Resting,
    /// Its process finishes what it has.
    Draining,
    /// It has no process.
    #[default]
    Stopped,
}

impl fmt::Display for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A formatter is a serializer for the names of unit variants.
        self.serialize(f)
    }
}

/// One slot, for status.
#[derive(Clone, Copy, Debug)]
pub struct SlotView {
    /// Which.
    pub slot: SlotId,
    /// What it does.
    pub state: SlotState,
    /// The process that serves, and since when.
    pub serving: Option<(Generation, Instant)>,
    /// How often its process was replaced after it had ended by itself.
    pub restarts: u64,
    /// How often its process was replaced after the pool had killed it.
    pub kills: u64,
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
    /// The slots that a reload has still to replace.
    reload: Option<Vec<SlotId>>,
    resizing: bool,
    life: Life,
}

impl Core {
    /// A pool of `workers` slots, none of them started.
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

    /// Decides. `random` gives numbers from 0 to 1.
    pub fn handle(&mut self, event: Event, now: Instant, random: &mut dyn FnMut() -> f64) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Ready(slot, generation) => self.on_ready(slot, generation, now, &mut actions),
            Event::StartFailed(slot, generation) => {
                self.on_start_failed(slot, generation, now, random(), &mut actions)
            }
            Event::Exited(slot, generation, cause) => {
                self.on_exited((slot, generation), cause, now, random(), &mut actions)
            }
            Event::Shutdown if self.life == Life::Running => self.on_shutdown(&mut actions),
            // A pool that stops starts nothing and changes nothing.
            _ if self.life != Life::Running => {}
            Event::Shutdown => unreachable!("a running pool was matched above"),
            Event::Start => self.grow(&mut actions),
            Event::RetireWanted(slot, generation) => self.on_retire_wanted(slot, generation),
            Event::Reload => self.on_reload(&mut actions),
            Event::Resize(workers) => self.on_resize(workers, &mut actions),
            Event::Tick => self.on_tick(now, &mut actions),
        }
        self.follow_up(now, &mut actions);
        actions
    }

    /// What is due whatever has happened, so that no event has to remember it.
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

    /// When [`Event::Tick`] is due.
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

    /// How many slots the pool is to have.
    #[must_use]
    pub const fn target(&self) -> u32 {
        self.target
    }

    /// Whether `generation` is the process that serves in `slot`.
    #[must_use]
    pub fn is_serving(&self, slot: SlotId, generation: Generation) -> bool {
        self.slot(slot).is_some_and(|slot| slot.serves(generation))
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

    /// Whether the pool, or a slot of it, has given up for a while.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        matches!(self.breaker, Breaker::Open(_))
            || self.slots.iter().any(|slot| matches!(slot.wait, Wait::Rest(_)))
    }

    fn on_ready(&mut self, id: SlotId, generation: Generation, now: Instant, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.launched(generation)) else {
            // The launch was given up while it became ready; nobody takes its process.
            return;
        };
        slot.launching = None;
        let old = slot.serving.replace(Serving { generation, since: now, retires: false });
        slot.wait = Wait::No;
        actions.push(Action::Serve(id, generation));
        if let Some(Serving { generation: old, .. }) = old {
            slot.draining.push(old);
            actions.push(Action::Drain(id, old));
        }
        self.start_failures = 0;
        if self.breaker != Breaker::Closed {
            self.breaker = Breaker::Closed;
            actions.push(Action::CloseBreaker);
            self.launch_where(|_| true, actions);
        }
        // Whatever a process was started for, one that started since the reload began has the new
        // code.
        if let Some(left) = &mut self.reload {
            left.retain(|&slot| slot != id);
        }
    }

    fn on_start_failed(
        &mut self,
        id: SlotId,
        generation: Generation,
        now: Instant,
        unit: f64,
        actions: &mut Vec<Action>,
    ) {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.launched(generation)) else { return };
        let purpose = slot.launching.take().map(|(_, purpose)| purpose);
        let reloads =
            purpose == Some(Purpose::Reload) || self.reload.as_ref().is_some_and(|left| left.contains(&id));
        if reloads {
            self.reload = None;
            actions.push(Action::ReloadFailed(id, generation));
        }
        if slot.serving.is_some_and(|serving| !serving.retires) {
            // The old process stays.
            return;
        }
        self.start_failures += 1;
        slot.postpone(Duration::ZERO, now, unit, actions);
        self.check_breaker(id, now, actions);
    }

    fn on_exited(
        &mut self,
        (id, generation): (SlotId, Generation),
        cause: Cause,
        now: Instant,
        unit: f64,
        actions: &mut Vec<Action>,
    ) {
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
            // Its replacement is on the way already.
            (Some((_, purpose @ Purpose::Retire)), _) => *purpose = Purpose::Fill,
            (Some(_), _) => {}
            (None, Cause::Pool) => slot.launch(Purpose::Fill, &mut self.next_generation, actions),
            (None, Cause::Itself) => slot.postpone(now.saturating_duration_since(since), now, unit, actions),
        }
        self.check_breaker(id, now, actions);
    }

    fn on_retire_wanted(&mut self, id: SlotId, generation: Generation) {
        let slot = self.slots.iter_mut().find(|slot| slot.id == id);
        if let Some(serving) = slot.and_then(|slot| slot.serving.as_mut()) {
            serving.retires |= serving.generation == generation;
        }
    }

    /// Starts the replacements of processes that have served long enough, unless the reload will.
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
        // A process that is starting may have read the old code already.
        for slot in &mut self.slots {
            if let Some((generation, _)) = slot.launching.take() {
                actions.push(Action::CancelLaunch(slot.id, generation));
                if slot.serving.is_none() {
                    slot.launch(Purpose::Fill, &mut self.next_generation, actions);
                }
            }
        }
        self.reload = Some(self.slots.iter().filter(|slot| !slot.leaving).map(|slot| slot.id).collect());
    }

    /// Starts the new process of the next slot, if none of the reload is starting.
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

    fn on_resize(&mut self, workers: u32, actions: &mut Vec<Action>) {
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
        self.grow(actions);
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

    /// Half-open means that something starts: if nothing does, the slot with the longest delay, so
    /// that the delays of the probes go on growing.
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

    /// Opens the breaker if nothing serves and nothing is about to: calls are better refused at
    /// once than kept.
    fn check_prospects(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.breaker != Breaker::Closed || !self.nothing_serves_or_starts() {
            return;
        }
        let next = self.slots.iter().filter_map(Slot::wake).min();
        if next.is_none_or(|next| next > later(now, self.policy.hold)) {
            // A pool without slots is looked at again in case it is resized.
            let until = next.unwrap_or_else(|| later(now, self.policy.cooldown));
            self.open_breaker(until, actions);
        }
    }

    /// Whether no slot has a process that serves or starts; a launch that is under way decides.
    fn nothing_serves_or_starts(&self) -> bool {
        self.slots.iter().all(|slot| slot.serving.is_none() && slot.launching.is_none())
    }

    fn open_breaker(&mut self, until: Instant, actions: &mut Vec<Action>) {
        self.breaker = Breaker::Open(until);
        actions.push(Action::OpenBreaker(until));
    }

    /// Starts those of the waiting slots.
    fn launch_where(&mut self, wanted: impl Fn(&Slot) -> bool, actions: &mut Vec<Action>) {
        for slot in self.slots.iter_mut().filter(|slot| slot.wait != Wait::No && wanted(slot)) {
            // A process whose replacement did not start has served on.
            let purpose = if slot.serving.is_some() { Purpose::Retire } else { Purpose::Fill };
            slot.launch(purpose, &mut self.next_generation, actions);
        }
    }

    fn grow(&mut self, actions: &mut Vec<Action>) {
        for id in (0..self.target).map(SlotId) {
            if let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == id && slot.leaving) {
                // It was to go and had not gone yet.
                slot.leaving = false;
                slot.wait = Wait::No;
                slot.launch(Purpose::Fill, &mut self.next_generation, actions);
            }
            if self.slot(id).is_none() {
                let mut slot = Slot::new(id, self.policy.clone());
                slot.launch(Purpose::Fill, &mut self.next_generation, actions);
                self.slots.push(slot);
            }
        }
    }

    fn slot(&self, id: SlotId) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.id == id)
    }
}

impl Slot {
    fn new(id: SlotId, policy: RestartConfig) -> Self {
        Self {
            id,
            serving: None,
            launching: None,
            draining: Vec::new(),
            wait: Wait::No,
            restarts: Restarts::new(policy),
            restarted: 0,
            killed: 0,
            leaving: false,
        }
    }

    fn launch(&mut self, purpose: Purpose, next_generation: &mut u32, actions: &mut Vec<Action>) {
        debug_assert!(self.launching.is_none(), "slot {} starts two processes at once", self.id);
        let generation = Generation(*next_generation);
        *next_generation += 1;
        self.launching = Some((generation, purpose));
        self.wait = Wait::No;
        actions.push(Action::Launch(self.id, generation));
    }

    fn serves(&self, generation: Generation) -> bool {
        self.serving.is_some_and(|serving| serving.generation == generation)
    }

    /// Whether nothing starts, and something may.
    fn is_idle(&self) -> bool {
        self.launching.is_none() && !self.leaving
    }

    fn launched(&self, generation: Generation) -> bool {
        self.launching.is_some_and(|(launching, _)| launching == generation)
    }

    /// The next start has to wait, as the policy says.
    fn postpone(&mut self, served: Duration, now: Instant, unit: f64, actions: &mut Vec<Action>) {
        let (wait, until) = match self.restarts.failed(served, now, unit) {
            Verdict::RestartAt(at) => (Wait::Backoff(at), at),
            Verdict::RestUntil(at) => (Wait::Rest(at), at),
        };
        self.wait = wait;
        actions.push(Action::Waiting(self.id, until.saturating_duration_since(now)));
    }

    fn leave(&mut self, actions: &mut Vec<Action>) {
        self.leaving = true;
        self.wait = Wait::No;
        if let Some((generation, _)) = self.launching.take() {
            actions.push(Action::CancelLaunch(self.id, generation));
        }
        if let Some(Serving { generation, .. }) = self.serving.take() {
            self.draining.push(generation);
            actions.push(Action::Drain(self.id, generation));
        }
    }

    fn wake(&self) -> Option<Instant> {
        match self.wait {
            Wait::Backoff(at) | Wait::Rest(at) => Some(at),
            Wait::No => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.serving.is_none() && self.launching.is_none() && self.draining.is_empty()
    }

    fn state(&self) -> SlotState {
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
