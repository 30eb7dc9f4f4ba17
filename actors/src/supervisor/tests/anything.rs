//! Properties that hold for any sequence of events. The main structure in this module is [`World`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::core::{Breaker, Core};
use super::super::event::{Action, Cause, Event};
use super::{MS, policy};
use crate::id::{Generation, SlotId, WorkerKey};

#[derive(Clone, Copy, Debug)]
enum Op {
    Ready { which: usize },
    Fail { which: usize },
    Exit { which: usize },
    Kill { which: usize },
    Drained { which: usize },
    Retire { which: usize },
    Reload,
    Resize { workers: u32 },
    Wake,
    Pass { ms: u32 },
    LateReady,
    UnknownExit { slot: u32 },
    Shutdown,
}

fn op() -> impl Strategy<Value = Op> {
    let which = 0..10_usize;
    prop_oneof![
        8 => which.clone().prop_map(|which| Op::Ready { which }),
        6 => which.clone().prop_map(|which| Op::Fail { which }),
        4 => which.clone().prop_map(|which| Op::Exit { which }),
        2 => which.clone().prop_map(|which| Op::Kill { which }),
        4 => which.clone().prop_map(|which| Op::Drained { which }),
        3 => which.prop_map(|which| Op::Retire { which }),
        1 => Just(Op::Reload),
        2 => (0..5_u32).prop_map(|workers| Op::Resize { workers }),
        8 => Just(Op::Wake),
        2 => (0..20_000_u32).prop_map(|ms| Op::Pass { ms }),
        1 => Just(Op::LateReady),
        1 => (0..6_u32).prop_map(|slot| Op::UnknownExit { slot }),
    ]
}

/// The expected processes, independent of the core.
struct World {
    core: Core,
    now: Instant,
    target: u32,
    launching: BTreeMap<SlotId, Generation>,
    serving: BTreeMap<SlotId, Generation>,
    draining: BTreeSet<(SlotId, Generation)>,
    cancelled: Vec<(SlotId, Generation)>,
    newest: u32,
    reload_waits: bool,
    resize_waits: bool,
    refusing: bool,
    shutdown: bool,
    stopped: bool,
}

impl World {
    fn new(workers: u32) -> Self {
        let mut world = Self {
            core: Core::new(workers, policy()),
            now: Instant::now(),
            target: workers,
            launching: BTreeMap::new(),
            serving: BTreeMap::new(),
            draining: BTreeSet::new(),
            cancelled: Vec::new(),
            newest: 0,
            reload_waits: false,
            resize_waits: false,
            refusing: false,
            shutdown: false,
            stopped: false,
        };
        world.handle(Event::Start);
        world
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Ready { which } => {
                if let Some((slot, generation)) = nth(&self.launching, which) {
                    self.launching.remove(&slot);
                    self.handle(Event::Ready(WorkerKey { slot, generation }));
                    assert_eq!(self.serving.get(&slot), Some(&generation), "a process that is ready serves");
                }
            }
            Op::Fail { which } => {
                if let Some((slot, generation)) = nth(&self.launching, which) {
                    self.launching.remove(&slot);
                    self.handle(Event::StartFailed(WorkerKey { slot, generation }));
                }
            }
            Op::Exit { which } => {
                if let Some((slot, generation)) = nth(&self.serving, which) {
                    self.serving.remove(&slot);
                    self.handle(Event::Exited(WorkerKey { slot, generation }, Cause::Itself));
                }
            }
            Op::Kill { which } => {
                if let Some((slot, generation)) = nth(&self.serving, which) {
                    self.serving.remove(&slot);
                    self.handle(Event::Exited(WorkerKey { slot, generation }, Cause::Pool));
                    assert!(self.shutdown || self.launching.contains_key(&slot), "it is replaced at once");
                }
            }
            Op::Drained { which } => {
                let drained = self.draining.iter().nth(which % self.draining.len().max(1)).copied();
                if let Some((slot, generation)) = drained {
                    self.draining.remove(&(slot, generation));
                    self.handle(Event::Exited(WorkerKey { slot, generation }, Cause::Itself));
                }
            }
            Op::Retire { which } => {
                if let Some((slot, generation)) = nth(&self.serving, which) {
                    self.handle(Event::RetireWanted(WorkerKey { slot, generation }));
                }
            }
            Op::Reload => {
                self.reload_waits = !self.shutdown;
                self.handle(Event::Reload);
            }
            Op::Resize { workers } => {
                if !self.shutdown {
                    self.target = workers;
                    self.resize_waits = true;
                }
                self.handle(Event::Resize(workers));
            }
            Op::Wake => {
                if let Some(at) = self.core.next_wake() {
                    self.now = self.now.max(at);
                    self.handle(Event::Tick);
                    assert!(
                        self.core.next_wake().is_none_or(|next| next > self.now),
                        "a wake that does nothing"
                    );
                }
            }
            Op::Pass { ms } => self.now += MS * ms,
            Op::LateReady => {
                if let Some((slot, generation)) = self.cancelled.pop() {
                    let actions =
                        self.core.handle(Event::Ready(WorkerKey { slot, generation }), self.now, &mut || 0.5);
                    assert_eq!(actions, [], "the launch was cancelled");
                }
            }
            Op::UnknownExit { slot } => self.handle(Event::Exited(
                WorkerKey { slot: SlotId(slot), generation: Generation(1_000_000) },
                Cause::Itself,
            )),
            Op::Shutdown => {
                self.shutdown = true;
                self.handle(Event::Shutdown);
            }
        }
        self.check();
    }

    fn handle(&mut self, event: Event) {
        let actions = self.core.handle(event, self.now, &mut || 0.5);
        for action in actions {
            self.perform(action, event);
        }
    }

    fn perform(&mut self, action: Action, event: Event) {
        assert!(!self.stopped, "{action:?} after the end");
        match action {
            Action::Launch(WorkerKey { slot, generation }) => {
                assert!(!self.shutdown && slot.0 < self.target);
                assert!(generation.0 > self.newest, "generations grow");
                self.newest = generation.0;
                assert_eq!(self.launching.insert(slot, generation), None, "two launches of {slot}");
            }
            Action::CancelLaunch(WorkerKey { slot, generation }) => {
                assert_eq!(self.launching.remove(&slot), Some(generation));
                self.cancelled.push((slot, generation));
            }
            Action::Serve(WorkerKey { slot, generation }) => {
                assert_eq!(event, Event::Ready(WorkerKey { slot, generation }), "only what is ready serves");
                if let Some(old) = self.serving.insert(slot, generation) {
                    self.draining.insert((slot, old));
                }
            }
            Action::Drain(WorkerKey { slot, generation }) => {
                if self.serving.get(&slot) == Some(&generation) {
                    self.serving.remove(&slot);
                    self.draining.insert((slot, generation));
                }
                assert!(self.draining.contains(&(slot, generation)), "it lives");
            }
            Action::Waiting(_, delay) => assert!(delay > Duration::ZERO),
            Action::OpenBreaker(at) => {
                assert!(at >= self.now && self.serving.is_empty() && self.launching.is_empty());
                self.refusing = true;
            }
            Action::HalfOpenBreaker => assert!(self.refusing),
            Action::CloseBreaker => {
                assert!(self.refusing && !self.serving.is_empty());
                self.refusing = false;
            }
            Action::Reloaded | Action::ReloadFailed(_) => self.reload_waits = false,
            Action::Resized => {
                assert!(self.resize_waits && self.serving.len() == self.target as usize);
                self.resize_waits = false;
            }
            Action::Stopped => {
                assert!(self.shutdown && self.launching.is_empty() && self.serving.is_empty());
                assert!(self.draining.is_empty());
                self.stopped = true;
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.core.serving(), self.serving.len());
        assert!(self.serving.len() <= self.target as usize);
        for (&slot, &generation) in &self.serving {
            assert!(self.core.is_serving(WorkerKey { slot, generation }));
        }
        assert_eq!(self.core.breaker() != Breaker::Closed, self.refusing);
        if self.shutdown {
            assert_eq!(self.core.next_wake(), None);
            assert_eq!(self.stopped, self.draining.is_empty());
            return;
        }
        let missing = |slot: &u32| {
            let slot = SlotId(*slot);
            !self.serving.contains_key(&slot) && !self.launching.contains_key(&slot)
        };
        let probing = self.core.breaker() == Breaker::HalfOpen && !self.launching.is_empty();
        let waits = self.core.next_wake().is_some() || probing;
        assert!(waits || !(0..self.target).any(|slot| missing(&slot)), "a slot is left behind");
        assert!(self.core.breaker() != Breaker::HalfOpen || probing || self.target == 0);
    }

    /// If nothing fails from now on, all slots serve and all callers get their answers.
    fn recover(&mut self) {
        for _ in 0..100 {
            self.apply(Op::Ready { which: 0 });
            self.apply(Op::Drained { which: 0 });
            self.apply(Op::Wake);
        }
        assert_eq!(self.serving.len(), self.target as usize);
        assert!(self.launching.is_empty() && self.draining.is_empty());
        assert!(!self.reload_waits && !self.resize_waits, "a caller never got its answer");
        assert!(!self.refusing || self.target == 0);
    }

    fn stop(&mut self) {
        self.apply(Op::Shutdown);
        for _ in 0..100 {
            self.apply(Op::Drained { which: 0 });
        }
        assert!(self.stopped);
    }
}

fn nth(of: &BTreeMap<SlotId, Generation>, which: usize) -> Option<(SlotId, Generation)> {
    of.iter().nth(which % of.len().max(1)).map(|(&slot, &generation)| (slot, generation))
}

proptest! {
    #[test]
    fn no_slot_is_left_behind_and_none_has_two(workers in 0..5_u32, ops in prop::collection::vec(op(), 0..200)) {
        let mut world = World::new(workers);
        for op in ops {
            world.apply(op);
        }
        world.recover();
        world.stop();
    }

    #[test]
    fn a_pool_that_stops_in_the_midst_of_anything_stops_once(
        workers in 0..5_u32,
        before in prop::collection::vec(op(), 0..60),
        after in prop::collection::vec(op(), 0..30),
    ) {
        let mut world = World::new(workers);
        for op in before.into_iter().chain([Op::Shutdown]).chain(after) {
            world.apply(op);
        }
        world.stop();
    }
}
