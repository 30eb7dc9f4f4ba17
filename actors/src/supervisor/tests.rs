//! Tables of events for the supervisor's core, and properties that hold for any events.

use std::time::{Duration, Instant};

use super::core::{Breaker, Core};
use super::event::{Action, Cause, Event};
use super::slot::SlotState;
use crate::id::{Generation, SlotId, WorkerKey};
use crate::restart::RestartConfig;

mod anything;

const MS: Duration = Duration::from_millis(1);

fn policy() -> RestartConfig {
    RestartConfig {
        jitter: 0.0,
        max: MS * 400,
        max_restarts: 5,
        cooldown: MS * 10_000,
        max_start_failures: 3,
        ..RestartConfig::default()
    }
}

/// A core and the time, in milliseconds.
struct Table {
    core: Core,
    start: Instant,
}

impl Table {
    fn new(workers: u32) -> Self {
        Self { core: Core::new(workers, policy()), start: Instant::now() }
    }

    /// All slots serve, in generations from 1.
    fn serving(workers: u32) -> Self {
        let mut table = Self::new(workers);
        table.at(0, Event::Start);
        for slot in 0..workers {
            assert_eq!(table.at(0, ready(slot, slot + 1)), [serve(slot, slot + 1)]);
        }
        table
    }

    fn at(&mut self, ms: u32, event: Event) -> Vec<Action> {
        self.core.handle(event, self.start + MS * ms, &mut || 0.5)
    }

    fn wake(&self) -> Option<u128> {
        self.core.next_wake().map(|at| at.saturating_duration_since(self.start).as_millis())
    }

    fn open(&self, ms: u32) -> Action {
        Action::OpenBreaker(self.start + MS * ms)
    }

    fn state(&self, slot: u32) -> Option<SlotState> {
        self.core.slots().find(|view| view.slot == SlotId(slot)).map(|view| view.state)
    }
}

fn key(slot: u32, generation: u32) -> WorkerKey {
    WorkerKey { slot: SlotId(slot), generation: Generation(generation) }
}

fn launch(slot: u32, generation: u32) -> Action {
    Action::Launch(key(slot, generation))
}

fn cancel(slot: u32, generation: u32) -> Action {
    Action::CancelLaunch(key(slot, generation))
}

fn serve(slot: u32, generation: u32) -> Action {
    Action::Serve(key(slot, generation))
}

fn drain(slot: u32, generation: u32) -> Action {
    Action::Drain(key(slot, generation))
}

fn wait(slot: u32, ms: u32) -> Action {
    Action::Waiting(SlotId(slot), MS * ms)
}

fn reload_failed(slot: u32, generation: u32) -> Action {
    Action::ReloadFailed(key(slot, generation))
}

fn ready(slot: u32, generation: u32) -> Event {
    Event::Ready(key(slot, generation))
}

fn failed(slot: u32, generation: u32) -> Event {
    Event::StartFailed(key(slot, generation))
}

fn exited(slot: u32, generation: u32) -> Event {
    Event::Exited(key(slot, generation), Cause::Itself)
}

fn killed(slot: u32, generation: u32) -> Event {
    Event::Exited(key(slot, generation), Cause::Pool)
}

fn retire(slot: u32, generation: u32) -> Event {
    Event::RetireWanted(key(slot, generation))
}

const NOTHING: [Action; 0] = [];

#[test]
fn start_launches_every_slot_once() {
    let mut table = Table::new(3);
    assert_eq!(table.at(0, Event::Start), [launch(0, 1), launch(1, 2), launch(2, 3)]);
    assert_eq!(table.at(1, ready(1, 2)), [serve(1, 2)]);
    assert_eq!(table.state(0), Some(SlotState::Starting));
    assert_eq!(table.state(1), Some(SlotState::Serving));
    assert_eq!(table.core.serving(), 1);
    assert_eq!(table.wake(), None);
}

#[test]
fn events_of_unknown_processes_change_nothing() {
    let mut table = Table::serving(1);
    let unknown = [
        exited(0, 9),
        exited(5, 1),
        failed(0, 1),
        failed(7, 7),
        ready(0, 1),
        ready(4, 8),
        retire(0, 9),
        retire(9, 1),
    ];
    for event in unknown.into_iter().chain([Event::Tick]) {
        assert_eq!(table.at(1, event), NOTHING, "{event:?}");
    }
    assert_eq!(table.core.serving(), 1);
}

#[test]
fn a_crash_waits_for_its_backoff_which_doubles_and_starts_again_after_health() {
    let mut table = Table::serving(1);
    assert_eq!(table.at(100, exited(0, 1)), [wait(0, 50)]);
    assert_eq!(table.state(0), Some(SlotState::Backoff));
    assert_eq!(table.wake(), Some(150));
    assert_eq!(table.at(149, Event::Tick), NOTHING);
    assert_eq!(table.at(150, Event::Tick), [launch(0, 2)]);
    assert_eq!(table.wake(), None);
    assert_eq!(table.at(160, ready(0, 2)), [serve(0, 2)]);
    assert_eq!(table.at(200, exited(0, 2)), [wait(0, 100)]);
    assert_eq!(table.at(300, Event::Tick), [launch(0, 3)]);
    assert_eq!(table.at(310, ready(0, 3)), [serve(0, 3)]);
    assert_eq!(table.at(10_310, exited(0, 3)), [wait(0, 50)]);
}

#[test]
fn a_second_exit_of_one_process_is_nothing() {
    let mut table = Table::serving(1);
    assert_eq!(table.at(100, exited(0, 1)), [wait(0, 50)]);
    assert_eq!(table.at(100, exited(0, 1)), NOTHING);
    assert_eq!(table.wake(), Some(150));
}

#[test]
fn a_crash_loop_at_start_opens_the_breaker_and_probes_until_one_serves() {
    let mut table = Table::new(1);
    assert_eq!(table.at(0, Event::Start), [launch(0, 1)]);
    assert_eq!(table.at(0, failed(0, 1)), [wait(0, 50)]);
    assert_eq!(table.at(50, Event::Tick), [launch(0, 2)]);
    assert_eq!(table.at(50, failed(0, 2)), [wait(0, 100)]);
    assert_eq!(table.at(150, Event::Tick), [launch(0, 3)]);
    assert_eq!(table.at(150, failed(0, 3)), [wait(0, 200), table.open(350)]);
    assert_eq!(table.wake(), Some(350));
    assert_eq!(table.at(349, Event::Tick), NOTHING);
    assert_eq!(table.at(350, Event::Tick), [Action::HalfOpenBreaker, launch(0, 4)]);
    assert_eq!(table.core.breaker(), Breaker::HalfOpen);
    assert_eq!(table.wake(), None);
    assert_eq!(table.at(360, failed(0, 4)), [wait(0, 400), table.open(760)]);
    assert_eq!(table.at(760, Event::Tick), [Action::HalfOpenBreaker, launch(0, 5)]);
    assert_eq!(table.at(770, ready(0, 5)), [serve(0, 5), Action::CloseBreaker]);
    assert_eq!(table.core.breaker(), Breaker::Closed);
}

#[test]
fn while_something_still_starts_the_breaker_waits_for_it() {
    let mut table = Table::new(4);
    table.at(0, Event::Start);
    for (slot, delay) in [(0, 50), (1, 50), (2, 50)] {
        assert_eq!(table.at(0, failed(slot, slot + 1)), [wait(slot, delay)]);
    }
    assert_eq!(table.at(10, failed(3, 4)), [wait(3, 50), table.open(60)]);
    // One slot is tried; the others start when it serves.
    let probe = table.at(60, Event::Tick);
    assert_eq!(probe.len(), 2, "{probe:?}");
    assert_eq!(probe[0], Action::HalfOpenBreaker);
    assert_eq!(probe[1], launch(3, 5));
    assert_eq!(
        table.at(70, ready(3, 5)),
        [serve(3, 5), Action::CloseBreaker, launch(0, 6), launch(1, 7), launch(2, 8)]
    );
}

#[test]
fn start_failures_beside_a_worker_that_serves_do_not_open_the_breaker() {
    let mut table = Table::serving(2);
    table.at(0, exited(1, 2));
    let mut at = 0;
    for generation in 3..6 {
        at = u32::try_from(table.wake().expect("it waits")).expect("it is soon");
        assert_eq!(table.at(at, Event::Tick), [launch(1, generation)]);
        let actions = table.at(at, failed(1, generation));
        assert!(matches!(actions[..], [Action::Waiting(..)]), "{actions:?}");
    }
    assert_eq!(table.core.breaker(), Breaker::Closed);
    let actions = table.at(at, exited(0, 1));
    assert!(matches!(actions[..], [Action::Waiting(..), Action::OpenBreaker(_)]), "{actions:?}");
}

#[test]
fn restarts_beyond_the_intensity_rest_and_the_breaker_opens_when_all_rest() {
    let mut table = Table::serving(2);
    let mut at = 0;
    let mut generation = [1, 2];
    let mut next = 3;
    for round in 0..6 {
        at += 500;
        for slot in 0..2 {
            let actions = table.at(at, exited(slot, generation[slot as usize]));
            let rests = matches!(actions[0], Action::Waiting(_, delay) if delay == MS * 10_000);
            assert_eq!(rests, round == 5, "{actions:?}");
            assert_eq!(actions.len(), if round == 5 && slot == 1 { 2 } else { 1 }, "{actions:?}");
        }
        if round == 5 {
            break;
        }
        at += 500;
        for action in table.at(at, Event::Tick) {
            let Action::Launch(WorkerKey { slot: SlotId(slot), .. }) = action else { panic!("{action:?}") };
            generation[slot as usize] = next;
            table.at(at, ready(slot, next));
            next += 1;
        }
    }
    assert_eq!(table.state(0), Some(SlotState::Resting));
    assert_eq!(table.wake(), Some(u128::from(at) + 10_000));
    assert_eq!(table.core.breaker(), Breaker::Open(table.start + MS * (at + 10_000)));
}

#[test]
fn a_slot_that_leaves_keeps_no_breaker_closed() {
    let mut table = Table::serving(2);
    table.at(0, Event::Resize(1));
    for generation in 3..8 {
        let crashed = if generation == 3 { 1 } else { generation - 1 };
        assert!(matches!(table.at(generation * 500, exited(0, crashed))[..], [Action::Waiting(..)]));
        assert_eq!(table.at(generation * 500 + 400, Event::Tick), [launch(0, generation)]);
        assert_eq!(table.at(generation * 500 + 400, ready(0, generation)), [serve(0, generation)]);
    }
    assert_eq!(table.at(4000, exited(0, 7)), [wait(0, 10_000), table.open(14_000)]);
}

#[test]
fn a_process_that_retires_serves_until_its_replacement_does() {
    let mut table = Table::serving(2);
    assert_eq!(table.at(0, retire(0, 1)), [launch(0, 3)]);
    assert_eq!(table.state(0), Some(SlotState::Replacing));
    assert_eq!(table.at(1, retire(0, 1)), NOTHING);
    assert_eq!(table.core.serving(), 2);
    assert_eq!(table.at(10, ready(0, 3)), [serve(0, 3), drain(0, 1)]);
    assert_eq!(table.at(20, exited(0, 1)), NOTHING);
    assert_eq!(table.state(0), Some(SlotState::Serving));
}

#[test]
fn a_replacement_that_does_not_start_is_tried_again_after_its_backoff() {
    let mut table = Table::serving(1);
    assert_eq!(table.at(0, retire(0, 1)), [launch(0, 2)]);
    assert_eq!(table.at(10, failed(0, 2)), [wait(0, 50)]);
    assert_eq!(table.state(0), Some(SlotState::Serving));
    assert_eq!(table.at(20, retire(0, 1)), NOTHING);
    assert_eq!(table.at(60, Event::Tick), [launch(0, 3)]);
    assert_eq!(table.at(60, failed(0, 3)), [wait(0, 100)]);
    assert_eq!(table.at(160, Event::Tick), [launch(0, 4)]);
    assert_eq!(table.at(170, ready(0, 4)), [serve(0, 4), drain(0, 1)]);
}

#[test]
fn a_process_that_dies_while_its_replacement_starts_is_filled_by_it() {
    let mut table = Table::serving(1);
    assert_eq!(table.at(0, retire(0, 1)), [launch(0, 2)]);
    assert_eq!(table.at(5, exited(0, 1)), NOTHING);
    assert_eq!(table.state(0), Some(SlotState::Starting));
    assert_eq!(table.at(9, failed(0, 2)), [wait(0, 50)]);
    assert_eq!(table.at(59, Event::Tick), [launch(0, 3)]);
    assert_eq!(table.at(60, ready(0, 3)), [serve(0, 3)]);
}

#[test]
fn a_process_that_dies_while_its_replacement_waits_takes_the_next_backoff() {
    let mut table = Table::serving(1);
    table.at(0, retire(0, 1));
    assert_eq!(table.at(0, failed(0, 2)), [wait(0, 50)]);
    assert_eq!(table.at(10, exited(0, 1)), [wait(0, 100)]);
    assert_eq!(table.at(50, Event::Tick), NOTHING);
    assert_eq!(table.at(110, Event::Tick), [launch(0, 3)]);
}

#[test]
fn a_reload_replaces_one_slot_after_another() {
    let mut table = Table::serving(2);
    assert_eq!(table.at(0, Event::Reload), [launch(0, 3)]);
    assert_eq!(table.at(10, ready(0, 3)), [serve(0, 3), drain(0, 1), launch(1, 4)]);
    assert_eq!(table.at(11, exited(0, 1)), NOTHING);
    assert_eq!(table.at(20, ready(1, 4)), [serve(1, 4), drain(1, 2), Action::Reloaded]);
}

#[test]
fn a_reload_that_fails_keeps_the_old_process_and_counts_as_no_crash() {
    let mut table = Table::serving(2);
    table.at(0, Event::Reload);
    assert_eq!(table.at(10, failed(0, 3)), [reload_failed(0, 3)]);
    assert_eq!((table.core.serving(), table.wake()), (2, None));
    assert_eq!(table.at(20, Event::Reload), [launch(0, 4)]);
}

#[test]
fn a_reload_of_a_slot_whose_process_died_fails_and_the_slot_is_tried_again() {
    let mut table = Table::serving(1);
    table.at(0, Event::Reload);
    assert_eq!(table.at(1, exited(0, 1)), NOTHING);
    assert_eq!(table.at(2, failed(0, 2)), [reload_failed(0, 2), wait(0, 50)]);
    assert_eq!(table.at(52, Event::Tick), [launch(0, 3)]);
}

#[test]
fn a_reload_starts_anew_what_is_starting_with_the_old_code() {
    let mut table = Table::serving(2);
    table.at(0, exited(1, 2));
    assert_eq!(table.at(50, Event::Tick), [launch(1, 3)]);
    assert_eq!(table.at(51, Event::Reload), [cancel(1, 3), launch(1, 4), launch(0, 5)]);
    assert_eq!(table.at(52, ready(1, 3)), NOTHING);
    assert_eq!(table.at(60, ready(0, 5)), [serve(0, 5), drain(0, 1)]);
    assert_eq!(table.at(61, ready(1, 4)), [serve(1, 4), Action::Reloaded]);
}

// The second reload cancelled the launch of the slot, which then had no process, no launch and no
// delay.
#[test]
fn a_second_reload_leaves_no_slot_whose_process_died_behind() {
    let mut table = Table::serving(2);
    table.at(0, Event::Reload);
    table.at(1, exited(0, 1));
    assert_eq!(table.at(2, Event::Reload), [cancel(0, 3), launch(0, 4), launch(1, 5)]);
    assert_eq!(table.at(3, failed(1, 5)), [reload_failed(1, 5)]);
    assert_eq!(table.at(4, ready(0, 4)), [serve(0, 4)]);
}

// A worker asks for a replacement only once.
#[test]
fn a_process_that_wanted_to_retire_during_a_reload_that_failed_is_replaced_after_it() {
    let mut table = Table::serving(2);
    assert_eq!(table.at(0, retire(1, 2)), [launch(1, 3)]);
    assert_eq!(table.at(1, Event::Reload), [cancel(1, 3), launch(0, 4)]);
    assert_eq!(table.at(2, failed(0, 4)), [reload_failed(0, 4), launch(1, 5)]);
    let mut table = Table::serving(1);
    assert_eq!(table.at(0, Event::Reload), [launch(0, 2)]);
    assert_eq!(table.at(0, retire(0, 1)), NOTHING);
    assert_eq!(table.at(1, failed(0, 2)), [reload_failed(0, 2), wait(0, 50)]);
    assert_eq!(table.at(51, Event::Tick), [launch(0, 3)]);
}

// The reload waited for a slot that kept failing, and its caller never got an answer.
#[test]
fn a_reload_fails_when_a_slot_that_had_crashed_does_not_start_with_the_new_code() {
    let mut table = Table::serving(2);
    assert_eq!(table.at(0, Event::Reload), [launch(0, 3)]);
    table.at(1, exited(1, 2));
    assert_eq!(table.at(51, Event::Tick), [launch(1, 4)]);
    assert_eq!(table.at(52, ready(0, 3)), [serve(0, 3), drain(0, 1)]);
    assert_eq!(table.at(53, failed(1, 4)), [reload_failed(1, 4), wait(1, 100)]);
}

#[test]
fn a_resize_that_grows_is_told_when_all_serve() {
    let mut table = Table::serving(1);
    assert_eq!(table.at(0, Event::Resize(3)), [launch(1, 2), launch(2, 3)]);
    assert_eq!(table.at(1, ready(2, 3)), [serve(2, 3)]);
    assert_eq!(table.at(2, ready(1, 2)), [serve(1, 2), Action::Resized]);
    assert_eq!(table.at(3, Event::Resize(3)), [Action::Resized]);
}

#[test]
fn a_resize_that_shrinks_drains_cancels_and_forgets() {
    let mut table = Table::serving(3);
    table.at(0, retire(2, 3));
    table.at(0, exited(1, 2));
    assert_eq!(table.at(1, Event::Resize(1)), [cancel(2, 4), drain(2, 3), Action::Resized]);
    assert_eq!(table.state(1), None);
    assert_eq!(table.state(2), Some(SlotState::Draining));
    assert_eq!(table.wake(), None);
    assert_eq!(table.at(2, exited(2, 3)), NOTHING);
    assert_eq!(table.state(2), None);
}

#[test]
fn a_slot_that_comes_back_while_it_drains_has_both_processes() {
    let mut table = Table::serving(2);
    assert_eq!(table.at(0, Event::Resize(1)), [drain(1, 2), Action::Resized]);
    assert_eq!(table.at(1, Event::Resize(2)), [launch(1, 3)]);
    assert_eq!(table.at(2, exited(1, 2)), NOTHING);
    assert_eq!(table.at(3, ready(1, 3)), [serve(1, 3), Action::Resized]);
}

#[test]
fn a_reload_is_told_when_a_resize_takes_the_slots_that_are_left() {
    let mut table = Table::serving(2);
    table.at(0, Event::Reload);
    assert_eq!(table.at(1, ready(0, 3)), [serve(0, 3), drain(0, 1), launch(1, 4)]);
    let told = table.at(2, Event::Resize(1));
    assert_eq!(told, [cancel(1, 4), drain(1, 2), Action::Reloaded, Action::Resized]);
}

// The breaker was half-open, but no process started, and no wake-up was due.
#[test]
fn a_probe_that_is_resized_away_is_followed_by_another() {
    let mut table = Table::new(2);
    table.at(0, Event::Start);
    table.at(0, failed(0, 1));
    table.at(0, failed(1, 2));
    table.at(50, Event::Tick);
    table.at(50, failed(0, 3));
    assert_eq!(table.at(51, failed(1, 4)), [wait(1, 100), table.open(151)]);
    assert_eq!(table.at(151, Event::Tick), [Action::HalfOpenBreaker, launch(1, 5)]);
    assert_eq!(table.at(152, Event::Resize(1)), [cancel(1, 5), launch(0, 6)]);
    assert_eq!(table.at(153, ready(0, 6)), [serve(0, 6), Action::CloseBreaker, Action::Resized]);
}

#[test]
fn shutdown_drains_what_serves_gives_up_what_starts_and_is_told_once() {
    let mut table = Table::serving(3);
    table.at(0, retire(0, 1));
    table.at(0, exited(1, 2));
    assert_eq!(table.at(1, Event::Shutdown), [cancel(0, 4), drain(0, 1), drain(2, 3)]);
    assert_eq!(table.wake(), None);
    for event in [
        Event::Shutdown,
        Event::Tick,
        Event::Reload,
        Event::Resize(9),
        retire(2, 3),
        failed(0, 4),
        ready(0, 4),
        Event::Start,
    ] {
        assert_eq!(table.at(2, event), NOTHING, "{event:?}");
    }
    assert_eq!(table.at(4, exited(2, 3)), NOTHING);
    assert_eq!(table.at(5, exited(0, 1)), [Action::Stopped]);
    for event in [Event::Shutdown, exited(0, 1), Event::Tick] {
        assert_eq!(table.at(6, event), NOTHING, "{event:?}");
    }
}

#[test]
fn shutdown_with_nothing_running_stops_at_once() {
    for workers in 0..3 {
        let mut table = Table::new(workers);
        let launches =
            table.at(0, Event::Start).iter().filter(|action| matches!(action, Action::Launch(..))).count();
        let actions = table.at(1, Event::Shutdown);
        assert_eq!(actions.len(), launches + 1);
        assert_eq!(actions.last(), Some(&Action::Stopped));
    }
}

#[test]
fn shutdown_with_the_breaker_open_wakes_nobody() {
    let mut table = Table::new(1);
    table.at(0, Event::Start);
    let (mut at, mut generation) = (0, 1);
    while table.core.breaker() == Breaker::Closed {
        table.at(at, failed(0, generation));
        at = u32::try_from(table.wake().expect("it waits")).expect("it is soon");
        if table.core.breaker() == Breaker::Closed {
            table.at(at, Event::Tick);
            generation += 1;
        }
    }
    assert_eq!(table.at(at, Event::Shutdown), [Action::Stopped]);
    assert_eq!(table.wake(), None);
}

// One client with a short deadline on a long function in C took the whole pool out of service.
#[test]
fn a_process_that_the_pool_killed_is_replaced_at_once_and_is_no_restart() {
    let mut table = Table::serving(1);
    for generation in 1..50 {
        assert_eq!(table.at(generation, killed(0, generation)), [launch(0, generation + 1)]);
        assert_eq!(table.at(generation, ready(0, generation + 1)), [serve(0, generation + 1)]);
    }
    let view = table.core.slots().next().expect("there is one slot");
    assert_eq!((view.restarts, view.kills), (0, 49));
    // The next delay is still the first one.
    assert_eq!(table.at(100, exited(0, 50)), [wait(0, 50)]);
}

#[test]
fn a_backoff_beyond_the_hold_with_nothing_that_serves_opens_the_breaker() {
    let policy = RestartConfig { initial: MS * 400, max: MS * 5000, ..policy() };
    let mut table = Table { core: Core::new(2, policy), start: Instant::now() };
    table.at(0, Event::Start);
    table.at(0, ready(0, 1));
    table.at(0, ready(1, 2));
    assert_eq!(table.at(0, exited(1, 2)), [wait(1, 400)]);
    assert_eq!(table.at(400, Event::Tick), [launch(1, 3)]);
    assert_eq!(table.at(400, ready(1, 3)), [serve(1, 3)]);
    assert_eq!(table.at(500, exited(1, 3)), [wait(1, 800)]);
    assert_eq!(table.at(1300, Event::Tick), [launch(1, 4)]);
    assert_eq!(table.at(1300, ready(1, 4)), [serve(1, 4)]);
    assert_eq!(table.at(1300, exited(1, 4)), [wait(1, 1600)]);
    // The other slot still serves. When its process dies, its own first delay is short.
    assert_eq!(table.at(1400, exited(0, 1)), [wait(0, 400)]);
    assert_eq!(table.core.breaker(), Breaker::Closed);
    assert_eq!(table.at(1800, Event::Tick), [launch(0, 5)]);
    assert_eq!(table.at(1800, ready(0, 5)), [serve(0, 5)]);
    assert_eq!(table.at(1800, exited(0, 5)), [wait(0, 800)]);
    assert_eq!(table.at(2600, Event::Tick), [launch(0, 6)]);
    assert_eq!(table.at(2600, ready(0, 6)), [serve(0, 6)]);
    assert_eq!(table.at(2910, Event::Tick), [launch(1, 7)]);
    assert_eq!(table.at(2910, ready(1, 7)), [serve(1, 7)]);
    assert_eq!(table.at(2910, exited(0, 6)), [wait(0, 1600)]);
    assert_eq!(table.at(2920, exited(1, 7)), [wait(1, 3200), table.open(4510)]);
    assert_eq!(table.wake(), Some(4510));
}

#[test]
fn a_pool_that_was_resized_to_nothing_refuses_calls_until_it_grows() {
    let mut table = Table::serving(1);
    assert_eq!(table.at(0, Event::Resize(0)), [drain(0, 1), table.open(10_000), Action::Resized]);
    assert_eq!(table.at(1, Event::Resize(1)), [launch(0, 2)]);
    assert_eq!(table.at(2, ready(0, 2)), [serve(0, 2), Action::CloseBreaker, Action::Resized]);
}

#[test]
fn delays_beyond_the_clock_are_waited_for_and_nothing_panics() {
    let forever = RestartConfig {
        initial: Duration::MAX,
        max: Duration::MAX,
        reset_after: Duration::MAX,
        within: Duration::MAX,
        cooldown: Duration::MAX,
        hold: Duration::MAX,
        max_restarts: 1,
        ..policy()
    };
    let mut table = Table { core: Core::new(1, forever), start: Instant::now() };
    table.at(0, Event::Start);
    table.at(0, ready(0, 1));
    assert!(matches!(table.at(0, exited(0, 1))[..], [Action::Waiting(..)]));
    assert!(table.wake() > Some(1_000_000_000));
    table.at(0, Event::Reload);
    table.at(0, ready(0, 2));
    assert!(matches!(table.at(0, exited(0, 2))[..], [Action::Waiting(..)]));
}
