//! Tables of events for the worker's core.

use std::cell::RefCell;
use std::collections::HashMap;

use super::*;
use crate::call::Deaths;
use crate::reason::CancelReason;
use crate::worker::policy::{Patience, RetireLimits};

const MS: Duration = Duration::from_millis(1);
const FUNCTION: Function = Function { id: FunctionId(0), overlapping: false };

struct Table {
    core: Core<&'static str>,
    phases: RefCell<HashMap<CallId, Phase>>,
    start: Instant,
}

impl Table {
    fn new() -> Self {
        let patience = Patience { kill_grace: MS * 100, stall_after: MS * 10 };
        let policy = Policy { patience, max_attempts: 3, retire: RetireLimits::default() };
        let start = Instant::now();
        Self { core: Core::new(4, policy, start), phases: RefCell::default(), start }
    }

    fn send(&mut self, name: &'static str, timeout: u32, at: u32) -> CallId {
        let id = self.core.next_id().expect("there is room");
        self.core.sent(name, FUNCTION, 1, Some(self.start + MS * timeout), self.start + MS * at);
        id
    }

    /// `None` if the table has no such call, `Some(None)` if its caller does not wait.
    fn ended(&mut self, id: CallId) -> Option<Option<&'static str>> {
        self.core.answered(id).map(|ended| ended.job)
    }

    fn phase(&self, id: CallId, phase: Phase) {
        self.phases.borrow_mut().insert(id, phase);
    }

    fn sweep(&mut self, at: u32) -> Vec<Action<&'static str>> {
        let phases = self.phases.borrow();
        let phase = |id| phases.get(&id).copied().unwrap_or(Phase::Sent);
        self.core.sweep(self.start + MS * at, phase, |job| *job == "gone")
    }
}

#[test]
fn a_second_or_late_reply_ends_no_other_call() {
    let mut table = Table::new();
    let first = table.send("a", 100, 0);
    assert_eq!(table.ended(first), Some(Some("a")));
    assert_eq!(table.ended(first), None);
    let second = table.send("b", 100, 0);
    assert_eq!(second.index(), first.index());
    assert_eq!(table.ended(first), None);
    assert_eq!(table.ended(CallId::new(1000, 0)), None);
    assert_eq!(table.ended(second), Some(Some("b")));
    assert_eq!(table.core.in_flight(), 0);
}

#[test]
fn a_call_past_its_deadline_is_ended_once_then_interrupted_then_its_process_killed() {
    let mut table = Table::new();
    let id = table.send("slow", 30, 0);
    table.phase(id, Phase::Running);
    assert_eq!(table.sweep(5), vec![]);
    assert_eq!(table.sweep(30), vec![Action::End { id, job: "slow", reason: CancelReason::DeadlinePassed }]);
    assert_eq!(table.sweep(35), vec![]);
    assert_eq!(table.sweep(50), vec![Action::Cancel(id)]);
    assert_eq!(table.sweep(130), vec![Action::Kill(KillReason::Stuck)]);
    assert_eq!(table.ended(id), Some(None));
}

#[test]
fn a_call_that_was_not_started_is_ended_without_a_kill() {
    let mut table = Table::new();
    let id = table.send("waiting", 30, 0);
    assert_eq!(
        table.sweep(31),
        vec![Action::End { id, job: "waiting", reason: CancelReason::DeadlinePassed }]
    );
    assert_eq!(table.sweep(1000), vec![]);
    table.phase(id, Phase::Running);
    assert_eq!(table.sweep(1010), vec![Action::Cancel(id)]);
    assert_eq!(table.sweep(1101), vec![Action::Kill(KillReason::Stuck)]);
}

#[test]
fn a_process_that_runs_nothing_and_says_nothing_of_a_cancelled_call_is_killed() {
    for silent in [Phase::Sent, Phase::Finished] {
        let mut table = Table::new();
        let id = table.send("late", 30, 0);
        table.phase(id, silent);
        assert_eq!(table.sweep(30).len(), 1);
        // A call that runs explains the silence, and an answer ends it.
        let other = table.send("runs", 9000, 30);
        table.phase(other, Phase::Running);
        assert_eq!(table.sweep(900), vec![]);
        assert_eq!(table.ended(other), Some(Some("runs")));
        assert_eq!((table.sweep(910), table.sweep(1400)), (vec![], vec![]));
        let other = table.send("quick", 9000, 1400);
        assert_eq!(table.ended(other), Some(Some("quick")));
        assert_eq!((table.sweep(1410), table.sweep(1909)), (vec![], vec![]));
        assert_eq!(table.sweep(1910), vec![Action::Kill(KillReason::Stuck)]);
    }
}

#[test]
fn a_caller_that_is_gone_ends_its_call() {
    let mut table = Table::new();
    let id = table.send("gone", 1000, 0);
    table.phase(id, Phase::Running);
    assert_eq!(table.sweep(5), vec![Action::End { id, job: "gone", reason: CancelReason::Abandoned }]);
}

#[test]
fn what_waits_behind_a_slow_call_is_revoked_in_order_and_taken_only_if_certain() {
    let mut table = Table::new();
    let head = table.send("head", 9000, 0);
    let second = table.send("second", 9000, 0);
    let third = table.send("third", 9000, 0);
    table.phase(head, Phase::Running);
    assert_eq!(table.sweep(5), vec![]);
    assert!(!table.core.is_stalled());
    assert_eq!(table.sweep(10), vec![Action::Revoke { ids: vec![second, third], running: head }]);
    assert!(table.core.is_stalled());
    let running = |id| if id == head { Phase::Running } else { Phase::Sent };
    let ids = || vec![second, third];
    let overtaken = |_| Phase::Sent;
    assert_eq!(table.core.take_revoked(ids(), head, overtaken), Vec::<&str>::new());
    assert_eq!(table.core.take_revoked(ids(), head, running), vec!["second", "third"]);
    assert_eq!(table.sweep(15), vec![]);
    assert_eq!(table.core.in_flight(), 3);
    assert_eq!(table.ended(head), Some(Some("head")));
    assert!(!table.core.is_stalled());
    assert_eq!(table.ended(second), Some(None));
}

#[test]
fn lost_calls_come_in_the_order_in_which_they_were_sent() {
    let mut table = Table::new();
    let a = table.send("a", 9000, 0);
    let b = table.send("b", 9000, 0);
    let _c = table.send("c", 9000, 0);
    assert_eq!(table.ended(a), Some(Some("a")));
    let _d = table.send("d", 9000, 0);
    table.phase(b, Phase::Finished);
    let phases = table.phases.borrow().clone();
    let lost = table.core.take_all(|id| phases.get(&id).copied().unwrap_or(Phase::Sent));
    assert_eq!(lost, vec![("b", Part::Suspect), ("c", Part::NotStarted), ("d", Part::NotStarted)]);
    assert_eq!(table.core.in_flight(), 0);
}

fn policy(retire: RetireLimits) -> Policy {
    let patience = Patience { kill_grace: MS * 100, stall_after: MS * 10 };
    Policy { patience, max_attempts: 3, retire }
}

fn idle(retire: RetireLimits, at: Instant) -> Core<&'static str> {
    Core::new(4, policy(retire), at)
}

fn trial(_: &&str) -> Trial {
    Trial { idempotent: true, deaths: Deaths::default() }
}

#[test]
fn the_stages_of_a_worker_follow_the_table() {
    type Step = fn(&mut Core<&'static str>) -> bool;
    let request: Step = |core| core.retire(RetireReason::MaxRss).is_some();
    let drain: Step = Core::drain;
    let kill: Step = |core| core.kill(KillReason::Shutdown);
    let stages: [(&str, &[Step]); 5] = [
        ("serving", &[]),
        ("retire requested", &[request]),
        ("draining", &[drain]),
        ("killed", &[kill]),
        ("lost", &[|core| core.lost(|_| Phase::Sent, trial).is_empty()]),
    ];
    // Whether a request, a drain and a kill have an effect, and whether the stage takes calls.
    let expected = [
        (true, true, true, true),
        (false, true, true, true),
        (false, false, true, false),
        (false, false, false, false),
        (false, false, false, false),
    ];
    for ((name, steps), row) in stages.into_iter().zip(expected) {
        let reached = || {
            let mut core = idle(RetireLimits::default(), Instant::now());
            steps.iter().for_each(|step| assert!(step(&mut core), "{name}"));
            core
        };
        let does = |step: Step| step(&mut reached());
        let found = (does(request), does(drain), does(kill), reached().next_id().is_some());
        assert_eq!(found, row, "{name}");
        assert_eq!(reached().is_lost(), name == "lost");
    }
}

#[test]
fn a_process_that_stays_stopped_while_it_has_calls_is_killed_after_the_grace() {
    let start = Instant::now();
    let inspect =
        |core: &mut Core<&'static str>, at: Duration, stopped| core.inspect(start + at, || stopped, || None);
    let mut core = idle(RetireLimits::default(), start);
    assert_eq!(inspect(&mut core, INSPECT, true), None, "it has nothing to do");
    assert_eq!(inspect(&mut core, INSPECT * 2, true), None);
    let id = core.next_id().expect("there is room");
    core.sent("a", FUNCTION, 1, None, start);
    assert_eq!(inspect(&mut core, INSPECT * 3, true), None);
    assert_eq!(inspect(&mut core, INSPECT * 3 + MS * 100, true), None, "the next look is not due");
    assert_eq!(core.skipped(CallId::new(3, 9)), None, "an event of an unknown call shows that it runs");
    assert_eq!(inspect(&mut core, INSPECT * 4, true), None);
    assert_eq!(inspect(&mut core, INSPECT * 5, false), None);
    assert_eq!(inspect(&mut core, INSPECT * 6, true), None);
    assert_eq!(inspect(&mut core, INSPECT * 7, true), Some(Action::Kill(KillReason::Stopped)));
    assert_eq!(core.answered(id).map(|ended| ended.job), Some(Some("a")));
    // A stopped process without calls is killed only if it is to drain.
    assert_eq!(inspect(&mut core, INSPECT * 8, true), None);
    assert!(core.drain());
    assert_eq!(inspect(&mut core, INSPECT * 9, true), None);
    assert_eq!(inspect(&mut core, INSPECT * 10, true), Some(Action::Kill(KillReason::Stopped)));
}

#[test]
fn each_limit_asks_for_a_replacement_once() {
    let start = Instant::now();
    let mut core = idle(RetireLimits { max_calls: Some(2), ..RetireLimits::default() }, start);
    for name in ["a", "b"] {
        assert_eq!(core.check_calls(), None);
        let id = core.next_id().expect("there is room");
        core.sent(name, FUNCTION, 1, None, start);
        assert!(core.answered(id).is_some());
    }
    assert_eq!(core.check_calls(), Some(Action::Retire(RetireReason::MaxCalls)));
    assert_eq!(core.check_calls(), None);
    let mut core = idle(RetireLimits { at: Some(start + INSPECT * 2), ..RetireLimits::default() }, start);
    assert_eq!(core.next_wake(start), Some(start + INSPECT));
    let inspect =
        |core: &mut Core<&'static str>, times, rss| core.inspect(start + INSPECT * times, || false, || rss);
    assert_eq!(inspect(&mut core, 1, None), None);
    assert_eq!(inspect(&mut core, 2, None), Some(Action::Retire(RetireReason::MaxLifetime)));
    assert_eq!(inspect(&mut core, 3, None), None);
    assert_eq!(core.next_wake(start), None);
    let mut core = idle(RetireLimits { max_rss: Some(10), ..RetireLimits::default() }, start);
    assert_eq!(inspect(&mut core, 1, None), None);
    assert_eq!(inspect(&mut core, 2, Some(10)), None);
    assert_eq!(inspect(&mut core, 3, Some(11)), Some(Action::Retire(RetireReason::MaxRss)));
}

#[test]
fn calls_of_a_process_that_died_are_blamed_unless_the_pool_knows_why_it_died() {
    let rows = [
        (None, 1),
        (Some(KillReason::Stopped), 1),
        (Some(KillReason::Stuck), 0),
        (Some(KillReason::DrainTimeout), 0),
        (Some(KillReason::Shutdown), 0),
    ];
    for (killed, suspected) in rows {
        let mut table = Table::new();
        let a = table.send("a", 9000, 0);
        let interrupted = table.send("interrupted", 9000, 0);
        table.send("waits", 9000, 0);
        assert_eq!(table.core.interrupted(interrupted), None, "it keeps its place");
        assert_eq!(table.core.interrupted(interrupted), None, "it is unknown now");
        if let Some(reason) = killed {
            assert!(table.core.kill(reason));
            assert_eq!(
                table.core.is_killed_by_host(),
                reason != KillReason::DrainTimeout && reason != KillReason::Shutdown
            );
        }
        let phase = |id| if id == a { Phase::Running } else { Phase::Sent };
        let retried = |suspected| Fate::Retried { deaths: Deaths { count: 1, suspected }, alone: false };
        let expected =
            vec![("interrupted", retried(0)), ("a", retried(suspected)), ("waits", Fate::Requeued)];
        assert_eq!(table.core.lost(phase, trial), expected, "{killed:?}");
        assert!(table.core.is_lost());
    }
}

#[test]
fn after_a_panic_nothing_is_retried() {
    let mut table = Table::new();
    let a = table.send("a", 9000, 0);
    table.send("waits", 9000, 0);
    let lost = table.core.lost_unobserved(|id| if id == a { Phase::Running } else { Phase::Sent });
    assert_eq!(lost, vec![("a", Fate::Lost), ("waits", Fate::Requeued)]);
}

#[test]
fn the_caller_of_an_interrupted_call_is_answered_at_the_deadline() {
    let mut table = Table::new();
    let id = table.send("a", 30, 0);
    assert_eq!(table.core.interrupted(id), None);
    let due = |table: &Table, at| table.core.next_wake(table.start + MS * at);
    assert_eq!(due(&table, 0), Some(table.start + TICK));
    assert_eq!(due(&table, 28), Some(table.start + MS * 30));
    assert_eq!(table.sweep(29), vec![]);
    assert_eq!(table.sweep(30), vec![Action::Expire("a")]);
    assert_eq!(table.core.lost(|_| Phase::Sent, trial), vec![]);
}
