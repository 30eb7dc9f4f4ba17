//! The in-flight table of one worker, without actors or clock. The main structure is [`Core`].

use std::time::{Duration, Instant};

use crate::backend::{Class, Phase};
use crate::id::{CallId, ClassId};

/// How often calls in flight are looked over.
pub(crate) const TICK: Duration = Duration::from_millis(5);
/// How often an interrupt is repeated until the call ends.
const REPEAT: Duration = Duration::from_millis(20);
/// How many graces a process may say nothing of a cancelled call while it runs none.
const SILENT_GRACES: u32 = 5;

/// What a worker may do.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the cancellation of a running call to the end of its process.
    pub kill_grace: Duration,
    /// A call that is sent or runs for this long stalls its worker: what waits behind it goes
    /// elsewhere.
    pub stall_after: Duration,
}

/// A call and what is known of it.
#[derive(Debug)]
struct Flight<J> {
    state: State<J>,
    sent: Instant,
    order: u64,
    class: Class,
    charge: u32,
    deadline: Option<Instant>,
}

/// A call that the process has done with.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended<J> {
    /// The call, if its caller still waits.
    pub job: Option<J>,
    /// Its class.
    pub class: Class,
    /// What the router counted it for.
    pub charge: u32,
    /// When it was sent to the process.
    pub sent: Instant,
}

#[derive(Debug)]
enum State<J> {
    /// Its caller waits.
    Live(J),
    /// Its caller has an answer, is gone, or has its answer from elsewhere; the process still has
    /// the call.
    Ended,
    /// As ended, and it is to stop: since when, and when the process was told last.
    Cancelled { since: Instant, told: Instant },
}

/// Why the actor is to end a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its deadline passed.
    Expired,
    /// Its caller is gone.
    Abandoned,
}

/// The part that a call had in the end of its process.
///
/// One thread runs all functions of a worker, so a function that runs one after another keeps every
/// coroutine of its worker suspended: those cannot have been the cause. Which of several coroutines
/// was at work cannot be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It had not started.
    NotStarted,
    /// It had started, and another call was at work.
    Bystander,
    /// It may have been the cause.
    Suspect,
}

/// What the actor is to do.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Action<J> {
    /// Cancel the call in the process, then answer the caller: what has not started once it is
    /// cancelled never does.
    End {
        /// The call.
        id: CallId,
        /// What the caller waits with.
        job: J,
        /// Why.
        why: End,
    },
    /// Cancel the call in the process once more.
    Cancel(CallId),
    /// Take back these calls if they have not started, and tell with [`Core::take_revoked`] which
    /// it were.
    Revoke(Vec<CallId>),
    /// Kill the process: a cancelled call did not end.
    Kill,
}

/// The calls that one process has.
#[derive(Debug)]
pub struct Core<J> {
    patience: Patience,
    flights: Vec<Option<Flight<J>>>,
    ids: Vec<CallId>,
    free: Vec<usize>,
    next_deadline: Option<Instant>,
    order: u64,
    stalled: bool,
    /// The function of the abandoned call that occupies the process.
    abandoned: Option<ClassId>,
    /// Since when the process runs nothing, and says nothing of a call that was cancelled.
    silent_since: Option<Instant>,
}

impl<J> Core<J> {
    /// An empty table of `capacity` places.
    #[must_use]
    pub fn new(capacity: usize, patience: Patience) -> Self {
        Self {
            patience,
            flights: (0..capacity).map(|_| None).collect(),
            ids: (0..capacity).map(|index| CallId::new(index, 0)).collect(),
            free: (0..capacity).rev().collect(),
            next_deadline: None,
            order: 0,
            stalled: false,
            abandoned: None,
            silent_since: None,
        }
    }

    /// The id that the next call would get; `None` if the table is full.
    #[must_use]
    pub fn next_id(&self) -> Option<CallId> {
        self.free.last().map(|&index| self.ids[index])
    }

    /// Puts a call that was sent into the table, under [`Core::next_id`].
    ///
    /// # Panics
    /// If the table is full.
    pub fn sent(&mut self, job: J, class: Class, charge: u32, deadline: Option<Instant>, now: Instant) {
        let index = self.free.pop().expect("the router respects the capacity");
        if let Some(deadline) = deadline {
            self.next_deadline = Some(self.next_deadline.map_or(deadline, |next| next.min(deadline)));
        }
        let order = self.order;
        self.order += 1;
        self.flights[index] =
            Some(Flight { state: State::Live(job), sent: now, order, class, charge, deadline });
    }

    /// The process has done with a call. `None` if it has no such call: an answer of an earlier
    /// life, or a second one.
    pub fn ended(&mut self, id: CallId) -> Option<Ended<J>> {
        let index = id.index();
        if self.ids.get(index) != Some(&id) {
            return None;
        }
        let flight = self.flights[index].take()?;
        self.ids[index] = id.next();
        self.free.push(index);
        self.silent_since = None;
        if !flight.class.overlapping {
            self.stalled = false;
        }
        let job = match flight.state {
            State::Live(job) => Some(job),
            State::Ended => None,
            State::Cancelled { .. } => {
                self.abandoned.take_if(|class| *class == flight.class.id);
                None
            }
        };
        Some(Ended { job, class: flight.class, charge: flight.charge, sent: flight.sent })
    }

    /// How many calls the process has.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.len() - self.free.len()
    }

    /// Whether a call takes so long that nothing should be sent behind it.
    #[must_use]
    pub const fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// The function of a call that was cancelled, still runs, and keeps all that would run after it
    /// from their turn.
    #[must_use]
    pub const fn abandoned(&self) -> Option<ClassId> {
        self.abandoned
    }

    /// When [`Core::sweep`] is due.
    #[must_use]
    pub fn next_sweep(&self, now: Instant) -> Option<Instant> {
        (self.in_flight() > 0)
            .then(|| self.next_deadline.map_or(now + TICK, |deadline| deadline.min(now + TICK)))
    }

    /// Looks over all calls in flight: deadlines, callers that are gone, interrupts to repeat,
    /// stalls.
    pub fn sweep(
        &mut self,
        now: Instant,
        phase: impl Fn(CallId) -> Phase,
        gone: impl Fn(&J) -> bool,
    ) -> Vec<Action<J>> {
        let mut actions = Vec::new();
        let mut next_deadline: Option<Instant> = None;
        let mut sync_running = None;
        let mut overlapping = false;
        let (mut runs, mut awaited) = (false, false);
        self.abandoned = None;
        for (index, flight) in self.flights.iter_mut().enumerate() {
            let Some(flight) = flight else { continue };
            let id = self.ids[index];
            overlapping |= flight.class.overlapping;
            let running = phase(id) == Phase::Running;
            runs |= running;
            awaited |= matches!(flight.state, State::Cancelled { .. }) && !running;
            if !flight.class.overlapping && running {
                sync_running = Some(id);
                self.abandoned =
                    flight.is_abandoned(now, self.patience.kill_grace).then_some(flight.class.id);
            }
            if !flight.class.overlapping
                && now.saturating_duration_since(flight.sent) >= self.patience.stall_after
            {
                self.stalled = true;
            }
            if let Some(action) = flight.judge(id, now, self.patience.kill_grace, &phase, &gone) {
                actions.push(action);
            }
            if let (State::Live(_), Some(deadline)) = (&flight.state, flight.deadline) {
                next_deadline = Some(next_deadline.map_or(deadline, |next| next.min(deadline)));
            }
        }
        self.next_deadline = next_deadline;
        if self.is_silent(awaited && !runs, now) {
            actions.push(Action::Kill);
        }
        if self.stalled && sync_running.is_some() && !overlapping {
            let behind = self.unstarted(&phase);
            if !behind.is_empty() {
                actions.push(Action::Revoke(behind));
            }
        }
        actions
    }

    /// Whether the process has been silent for too long: it does not read, or what it writes is not
    /// understood any more.
    fn is_silent(&mut self, silent: bool, now: Instant) -> bool {
        if !silent {
            self.silent_since = None;
            return false;
        }
        let since = *self.silent_since.get_or_insert(now);
        now.saturating_duration_since(since) >= self.patience.kill_grace.saturating_mul(SILENT_GRACES)
    }

    /// After [`Action::Revoke`] was done, the calls that are certain not to start, in their order;
    /// the process keeps their places until it skips them.
    ///
    /// `blocked` says that the process could not have started another call since before the
    /// revocation: a call that is not overlapping still runs, or the process is stopped. Without it
    /// nothing is certain, and each call comes back by itself when the process skips it.
    #[must_use]
    pub fn take_revoked(
        &mut self,
        ids: Vec<CallId>,
        blocked: bool,
        phase: impl Fn(CallId) -> Phase,
    ) -> Vec<J> {
        if !blocked {
            return Vec::new();
        }
        let mut jobs = Vec::with_capacity(ids.len());
        for id in ids {
            let flight = self.flights[id.index()].as_mut().filter(|_| self.ids[id.index()] == id);
            let Some(flight) = flight.filter(|_| phase(id) == Phase::Sent) else { continue };
            match std::mem::replace(&mut flight.state, State::Ended) {
                State::Live(job) => jobs.push(job),
                ended => flight.state = ended,
            }
        }
        jobs
    }

    /// The call that is not overlapping and runs, if there is one.
    #[must_use]
    pub fn running(&self, phase: impl Fn(CallId) -> Phase) -> Option<CallId> {
        let running = |&(index, flight): &(usize, &Option<Flight<J>>)| {
            flight.as_ref().is_some_and(|flight| !flight.class.overlapping)
                && phase(self.ids[index]) == Phase::Running
        };
        self.flights.iter().enumerate().find(running).map(|(index, _)| self.ids[index])
    }

    /// The calls that wait in the process, in their order.
    #[must_use]
    pub fn unstarted(&self, phase: impl Fn(CallId) -> Phase) -> Vec<CallId> {
        let waits = |flight: &Flight<J>| matches!(flight.state, State::Live(_));
        let mut waiting: Vec<(u64, CallId)> = (self.flights.iter().enumerate())
            .filter_map(|(index, flight)| {
                Some((flight.as_ref().filter(|flight| waits(flight))?.order, self.ids[index]))
            })
            .filter(|&(_, id)| phase(id) == Phase::Sent)
            .collect();
        waiting.sort_unstable_by_key(|&(order, _)| order);
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    /// Empties the table of a process that is gone: the calls whose callers wait, in their order,
    /// and the part of each in the end of the process.
    #[must_use]
    pub fn lost(&mut self, phase: impl Fn(CallId) -> Phase) -> Vec<(J, Part)> {
        let blocking = self.running(&phase);
        let phases = || self.flights.iter().zip(&self.ids).filter(|(flight, _)| flight.is_some());
        let any_running = phases().any(|(_, &id)| phase(id) == Phase::Running);
        let mut lost: Vec<(u64, J, Part)> = Vec::with_capacity(self.in_flight());
        for (index, flight) in self.flights.iter_mut().enumerate() {
            let id = self.ids[index];
            if let Some(Flight { state: State::Live(job), order, .. }) = flight.take() {
                let part = match phase(id) {
                    Phase::Sent => Part::NotStarted,
                    Phase::Running if blocking.is_none_or(|blocking| blocking == id) => Part::Suspect,
                    Phase::Finished if !any_running => Part::Suspect,
                    Phase::Running | Phase::Finished => Part::Bystander,
                };
                lost.push((order, job, part));
            }
        }
        self.free = (0..self.flights.len()).rev().collect();
        lost.sort_unstable_by_key(|&(order, ..)| order);
        lost.into_iter().map(|(_, job, part)| (job, part)).collect()
    }
}

impl<J> Flight<J> {
    /// Whether the call, which runs, has not answered to an interrupt.
    fn is_abandoned(&self, now: Instant, kill_grace: Duration) -> bool {
        let enough = REPEAT.min(kill_grace);
        matches!(self.state, State::Cancelled { since, .. } if now.saturating_duration_since(since) >= enough)
    }

    fn judge(
        &mut self,
        id: CallId,
        now: Instant,
        kill_grace: Duration,
        phase: &impl Fn(CallId) -> Phase,
        gone: &impl Fn(&J) -> bool,
    ) -> Option<Action<J>> {
        match &mut self.state {
            State::Live(job) => {
                let why = if gone(job) {
                    End::Abandoned
                } else if self.deadline.is_some_and(|deadline| deadline <= now) {
                    End::Expired
                } else {
                    return None;
                };
                let cancelled = State::Cancelled { since: now, told: now };
                let State::Live(job) = std::mem::replace(&mut self.state, cancelled) else { return None };
                Some(Action::End { id, job, why })
            }
            State::Cancelled { since, told } => {
                if phase(id) != Phase::Running {
                    // Skipped when its turn comes; the grace counts from its start, should it slip
                    // through.
                    *since = now;
                    return None;
                }
                if now.saturating_duration_since(*since) >= kill_grace {
                    return Some(Action::Kill);
                }
                let due = now.saturating_duration_since(*told) >= REPEAT;
                due.then(|| {
                    *told = now;
                    Action::Cancel(id)
                })
            }
            State::Ended => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use super::*;
    use crate::id::ClassId;

    const MS: Duration = Duration::from_millis(1);
    const CLASS: Class = Class { id: ClassId(0), overlapping: false };

    struct Table {
        core: Core<&'static str>,
        phases: RefCell<HashMap<CallId, Phase>>,
        start: Instant,
    }

    impl Table {
        fn new() -> Self {
            let patience = Patience { kill_grace: MS * 100, stall_after: MS * 10 };
            Self { core: Core::new(4, patience), phases: RefCell::default(), start: Instant::now() }
        }

        fn send(&mut self, name: &'static str, timeout: u32, at: u32) -> CallId {
            let id = self.core.next_id().expect("there is room");
            self.core.sent(name, CLASS, 1, Some(self.start + MS * timeout), self.start + MS * at);
            id
        }

        /// `None` if the table has no such call, `Some(None)` if nobody waits for it.
        fn ended(&mut self, id: CallId) -> Option<Option<&'static str>> {
            self.core.ended(id).map(|ended| ended.job)
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
        assert_eq!(table.sweep(30), vec![Action::End { id, job: "slow", why: End::Expired }]);
        assert_eq!(table.sweep(35), vec![]);
        assert_eq!(table.sweep(50), vec![Action::Cancel(id)]);
        assert_eq!(table.sweep(130), vec![Action::Kill]);
        assert_eq!(table.ended(id), Some(None));
    }

    #[test]
    fn a_call_that_was_not_started_is_ended_without_a_kill() {
        let mut table = Table::new();
        let id = table.send("waiting", 30, 0);
        assert_eq!(table.sweep(31), vec![Action::End { id, job: "waiting", why: End::Expired }]);
        assert_eq!(table.sweep(1000), vec![]);
        table.phase(id, Phase::Running);
        assert_eq!(table.sweep(1010), vec![Action::Cancel(id)]);
        assert_eq!(table.sweep(1101), vec![Action::Kill]);
    }

    #[test]
    fn a_process_that_runs_nothing_and_says_nothing_of_a_cancelled_call_is_killed() {
        for silent in [Phase::Sent, Phase::Finished] {
            let mut table = Table::new();
            let id = table.send("late", 30, 0);
            table.phase(id, silent);
            assert_eq!(table.sweep(30).len(), 1);
            // What runs explains the silence, and an answer ends it.
            let other = table.send("runs", 9000, 30);
            table.phase(other, Phase::Running);
            assert_eq!(table.sweep(900), vec![]);
            assert_eq!(table.ended(other), Some(Some("runs")));
            assert_eq!((table.sweep(910), table.sweep(1400)), (vec![], vec![]));
            let other = table.send("quick", 9000, 1400);
            assert_eq!(table.ended(other), Some(Some("quick")));
            assert_eq!((table.sweep(1410), table.sweep(1909)), (vec![], vec![]));
            assert_eq!(table.sweep(1910), vec![Action::Kill]);
        }
    }

    #[test]
    fn a_caller_that_is_gone_ends_its_call() {
        let mut table = Table::new();
        let id = table.send("gone", 1000, 0);
        table.phase(id, Phase::Running);
        assert_eq!(table.sweep(5), vec![Action::End { id, job: "gone", why: End::Abandoned }]);
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
        assert_eq!(table.sweep(10), vec![Action::Revoke(vec![second, third])]);
        assert!(table.core.is_stalled());
        let sent = |_| Phase::Sent;
        assert_eq!(table.core.take_revoked(vec![second, third], false, sent), Vec::<&str>::new());
        assert_eq!(table.core.take_revoked(vec![second, third], true, sent), vec!["second", "third"]);
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
        let lost = table.core.lost(|id| phases.get(&id).copied().unwrap_or(Phase::Sent));
        assert_eq!(lost, vec![("b", Part::Suspect), ("c", Part::NotStarted), ("d", Part::NotStarted)]);
        assert_eq!(table.core.in_flight(), 0);
    }
}
