//! Tables of events for the router's core, and properties that hold for any events.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::core::{Core, Dispatch};
use super::limits::{Availability, Limits, Rejection};
use super::load::Entry;
use super::select::Select;
use crate::call::Function;
use crate::id::{FunctionId, Generation, SlotId, WorkerKey};
use crate::reason::CancelReason;

const MS: Duration = Duration::from_millis(1);
const BUDGET: u32 = 1_000_000;
const CAPACITY: u32 = 6;
const SYNC: Function = Function { id: FunctionId(0), overlapping: false };
const ASYNC: Function = Function { id: FunctionId(9), overlapping: true };

fn limits() -> Limits {
    Limits {
        max_queue: 20,
        max_queue_bytes: 1000,
        max_abandoned: None,
        pipeline_budget: MS,
        max_concurrent: 3,
        select: Select::LeastLoaded,
    }
}

fn key(slot: u32) -> WorkerKey {
    WorkerKey { slot: SlotId(slot), generation: Generation(slot + 1) }
}

fn entry(job: u64, function: Function) -> Entry<u64> {
    Entry { job, function, affinity: None, deadline: None, order: job, size: 0, alone: false }
}

/// A core with workers in the slots below `workers`, whose function 0 takes `service`.
fn core(workers: u32, service: Duration) -> Core<u64> {
    let mut core = Core::new(limits());
    for slot in 0..workers {
        core.worker_up(key(slot), CAPACITY);
    }
    core.admit(entry(0, SYNC), Instant::now()).expect("there is room");
    for Dispatch { to, charge, .. } in dispatched(&mut core) {
        core.settled(to, SYNC, charge, Some(service));
    }
    core
}

fn admit(core: &mut Core<u64>, entries: impl IntoIterator<Item = Entry<u64>>) {
    for entry in entries {
        core.admit(entry, Instant::now()).expect("there is room");
    }
}

fn dispatched(core: &mut Core<u64>) -> Vec<Dispatch<u64>> {
    std::iter::from_fn(|| core.next_dispatch()).collect()
}

fn jobs(core: &mut Core<u64>) -> Vec<(u64, u32)> {
    dispatched(core).into_iter().map(|dispatch| (dispatch.job, dispatch.to.slot.0)).collect()
}

#[test]
fn a_worker_is_given_as_much_as_fits_the_budget_and_one_call_more() {
    let mut core = core(1, MS * 3 / 10);
    admit(&mut core, (1..10).map(|job| entry(job, SYNC)));
    assert_eq!(jobs(&mut core), [(1, 0), (2, 0), (3, 0), (4, 0)]);
    core.settled(key(0), SYNC, 300_000, None);
    assert_eq!(jobs(&mut core), [(5, 0)]);
}

#[test]
fn a_class_that_takes_longer_than_the_budget_goes_one_at_a_time_to_free_workers() {
    let mut core = core(2, MS * 20);
    admit(&mut core, (1..5).map(|job| entry(job, SYNC)));
    assert_eq!(jobs(&mut core).len(), 2);
    core.settled(key(1), SYNC, 20_000_000, Some(MS * 20));
    assert_eq!(jobs(&mut core), [(3, 1)]);
}

#[test]
fn overlapping_calls_are_bounded_by_their_number_and_let_others_pass() {
    let mut core = core(1, MS / 10);
    admit(&mut core, (1..6).map(|job| entry(job, ASYNC)));
    admit(&mut core, [entry(6, SYNC)]);
    assert_eq!(jobs(&mut core), [(1, 0), (2, 0), (3, 0), (6, 0)]);
    core.settled(key(0), ASYNC, 0, Some(MS));
    assert_eq!(jobs(&mut core), [(4, 0)]);
}

#[test]
fn a_stalled_worker_gets_nothing_until_it_goes_on() {
    let mut core = core(1, MS / 10);
    core.worker_stalled(key(0), true);
    admit(&mut core, [entry(1, SYNC)]);
    assert_eq!(jobs(&mut core), []);
    core.worker_stalled(key(0), false);
    assert_eq!(jobs(&mut core), [(1, 0)]);
}

#[test]
fn calls_come_back_to_their_places_whatever_the_order_of_their_return() {
    let mut core = core(1, MS);
    admit(&mut core, (1..8).map(|job| entry(job, SYNC)));
    assert_eq!(jobs(&mut core), [(1, 0)]);
    core.worker_down(key(0));
    core.worker_up(key(1), CAPACITY);
    assert_eq!(jobs(&mut core), [(2, 1)]);
    core.worker_down(key(1));
    assert!(core.requeue(vec![entry(2, SYNC)]).is_empty());
    assert!(core.requeue(vec![entry(1, SYNC)]).is_empty());
    core.worker_up(key(2), CAPACITY);
    for job in 1..8 {
        assert_eq!(jobs(&mut core), [(job, 2)]);
        core.settled(key(2), SYNC, BUDGET, Some(MS));
    }
}

#[test]
fn what_a_worker_says_after_it_is_down_changes_nothing() {
    let mut core = core(2, MS);
    admit(&mut core, [entry(1, SYNC)]);
    let gone = dispatched(&mut core)[0].to;
    core.worker_down(gone);
    core.settled(gone, SYNC, BUDGET, None);
    core.worker_stalled(gone, true);
    core.worker_draining(gone);
    core.worker_down(gone);
    assert_eq!((core.in_flight(), core.queued()), (0, 0));
}

#[test]
fn the_bound_counts_calls_that_wait_for_their_own_worker() {
    let mut core = core(1, MS);
    let bound = |job| Entry { affinity: Some(5), ..entry(job, SYNC) };
    let admitted = (1..30).filter(|&job| {
        let result = core.admit(bound(job), Instant::now());
        let _dispatched = jobs(&mut core);
        result.is_ok()
    });
    assert_eq!(admitted.count(), 21);
    assert!(core.is_full(0));
    core.worker_down(key(0));
    assert_eq!(core.queued(), 20);
}

#[test]
fn a_closed_door_refuses_and_gives_back_what_waits() {
    let now = Instant::now();
    let open = Availability::Open;
    let unavailable = Availability::Unavailable { retry_at: now + MS };
    let (draining, over) = (Availability::ShuttingDown, Availability::Stopped);
    let no = Some(Rejection::ShuttingDown);
    let not_now = Some(Rejection::Unavailable { retry_after: MS });
    // Availabilities that follow each other, how many calls the last one returns, and why the next
    // call is rejected.
    for (doors, back, refusal) in [
        (vec![open], 0, None),
        (vec![unavailable], 2, not_now),
        (vec![unavailable, open], 0, None),
        (vec![draining], 0, no),
        (vec![draining, open], 0, no),
        (vec![draining, unavailable], 2, no),
        (vec![draining, unavailable, open], 0, no),
        (vec![draining, over], 2, no),
        (vec![over], 2, no),
        (vec![over, open], 0, no),
        (vec![over, draining], 0, no),
        (vec![over, unavailable], 0, no),
        (vec![unavailable, draining], 0, no),
    ] {
        let mut core = core(0, MS);
        // The call that measures the function still waits, without a worker.
        admit(&mut core, [entry(1, SYNC)]);
        let returned = doors.iter().map(|&door| core.set_availability(door)).last();
        assert_eq!(returned.map(|jobs| jobs.len()), Some(back), "{doors:?}");
        assert_eq!(core.rejection(now), refusal, "{doors:?}");
        let takes =
            matches!(doors.last(), Some(&door) if door == open || door == draining) && doors[0] != over;
        let last_unavailable = doors.last() == Some(&unavailable) && doors[0] == draining;
        let back = core.requeue(vec![entry(7, SYNC)]).len();
        assert_eq!(back, usize::from(!takes && !last_unavailable), "{doors:?}");
    }
}

#[test]
fn sweep_takes_out_the_expired_and_the_abandoned_wherever_they_wait() {
    let now = Instant::now();
    let mut core = core(1, MS);
    let at = |job, ms| Entry { deadline: Some(now + MS * ms), ..entry(job, SYNC) };
    admit(&mut core, [entry(1, SYNC), at(2, 10), at(3, 30), Entry { function: ASYNC, ..at(4, 10) }]);
    admit(&mut core, [Entry { affinity: Some(1), ..at(5, 10) }, entry(6, SYNC)]);
    assert_eq!(jobs(&mut core), [(1, 0)]);
    assert_eq!(core.next_sweep(now + MS * 8), Some(now + MS * 10));
    assert_eq!(core.sweep(now + MS * 9, |_| false), []);
    let expired = CancelReason::DeadlinePassed;
    let mut swept = core.sweep(now + MS * 10, |&job| job == 6);
    swept.sort_unstable_by_key(|&(job, _)| job);
    assert_eq!(swept, [(2, expired), (4, expired), (5, expired), (6, CancelReason::Abandoned)]);
    assert_eq!(core.queued(), 1);
    assert_eq!(core.sweep(now + MS * 30, |_| false), [(3, expired)]);
    assert_eq!(core.next_sweep(now), None);
}

#[test]
fn the_queue_is_bounded_in_bytes_and_one_call_may_exceed_it() {
    let mut core = Core::new(limits());
    let sized = |job, size| Entry { size, ..entry(job, SYNC) };
    let now = Instant::now();
    let refused = |result| matches!(result, Err((_, Rejection::Overloaded { .. })));
    core.admit(sized(1, 5000), now).expect("nothing else waits");
    assert!(refused(core.admit(sized(2, 1), now)));
    core.worker_up(key(0), CAPACITY);
    assert_eq!(jobs(&mut core), [(1, 0)]);
    admit(&mut core, [sized(3, 600), sized(4, 400)]);
    assert!(refused(core.admit(sized(5, 1), now)));
    admit(&mut core, [sized(6, 0)]);
    assert_eq!(core.queued_bytes(), 1000);
    assert_eq!(core.set_availability(Availability::Stopped).len(), 3);
    assert_eq!(core.queued_bytes(), 0);
}

// A worker with the old code rejected the function as unknown, although others had it.
#[test]
fn calls_of_a_function_that_a_worker_lacks_go_to_others_and_wait_for_one_that_has_it() {
    let mut core = core(2, MS / 10);
    core.worker_lacks(key(0), FunctionId(0));
    admit(&mut core, (1..5).map(|job| entry(job, SYNC)));
    admit(&mut core, [Entry { affinity: Some(1), ..entry(5, SYNC) }]);
    assert_eq!(jobs(&mut core), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
    core.worker_lacks(key(1), FunctionId(0));
    let other = Function { id: FunctionId(1), overlapping: false };
    admit(&mut core, [entry(6, SYNC), entry(7, other)]);
    assert_eq!(jobs(&mut core), [(7, 0)]);
    core.worker_up(key(2), CAPACITY);
    assert_eq!(jobs(&mut core), [(6, 2)]);
}

// One client with a short deadline took all workers from the others.
#[test]
fn abandoned_calls_of_one_function_leave_a_worker_to_the_others() {
    let mut core = core(3, MS * 20);
    let other = Function { id: FunctionId(1), overlapping: false };
    admit(&mut core, (1..3).map(|job| entry(job, SYNC)));
    let stuck: Vec<u32> = jobs(&mut core).into_iter().map(|(_, slot)| slot).collect();
    for &slot in &stuck {
        core.worker_occupied(key(slot), Some(FunctionId(0)));
    }
    admit(&mut core, [entry(3, SYNC), entry(4, SYNC), entry(5, other)]);
    assert_eq!(jobs(&mut core).iter().map(|&(job, _)| job).collect::<Vec<_>>(), [5]);
    assert_eq!(core.queued(), 2);
    core.worker_occupied(key(stuck[0]), None);
    core.settled(key(stuck[0]), SYNC, 20_000_000, None);
    assert_eq!(jobs(&mut core), [(3, stuck[0])]);
}

// While workers were killed and replaced, one function took the last worker too.
#[test]
fn workers_that_were_killed_for_abandoned_calls_count_until_they_are_replaced() {
    let mut core = core(3, MS * 20);
    let other = Function { id: FunctionId(1), overlapping: false };
    admit(&mut core, (1..3).map(|job| entry(job, SYNC)));
    let (stuck, beside) = match jobs(&mut core)[..] {
        [(_, first), (_, second)] => (first, second),
        ref other => panic!("{other:?}"),
    };
    core.worker_killed(key(stuck), Some(FunctionId(0)));
    core.worker_down(key(stuck));
    // The second worker runs another call of the function. The third is left to other functions.
    admit(&mut core, [entry(3, SYNC), entry(4, other)]);
    let third = 3 - stuck - beside;
    assert_eq!(jobs(&mut core), [(4, third)]);
    core.settled(key(third), other, BUDGET, None);
    assert_eq!(jobs(&mut core), []);
    // No replacement is expected, so the function may use the remaining workers.
    core.not_replaced(SlotId(stuck));
    assert_eq!(jobs(&mut core), [(3, third)]);
}

#[test]
fn a_call_that_must_run_alone_has_its_worker_for_itself_and_the_others_go_on() {
    let mut core = core(2, MS / 10);
    admit(&mut core, (1..5).map(|job| entry(job, SYNC)));
    assert_eq!(jobs(&mut core), [(1, 1), (2, 0), (3, 1), (4, 0)]);
    assert!(core.requeue(vec![Entry { alone: true, ..entry(5, SYNC) }]).is_empty());
    admit(&mut core, (6..8).map(|job| entry(job, SYNC)));
    let charge = 100_000;
    // One worker gets no other calls until it is idle.
    let slots: Vec<u32> = jobs(&mut core).into_iter().map(|(_, slot)| slot).collect();
    assert_eq!((slots.len(), slots.iter().all(|slot| *slot == slots[0])), (2, true));
    let kept = 1 - slots[0];
    core.settled(key(kept), SYNC, charge, None);
    assert_eq!(jobs(&mut core), []);
    core.settled(key(kept), SYNC, charge, None);
    assert_eq!(jobs(&mut core), [(5, kept)]);
    admit(&mut core, [entry(8, SYNC)]);
    assert_eq!(jobs(&mut core), [(8, slots[0])]);
    core.settled(key(kept), SYNC, charge, None);
    admit(&mut core, [entry(9, SYNC)]);
    assert_eq!(jobs(&mut core), [(9, kept)]);
}

// It waited for the worker with the smallest backlog, whose coroutine took an hour, although
// another worker was idle.
#[test]
fn a_call_that_must_run_alone_goes_to_whichever_worker_is_idle_first() {
    let mut core = core(3, MS * 20);
    admit(&mut core, [entry(1, ASYNC), entry(2, SYNC), entry(3, SYNC)]);
    let slots: Vec<u32> = jobs(&mut core).into_iter().map(|(_, slot)| slot).collect();
    assert!(core.requeue(vec![Entry { alone: true, ..entry(4, SYNC) }]).is_empty());
    assert_eq!(jobs(&mut core), []);
    core.settled(key(slots[2]), SYNC, 20_000_000, None);
    assert_eq!(jobs(&mut core), [(4, slots[2])]);
    // The other worker is no longer reserved.
    admit(&mut core, [entry(5, SYNC)]);
    assert_eq!(jobs(&mut core), [(5, slots[0])]);
}

// Workers stalled one after another, and each time another worker was reserved, until none was
// left.
#[test]
fn calls_that_must_run_alone_take_one_worker_at_most() {
    let mut core = core(2, MS * 20);
    let alone = |job| Entry { alone: true, ..entry(job, SYNC) };
    assert!(core.requeue(vec![alone(1), alone(2)]).is_empty());
    admit(&mut core, [entry(3, SYNC)]);
    let taken = jobs(&mut core);
    assert_eq!(taken.iter().map(|&(job, _)| job).collect::<Vec<_>>(), [1, 3]);
    core.worker_stalled(key(taken[0].1), true);
    core.settled(key(taken[1].1), SYNC, 20_000_000, None);
    admit(&mut core, [entry(4, SYNC)]);
    assert_eq!(jobs(&mut core), [(4, taken[1].1)]);
    core.worker_down(key(taken[0].1));
    core.settled(key(taken[1].1), SYNC, 20_000_000, None);
    assert_eq!(jobs(&mut core), [(2, taken[1].1)]);
}

#[test]
fn a_call_that_must_run_alone_and_has_no_worker_holds_up_no_other() {
    let mut core = core(1, MS);
    core.worker_lacks(key(0), FunctionId(7));
    let lost = Function { id: FunctionId(7), overlapping: false };
    let alone = |job, function| Entry { alone: true, ..entry(job, function) };
    assert!(core.requeue(vec![alone(1, lost), alone(2, SYNC)]).is_empty());
    assert_eq!(jobs(&mut core), [(2, 0)]);
    core.settled(key(0), SYNC, BUDGET, None);
    admit(&mut core, [entry(3, SYNC)]);
    assert_eq!(jobs(&mut core), [(3, 0)]);
    core.worker_up(key(1), CAPACITY);
    assert_eq!(jobs(&mut core), [(1, 1)]);
}

#[derive(Clone, Debug)]
enum Op {
    Admit { function: u32, affinity: Option<u64>, timeout: Option<u32> },
    Dispatch,
    Settle { which: usize, service: u32 },
    GiveBack { which: usize },
    Up,
    Draining { which: usize },
    Down { which: usize },
    Stall { which: usize, stalled: bool },
    Lacks { which: usize, function: u32 },
    Occupied { which: usize, function: Option<u32> },
    Killed { which: usize, function: Option<u32> },
    NotReplaced { which: usize },
    Sweep { ms: u32 },
    Door { open: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let affinity = prop_oneof![3 => Just(None), 1 => (0..4_u64).prop_map(Some)];
    let timeout = prop_oneof![3 => Just(None), 1 => (0..50_u32).prop_map(Some)];
    let which = 0..100_usize;
    prop_oneof![
        8 => (0..4_u32, affinity, timeout)
            .prop_map(|(function, affinity, timeout)| Op::Admit { function, affinity, timeout }),
        4 => Just(Op::Dispatch),
        6 => (which.clone(), 0..3_000_000_u32).prop_map(|(which, service)| Op::Settle { which, service }),
        2 => which.clone().prop_map(|which| Op::GiveBack { which }),
        2 => Just(Op::Up),
        1 => which.clone().prop_map(|which| Op::Draining { which }),
        1 => which.clone().prop_map(|which| Op::Down { which }),
        2 => (which.clone(), any::<bool>()).prop_map(|(which, stalled)| Op::Stall { which, stalled }),
        1 => (which.clone(), 0..4_u32).prop_map(|(which, function)| Op::Lacks { which, function }),
        2 => (which.clone(), prop::option::of(0..4_u32))
            .prop_map(|(which, function)| Op::Occupied { which, function }),
        1 => (which.clone(), prop::option::of(0..4_u32)).prop_map(|(which, function)| Op::Killed { which, function }),
        1 => which.prop_map(|which| Op::NotReplaced { which }),
        2 => (0..20_u32).prop_map(|ms| Op::Sweep { ms }),
        1 => any::<bool>().prop_map(|open| Op::Door { open }),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Job {
    function: Function,
    affinity: Option<u64>,
    deadline: Option<Instant>,
    alone: bool,
    /// The worker that has it and its charge. `None` while it waits.
    at: Option<(WorkerKey, u32)>,
}

impl Job {
    fn entry(&self, id: u64) -> Entry<u64> {
        let Self { function, affinity, deadline, alone, .. } = *self;
        Entry { job: id, function, affinity, deadline, order: id, size: size(id), alone }
    }
}

/// The length of a call's arguments. Some exceed the bound of the whole queue.
fn size(job: u64) -> usize {
    usize::try_from(job * 37 % 290).expect("it is small") * if job % 20 == 7 { 10 } else { 1 }
}

#[derive(Clone, Debug, Default)]
struct Load {
    lacks: Vec<u32>,
    occupied_by: Option<u32>,
    /// The function of the latest call that is not overlapping.
    latest: Option<u32>,
    /// Whether it runs a call that must run alone.
    alone: bool,
    in_flight: u32,
    overlapping: u32,
    backlog: u64,
    stalled: bool,
    draining: bool,
}

/// The expected state, independent of the core.
struct World {
    core: Core<u64>,
    now: Instant,
    /// The calls that were admitted and have not ended.
    jobs: BTreeMap<u64, Job>,
    loads: BTreeMap<u32, Load>,
    /// The slots whose worker was killed for an abandoned call, and the function of that call.
    vacated: Vec<(u32, u32)>,
    next_job: u64,
    next_slot: u32,
}

impl World {
    fn new() -> Self {
        let (jobs, loads, vacated) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let now = Instant::now();
        Self { core: Core::new(limits()), now, jobs, loads, vacated, next_job: 0, next_slot: 0 }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Admit { function, affinity, timeout } => self.admit(function, affinity, timeout),
            Op::Dispatch => self.dispatch(),
            Op::Settle { which, service } => {
                if let Some((job, at, charge)) = self.flight(which) {
                    let function = self.release(job, at, charge);
                    let service = Duration::from_nanos(u64::from(service));
                    self.core.settled(at, function, charge, Some(service));
                    self.jobs.remove(&job);
                }
            }
            Op::GiveBack { which } => {
                if let Some((job, at, charge)) = self.flight(which) {
                    let function = self.release(job, at, charge);
                    self.core.settled(at, function, charge, None);
                    self.requeue(vec![job]);
                }
            }
            Op::Up => {
                self.core.worker_up(key(self.next_slot), CAPACITY);
                self.loads.insert(self.next_slot, Load::default());
                self.next_slot += 1;
            }
            Op::Draining { which } => {
                if let Some(slot) = self.slot(which) {
                    self.core.worker_draining(key(slot));
                    self.load(slot).draining = true;
                    self.vacated.retain(|&(vacated, _)| vacated != slot);
                }
            }
            Op::Down { which } => {
                if let Some(slot) = self.slot(which) {
                    self.loads.remove(&slot);
                    self.core.worker_down(key(slot));
                    let there = |job: &Job| job.at.is_some_and(|(at, _)| at == key(slot));
                    let back = self.jobs.iter().filter(|(_, job)| there(job)).map(|(&id, _)| id).collect();
                    self.requeue(back);
                }
            }
            Op::Stall { which, stalled } => {
                if let Some(slot) = self.slot(which) {
                    self.core.worker_stalled(key(slot), stalled);
                    self.load(slot).stalled = stalled;
                }
            }
            Op::Lacks { which, function } => {
                if let Some(slot) = self.slot(which) {
                    self.core.worker_lacks(key(slot), FunctionId(function));
                    self.load(slot).lacks.push(function);
                }
            }
            Op::Occupied { which, function } => {
                if let Some(slot) = self.slot(which) {
                    self.core.worker_occupied(key(slot), function.map(FunctionId));
                    self.load(slot).occupied_by = function;
                }
            }
            Op::Killed { which, function } => {
                if let Some(slot) = self.slot(which) {
                    self.core.worker_killed(key(slot), function.map(FunctionId));
                    if !std::mem::replace(&mut self.load(slot).draining, true) {
                        self.vacated.extend(function.map(|function| (slot, function)));
                    }
                }
            }
            Op::NotReplaced { which } => {
                if let Some(&(slot, _)) = self.vacated.get(which % self.vacated.len().max(1)) {
                    self.core.not_replaced(SlotId(slot));
                    self.vacated.retain(|&(vacated, _)| vacated != slot);
                }
            }
            Op::Sweep { ms } => {
                self.now += MS * ms;
                for (job, why) in self.core.sweep(self.now, |job| job % 17 == 16) {
                    let swept = self.jobs.remove(&job).expect("only what waits is swept");
                    assert!(swept.at.is_none());
                    assert!(
                        why == CancelReason::Abandoned || swept.deadline.is_some_and(|at| at <= self.now)
                    );
                }
                let late = |job: &Job| job.at.is_none() && job.deadline.is_some_and(|at| at <= self.now);
                assert!(!self.jobs.values().any(late), "an expired call was left");
            }
            Op::Door { open } => {
                let retry_at = self.now + MS;
                let door = if open { Availability::Open } else { Availability::Unavailable { retry_at } };
                for job in self.core.set_availability(door) {
                    assert!(self.jobs.remove(&job).expect("only what waits comes back").at.is_none());
                }
            }
        }
        self.check();
    }

    fn admit(&mut self, function: u32, affinity: Option<u64>, timeout: Option<u32>) {
        let function = Function { id: FunctionId(function), overlapping: function == 3 };
        let deadline = timeout.map(|ms| self.now + MS * ms);
        let job = self.next_job;
        self.next_job += 1;
        let (calls, bytes) = self.waiting();
        let full = calls >= 20 || (bytes > 0 && bytes + size(job) > 1000);
        assert_eq!(self.core.is_full(size(job)), full);
        let new = Job { function, affinity, deadline, alone: false, at: None };
        match self.core.admit(new.entry(job), self.now) {
            Ok(()) => {
                assert!(!full);
                self.jobs.insert(job, new);
            }
            Err((entry, Rejection::Overloaded { .. })) => assert!(full && entry.job == job),
            Err((entry, _)) => assert_eq!(entry.job, job),
        }
    }

    fn dispatch(&mut self) {
        while let Some(Dispatch { job, to, charge }) = self.core.next_dispatch() {
            let queued = self.jobs[&job];
            assert!(queued.at.is_none(), "call {job} goes to two workers");
            assert!(queued.alone || !self.is_held(queued.function.id.0));
            let load = self.load(to.slot.0);
            assert!(!load.draining && !load.stalled && load.in_flight < CAPACITY, "{load:?}");
            assert!(load.backlog < u64::from(BUDGET), "{load:?} is beyond the budget");
            assert!(!load.lacks.contains(&queued.function.id.0), "{load:?} has no such function");
            assert!(!load.alone, "{load:?} runs a call that must run alone");
            assert!(!queued.alone || load.in_flight == 0, "{load:?} is not idle");
            load.alone = queued.alone;
            assert!(!queued.function.overlapping || load.overlapping < 3, "{load:?}");
            load.in_flight += 1;
            load.overlapping += u32::from(queued.function.overlapping);
            load.backlog += u64::from(charge);
            if !queued.function.overlapping {
                load.latest = Some(queued.function.id.0);
            }
            let earlier = self.jobs.range(..job).find(|(_, other)| {
                other.at.is_none()
                    && other.function == queued.function
                    && other.affinity.is_none()
                    && !other.alone
            });
            assert!(
                queued.affinity.is_some() || queued.alone || earlier.is_none(),
                "{earlier:?} waits behind {job}"
            );
            self.jobs.get_mut(&job).expect("it was there").at = Some((to, charge));
        }
        let idle = |load: &Load| load.in_flight == 0 && !load.draining && !load.stalled;
        let waits = |job: &Job| {
            job.at.is_none() && (job.alone || job.affinity.is_none() && !self.is_held(job.function.id.0))
        };
        for job in self.jobs.values().filter(|job| waits(job)) {
            // A reserved worker may be idle because the call that must run alone has left the
            // queue.
            let kept = self.jobs.values().any(|job| job.alone && job.at.is_none());
            let mut able = self.loads.values().filter(|load| !load.lacks.contains(&job.function.id.0));
            assert!(kept || !able.any(idle), "an idle worker was given no call");
        }
        let all_idle = self.loads.values().all(|load| idle(load) && load.lacks.is_empty());
        let waiting = self.jobs.values().any(waits);
        assert!(!(waiting && all_idle && !self.loads.is_empty()), "idle workers were given no call");
    }

    fn is_held(&self, function: u32) -> bool {
        let serving: Vec<&Load> = self.loads.values().filter(|load| !load.draining).collect();
        let lacking = serving.iter().filter(|load| load.lacks.contains(&function)).count();
        let slots = serving.len() + self.vacated.len();
        let vacated = self.vacated.iter().filter(|&&(_, by)| by == function && slots > 2).count();
        let runs = |load: &Load| load.latest == Some(function) && load.in_flight > load.overlapping;
        let abandoned = |load: &Load| load.occupied_by == Some(function);
        let occupied = serving.iter().filter(|load| runs(load) || abandoned(load)).count();
        let limited = vacated > 0 || serving.iter().any(|load| abandoned(load));
        lacking == serving.len() || limited && vacated + occupied >= slots.saturating_sub(1).max(1)
    }

    /// How many calls wait, and how many bytes.
    fn waiting(&self) -> (usize, usize) {
        let waiting = self.jobs.iter().filter(|(_, job)| job.at.is_none());
        waiting.fold((0, 0), |(calls, bytes), (&id, _)| (calls + 1, bytes + size(id)))
    }

    fn check(&self) {
        let (waiting, bytes) = self.waiting();
        assert_eq!((self.core.queued(), self.core.queued_bytes()), (waiting, bytes));
        assert_eq!(self.core.in_flight(), self.jobs.len() - waiting);
        for (&slot, load) in &self.loads {
            assert_eq!(self.core.in_flight_of(key(slot)), load.in_flight);
        }
        assert_eq!(self.core.next_sweep(self.now).is_some(), waiting > 0);
    }

    fn requeue(&mut self, back: Vec<u64>) {
        let mut entries = Vec::new();
        for id in back {
            let job = self.jobs.get_mut(&id).expect("it is in flight");
            job.at = None;
            job.alone = id % 5 == 0;
            entries.push(job.entry(id));
        }
        for refused in self.core.requeue(entries) {
            self.jobs.remove(&refused);
        }
    }

    fn release(&mut self, job: u64, at: WorkerKey, charge: u32) -> Function {
        let function = self.jobs[&job].function;
        let load = self.load(at.slot.0);
        load.in_flight -= 1;
        load.overlapping -= u32::from(function.overlapping);
        load.backlog -= u64::from(charge);
        load.alone = false;
        function
    }

    fn load(&mut self, slot: u32) -> &mut Load {
        self.loads.get_mut(&slot).expect("the worker is up")
    }

    fn slot(&self, which: usize) -> Option<u32> {
        self.loads.keys().nth(which % self.loads.len().max(1)).copied()
    }

    fn flight(&self, which: usize) -> Option<(u64, WorkerKey, u32)> {
        let flights: Vec<_> =
            self.jobs.iter().filter_map(|(&id, job)| job.at.map(|(at, charge)| (id, at, charge))).collect();
        flights.get(which % flights.len().max(1)).copied()
    }

    /// While a worker serves and calls are admitted, every call ends.
    fn finish(&mut self) {
        self.apply(&Op::Door { open: true });
        self.apply(&Op::Up);
        let calls = self.jobs.len();
        for _ in 0..=calls {
            self.apply(&Op::Dispatch);
            self.apply(&Op::Settle { which: 0, service: 1000 });
            for which in 0..self.loads.len() {
                self.apply(&Op::Stall { which, stalled: false });
                self.apply(&Op::Occupied { which, function: None });
            }
            self.apply(&Op::NotReplaced { which: 0 });
        }
        assert!(self.jobs.is_empty(), "calls were lost: {:?}", self.jobs);
    }
}

proptest! {
    #[test]
    fn no_call_is_lost_or_given_out_twice_and_no_worker_gets_too_much(ops in prop::collection::vec(op(), 0..300)) {
        let mut world = World::new();
        for op in &ops {
            world.apply(op);
        }
        world.finish();
    }
}
