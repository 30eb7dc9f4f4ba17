//! The calls in flight of one worker and the stages of its life, without actors or clock. The main
//! structure is [`Core`].

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::action::Action;
use super::fate::{Fate, Part, Trial, decide};
use super::flight::{Ended, Flight, State};
use super::policy::Policy;
use crate::call::{CallStage, CallStatus, Function, Phase};
use crate::id::{CallId, FunctionId, WorkerKey};
use crate::reason::{KillReason, RetireReason};

/// How often calls in flight are swept.
const TICK: Duration = Duration::from_millis(5);
/// A process that runs nothing may stay silent about a cancelled call for this many times
/// `kill_grace`.
const SILENT_GRACES: u32 = 5;
/// How often a process is inspected from outside: its memory, and whether it is stopped.
const INSPECT: Duration = Duration::from_millis(250);

/// The stage of a worker's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It takes calls.
    Serving,
    /// It takes calls, and the supervisor was asked to replace its process.
    RetireRequested,
    /// The process was asked to finish its calls and exit.
    Draining,
    /// The process is being killed.
    Killed(KillReason),
    /// The process has ended. Calls that still arrive go back.
    Lost,
}

/// A call that was interrupted because its process ends. It is lost with the process.
#[derive(Debug)]
struct Interrupted<J> {
    job: J,
    function: FunctionId,
    sent: Instant,
    deadline: Option<Instant>,
}

/// The calls that one process has, and the stage of its life.
#[derive(Debug)]
pub struct Core<J> {
    policy: Policy,
    stage: Stage,
    flights: Vec<Option<Flight<J>>>,
    ids: Vec<CallId>,
    free: Vec<usize>,
    interrupted: Vec<Interrupted<J>>,
    next_deadline: Option<Instant>,
    order: u64,
    answered: u64,
    stalled: bool,
    /// The function of the abandoned call that occupies the process.
    abandoned: Option<FunctionId>,
    /// Since when the process runs nothing and is silent about a cancelled call.
    silent_since: Option<Instant>,
    stopped_since: Option<Instant>,
    inspect_at: Instant,
}

impl<J> Core<J> {
    /// A worker that serves, with an empty table of `capacity` places.
    #[must_use]
    pub fn new(capacity: usize, policy: Policy, now: Instant) -> Self {
        Self {
            policy,
            stage: Stage::Serving,
            flights: (0..capacity).map(|_| None).collect(),
            ids: (0..capacity).map(|index| CallId::new(index, 0)).collect(),
            free: (0..capacity).rev().collect(),
            interrupted: Vec::new(),
            next_deadline: None,
            order: 0,
            answered: 0,
            stalled: false,
            abandoned: None,
            silent_since: None,
            stopped_since: None,
            inspect_at: now + INSPECT,
        }
    }

    /// The id that the next call gets. `None` if the worker takes no call: the table is full, or
    /// the process is about to end.
    #[must_use]
    pub fn next_id(&self) -> Option<CallId> {
        match self.stage {
            Stage::Serving | Stage::RetireRequested => self.free.last().map(|&index| self.ids[index]),
            Stage::Draining | Stage::Killed(_) | Stage::Lost => None,
        }
    }

    /// Puts a call that was sent into the table, under [`Core::next_id`].
    ///
    /// # Panics
    /// If the table is full.
    pub fn sent(&mut self, job: J, function: Function, charge: u32, deadline: Option<Instant>, now: Instant) {
        let index = self.free.pop().expect("the router respects the capacity");
        if let Some(deadline) = deadline {
            self.next_deadline = Some(self.next_deadline.map_or(deadline, |next| next.min(deadline)));
        }
        let order = self.order;
        self.order += 1;
        self.flights[index] =
            Some(Flight { state: State::Live(job), sent: now, order, function, charge, deadline });
    }

    /// The process answered a call. `None` if it has no such call: the answer is late, or a second
    /// one.
    pub fn answered(&mut self, id: CallId) -> Option<Ended<J>> {
        let ended = self.take(id)?;
        self.answered += 1;
        Some(ended.into())
    }

    /// The process skipped a call that was cancelled or revoked. `None` if it has no such call.
    pub fn skipped(&mut self, id: CallId) -> Option<Ended<J>> {
        self.take(id).map(Into::into)
    }

    /// The process interrupted a call. `None` if it has no such call, or if the call was not
    /// cancelled: then the process ends, and the call keeps its place until it is lost. A drain
    /// waits for what becomes of it.
    pub fn interrupted(&mut self, id: CallId) -> Option<Ended<J>> {
        let flight = self.take(id)?;
        match flight.state {
            State::Live(job) => {
                let Flight { sent, deadline, .. } = flight;
                self.interrupted.push(Interrupted { job, function: flight.function.id, sent, deadline });
                None
            }
            State::Settled | State::Cancelled { .. } => Some(flight.into()),
        }
    }

    fn take(&mut self, id: CallId) -> Option<Flight<J>> {
        // An event proves that the process is running.
        self.stopped_since = None;
        let index = id.index();
        if self.ids.get(index) != Some(&id) {
            return None;
        }
        let flight = self.flights[index].take()?;
        self.ids[index] = id.next();
        self.free.push(index);
        self.silent_since = None;
        if !flight.function.overlapping {
            self.stalled = false;
        }
        if matches!(flight.state, State::Cancelled { .. }) {
            self.abandoned.take_if(|function| *function == flight.function.id);
        }
        Some(flight)
    }

    /// How many calls the process has.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.len() - self.free.len()
    }

    /// Whether a call takes so long that no call is sent behind it.
    #[must_use]
    pub const fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// The function of a cancelled call that still runs and blocks the calls behind it.
    #[must_use]
    pub const fn abandoned(&self) -> Option<FunctionId> {
        self.abandoned
    }

    /// Whether the process has ended.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        matches!(self.stage, Stage::Lost)
    }

    /// Whether the pool is killing the process because a call did not end or because it was
    /// stopped.
    #[must_use]
    pub const fn is_killed_by_host(&self) -> bool {
        matches!(self.stage, Stage::Killed(KillReason::Stuck | KillReason::Stopped))
    }

    /// The process is to drain. Returns whether to ask it.
    #[must_use]
    pub fn drain(&mut self) -> bool {
        let drains = matches!(self.stage, Stage::Serving | Stage::RetireRequested);
        if drains {
            self.stage = Stage::Draining;
        }
        drains
    }

    /// The process is to be killed. Returns whether to kill it.
    #[must_use]
    pub fn kill(&mut self, reason: KillReason) -> bool {
        let kills = !matches!(self.stage, Stage::Killed(_) | Stage::Lost);
        if kills {
            self.stage = Stage::Killed(reason);
        }
        kills
    }

    /// The process has answered some calls. Asks for its replacement if those were enough.
    pub fn check_calls(&mut self) -> Option<Action<J>> {
        let reached = self.policy.retire.max_calls.is_some_and(|max| self.answered >= max);
        reached.then(|| self.retire(RetireReason::MaxCalls)).flatten()
    }

    /// Inspects the process from outside, if that is due: whether it has been stopped for too long,
    /// is too old or has too much memory.
    pub fn inspect(
        &mut self,
        now: Instant,
        is_stopped: impl FnOnce() -> bool,
        rss: impl FnOnce() -> Option<u64>,
    ) -> Option<Action<J>> {
        if now < self.inspect_at {
            return None;
        }
        self.inspect_at = now + INSPECT;
        // An idle process may be stopped, unless it is to drain.
        let awaited = self.in_flight() > 0 || self.stage == Stage::Draining;
        if awaited && is_stopped() {
            let since = *self.stopped_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= self.policy.patience.kill_grace {
                return Some(Action::Kill(KillReason::Stopped));
            }
        } else {
            self.stopped_since = None;
        }
        let limits = self.policy.retire;
        if limits.at.is_some_and(|at| at <= now) {
            self.retire(RetireReason::MaxLifetime)
        } else if limits.max_rss.is_some_and(|max| rss().is_some_and(|rss| rss > max)) {
            self.retire(RetireReason::MaxRss)
        } else {
            None
        }
    }

    fn retire(&mut self, reason: RetireReason) -> Option<Action<J>> {
        (self.stage == Stage::Serving).then(|| {
            self.stage = Stage::RetireRequested;
            Action::Retire(reason)
        })
    }

    /// When [`Core::sweep`] and [`Core::inspect`] are due.
    #[must_use]
    pub fn next_wake(&self, now: Instant) -> Option<Instant> {
        let limits = &self.policy.retire;
        let inspects = match self.stage {
            Stage::Lost => return None,
            Stage::Serving => limits.at.is_some() || limits.max_rss.is_some(),
            Stage::Draining => true,
            Stage::RetireRequested | Stage::Killed(_) => false,
        };
        let inspection = (inspects || self.in_flight() > 0).then_some(self.inspect_at);
        let sweep = (self.in_flight() > 0)
            .then(|| self.next_deadline.map_or(now + TICK, |deadline| deadline.min(now + TICK)));
        let deadlines = self.interrupted.iter().filter_map(|call| call.deadline);
        let expiry = (!self.interrupted.is_empty()).then(|| deadlines.chain([now + TICK]).min()).flatten();
        [inspection, sweep, expiry].into_iter().flatten().min()
    }

    /// Examines all calls in flight: deadlines, abandoned callers, interrupts to repeat, stalls.
    pub fn sweep(
        &mut self,
        now: Instant,
        phase: impl Fn(CallId) -> Phase,
        is_abandoned: impl Fn(&J) -> bool,
    ) -> Vec<Action<J>> {
        let mut actions = Vec::new();
        let patience = self.policy.patience;
        let mut next_deadline: Option<Instant> = None;
        let mut sync_running = None;
        let mut overlapping = false;
        let (mut runs, mut awaited) = (false, false);
        self.abandoned = None;
        for (index, flight) in self.flights.iter_mut().enumerate() {
            let Some(flight) = flight else { continue };
            let id = self.ids[index];
            overlapping |= flight.function.overlapping;
            let running = phase(id) == Phase::Running;
            runs |= running;
            awaited |= matches!(flight.state, State::Cancelled { .. }) && !running;
            if !flight.function.overlapping && running {
                sync_running = Some(id);
                self.abandoned =
                    flight.ignores_interrupts(now, patience.kill_grace).then_some(flight.function.id);
            }
            if !flight.function.overlapping
                && now.saturating_duration_since(flight.sent) >= patience.stall_after
            {
                self.stalled = true;
            }
            if let Some(action) = flight.sweep(id, now, patience.kill_grace, &phase, &is_abandoned) {
                actions.push(action);
            }
            if let (State::Live(_), Some(deadline)) = (&flight.state, flight.deadline) {
                next_deadline = Some(next_deadline.map_or(deadline, |next| next.min(deadline)));
            }
        }
        self.next_deadline = next_deadline;
        if self.is_silent(awaited && !runs, now) {
            actions.push(Action::Kill(KillReason::Stuck));
        }
        if let Some(running) = sync_running.filter(|_| self.stalled && !overlapping) {
            let ids = self.unstarted(&phase);
            if !ids.is_empty() {
                actions.push(Action::Revoke { ids, running });
            }
        }
        // The process may take its time to end. The callers of what it interrupted wait no longer
        // than they would otherwise.
        let expired = |call: &Interrupted<J>| call.deadline.is_some_and(|deadline| deadline <= now);
        let ends = self.interrupted.extract_if(.., |call| is_abandoned(&call.job) || expired(call));
        actions.extend(ends.map(|call| Action::Expire(call.job)));
        actions
    }

    /// Whether the process has been silent for too long: it does not read, or its answers are no
    /// longer understood.
    fn is_silent(&mut self, silent: bool, now: Instant) -> bool {
        if !silent {
            self.silent_since = None;
            return false;
        }
        let since = *self.silent_since.get_or_insert(now);
        let longest = self.policy.patience.kill_grace.saturating_mul(SILENT_GRACES);
        now.saturating_duration_since(since) >= longest
    }

    /// After the calls of `Action::Revoke` were revoked: those that are certain not to start, in
    /// their order. The process keeps their places until it skips them.
    ///
    /// It is certain only if `running` still runs, so that the process cannot have started another
    /// call since before the revocation. Otherwise each call comes back when the process skips it.
    #[must_use]
    pub fn take_revoked(
        &mut self,
        ids: Vec<CallId>,
        running: CallId,
        phase: impl Fn(CallId) -> Phase,
    ) -> Vec<J> {
        if self.running(&phase) != Some(running) {
            return Vec::new();
        }
        let mut jobs = Vec::with_capacity(ids.len());
        for id in ids {
            let flight = self.flights[id.index()].as_mut().filter(|_| self.ids[id.index()] == id);
            let Some(flight) = flight.filter(|_| phase(id) == Phase::Sent) else { continue };
            match std::mem::replace(&mut flight.state, State::Settled) {
                State::Live(job) => jobs.push(job),
                other => flight.state = other,
            }
        }
        jobs
    }

    /// The calls that the process has, worker `key`, in no order. Since `progressed` it has ended
    /// no call.
    #[must_use]
    pub fn calls(
        &self,
        key: WorkerKey,
        (progressed, now): (Instant, Instant),
        phase: impl Fn(CallId) -> Phase,
        admitted: impl Fn(&J) -> Instant,
    ) -> Vec<CallStatus> {
        let status = |flight: &Flight<J>, id| flight.status(key, (progressed, now), phase(id), &admitted);
        let flights = self.flights.iter().zip(&self.ids);
        let flights = flights.filter_map(|(flight, &id)| Some(status(flight.as_ref()?, id)));
        let interrupted = self.interrupted.iter().map(|call| CallStatus {
            function: call.function,
            worker: Some(key),
            stage: CallStage::Cancelled,
            age: now.saturating_duration_since(admitted(&call.job)),
            running: Some(now.saturating_duration_since(call.sent)),
            left: call.deadline.map(|deadline| deadline.saturating_duration_since(now)),
        });
        flights.chain(interrupted).collect()
    }

    /// The call that runs and is not overlapping.
    fn running(&self, phase: impl Fn(CallId) -> Phase) -> Option<CallId> {
        let running = |&(index, flight): &(usize, &Option<Flight<J>>)| {
            flight.as_ref().is_some_and(|flight| !flight.function.overlapping)
                && phase(self.ids[index]) == Phase::Running
        };
        self.flights.iter().enumerate().find(running).map(|(index, _)| self.ids[index])
    }

    /// The calls that have not started in the process, in their order.
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

    /// The process has ended: empties the table. Returns the calls whose callers wait, in their
    /// order, and what becomes of each.
    #[must_use]
    pub fn lost(&mut self, phase: impl Fn(CallId) -> Phase, trial: impl Fn(&J) -> Trial) -> Vec<(J, Fate)> {
        // The pool knows why it killed the process, and that no call caused it. A call may have
        // stopped its own process, though.
        let explained = matches!(self.stage, Stage::Killed(reason) if reason != KillReason::Stopped);
        let mut lost = self.take_all(phase);
        if explained {
            lost.iter_mut().filter(|(_, part)| *part == Part::Suspect).for_each(|(_, part)| {
                *part = Part::Bystander;
            });
        }
        self.stage = Stage::Lost;
        let several = lost.iter().filter(|(_, part)| *part == Part::Suspect).count() > 1;
        let max_attempts = self.policy.max_attempts;
        let decided = |(job, part): (J, Part)| {
            let fate = decide(part, trial(&job), several, max_attempts);
            (job, fate)
        };
        lost.into_iter().map(decided).collect()
    }

    /// As [`Core::lost`], after a panic: the end of the process is not observed, so nothing is
    /// retried.
    #[must_use]
    pub fn lost_unobserved(&mut self, phase: impl Fn(CallId) -> Phase) -> Vec<(J, Fate)> {
        let lost = self.take_all(phase);
        self.stage = Stage::Lost;
        let fate = |part| if part == Part::NotStarted { Fate::Requeued } else { Fate::Lost };
        lost.into_iter().map(|(job, part)| (job, fate(part))).collect()
    }

    /// Takes out all calls whose callers wait: first those that were interrupted, then the others
    /// in their order.
    fn take_all(&mut self, phase: impl Fn(CallId) -> Phase) -> Vec<(J, Part)> {
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
        let interrupted = self.interrupted.drain(..).map(|call| (call.job, Part::Bystander));
        interrupted.chain(lost.into_iter().map(|(_, job, part)| (job, part))).collect()
    }
}
