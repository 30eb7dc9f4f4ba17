//! One simulated process. The main structure in this module is [`Process`].

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::call::{ScriptedCall, ScriptedExit, ScriptedReply, Then};
use crate::alarm::now;
use crate::call::Phase;
use crate::id::{CallId, FunctionId, Generation, SlotId};

/// How long replies are held back while more calls run, as a worker does.
const FLUSH: Duration = Duration::from_micros(200);
/// From a kill to the report of the end.
const REAP: Duration = Duration::from_millis(3);

/// What a process reports to its link.
#[derive(Debug)]
pub(super) enum Event {
    /// A call returned, or raised.
    Done { id: CallId, reply: ScriptedReply, raised: bool, service: Option<Duration> },
    /// A call did not start.
    Skipped(CallId),
    /// A call was interrupted.
    Interrupted(CallId),
    /// The process has ended.
    Lost(ScriptedExit),
}

impl Event {
    const fn call(&self) -> Option<CallId> {
        match self {
            Self::Done { id, .. } | Self::Skipped(id) | Self::Interrupted(id) => Some(*id),
            Self::Lost(_) => None,
        }
    }
}

/// A call whose function started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Which call.
    pub seq: u64,
    /// In which slot.
    pub slot: SlotId,
    /// In which process.
    pub generation: Generation,
    /// The id of the call in that process.
    pub call: CallId,
    /// When it started.
    pub start: Instant,
    /// When it ended. `None` while it runs, and if its process died of something else.
    pub end: Option<Instant>,
}

/// What simulated processes have executed.
pub(super) type Log = Rc<RefCell<Vec<Execution>>>;

/// A call in the process.
#[derive(Debug)]
struct Flight {
    call: ScriptedCall,
    phase: Phase,
    mark: Mark,
    /// When a running call ends by itself.
    ends: Option<Instant>,
    started: Instant,
    /// Its index in the log.
    entry: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    Cancel,
    Revoke,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    Stopped { since: Instant },
    Dying { exit: ScriptedExit, gone: Instant },
    Dead,
}

/// A process that runs its calls in simulated time. Whenever it is asked, it first advances to the
/// time of the clock.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) slot: SlotId,
    pub(super) generation: Generation,
    pub(super) rss: Option<u64>,
    pub(super) lacks: Vec<FunctionId>,
    clock: Instant,
    life: Life,
    draining: bool,
    flights: HashMap<CallId, Flight>,
    /// Calls that run one after another and have not started.
    lane: VecDeque<CallId>,
    /// Overlapping calls that have not started.
    fresh: Vec<CallId>,
    running: Option<CallId>,
    overlapping: Vec<CallId>,
    gathered: Vec<Event>,
    flush_at: Option<Instant>,
    outbox: VecDeque<Event>,
    log: Log,
    waker: Option<Waker>,
}

impl Process {
    pub(super) fn new(slot: SlotId, generation: Generation, now: Instant, log: Log) -> Self {
        Self {
            slot,
            generation,
            rss: None,
            lacks: Vec::new(),
            clock: now,
            life: Life::Running,
            draining: false,
            flights: HashMap::new(),
            lane: VecDeque::new(),
            fresh: Vec::new(),
            running: None,
            overlapping: Vec::new(),
            gathered: Vec::new(),
            flush_at: None,
            outbox: VecDeque::new(),
            log,
            waker: None,
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.life != Life::Dead
    }

    /// Runs until `now`.
    pub(super) fn advance(&mut self, now: Instant) {
        while self.life == Life::Running {
            self.interrupt();
            self.start_calls();
            match self.next_step() {
                Some(at) if self.life == Life::Running && at <= now => self.clock = at,
                _ => break,
            }
            self.finish_calls();
            if self.flush_at.is_some_and(|at| at <= self.clock) {
                self.flush();
            }
        }
        self.clock = self.clock.max(now);
        if let Life::Dying { exit, gone } = self.life
            && gone <= now
        {
            self.life = Life::Dead;
            self.outbox.push_back(Event::Lost(exit));
            self.wake();
        }
    }

    fn next_step(&self) -> Option<Instant> {
        let running = self.running.iter().chain(&self.overlapping);
        running.filter_map(|id| self.flights[id].ends).chain(self.flush_at).min()
    }

    /// When the process does something by itself next.
    pub(super) fn next_event(&self) -> Option<Instant> {
        match self.life {
            Life::Running => self.next_step(),
            Life::Dying { gone, .. } => Some(gone),
            Life::Stopped { .. } | Life::Dead => None,
        }
    }

    fn start_calls(&mut self) {
        for id in std::mem::take(&mut self.fresh) {
            if self.life != Life::Running {
                return;
            }
            if self.flights[&id].mark == Mark::None {
                self.overlapping.push(id);
                self.start(id);
            } else {
                self.gather(Event::Skipped(id));
            }
        }
        while self.running.is_none() && self.life == Life::Running {
            let Some(id) = self.lane.pop_front() else { break };
            if self.flights[&id].mark == Mark::None {
                self.running = Some(id);
                self.start(id);
            } else {
                self.gather(Event::Skipped(id));
            }
        }
        if self.running.is_none() && self.life == Life::Running {
            self.flush();
            if self.draining && self.overlapping.is_empty() {
                self.die(ScriptedExit::Drained, Duration::ZERO);
            }
        }
    }

    fn start(&mut self, id: CallId) {
        let (slot, generation, start) = (self.slot, self.generation, self.clock);
        let mut log = self.log.borrow_mut();
        let flight = self.flights.get_mut(&id).expect("a call that starts is in flight");
        flight.phase = Phase::Running;
        flight.started = start;
        flight.entry = log.len();
        flight.ends = match flight.call.then {
            Then::Hang | Then::Deaf => None,
            _ => Some(start + flight.call.service),
        };
        log.push(Execution { seq: flight.call.seq, slot, generation, call: id, start, end: None });
        let crashes = flight.call.then == Then::CrashAtStart;
        drop(log);
        if crashes {
            self.die(ScriptedExit::Crashed, Duration::ZERO);
        }
    }

    /// Ends the calls whose time has come.
    fn finish_calls(&mut self) {
        let running: Vec<CallId> = self.running.iter().chain(&self.overlapping).copied().collect();
        for id in running {
            if self.life != Life::Running || self.flights[&id].ends.is_none_or(|at| at > self.clock) {
                continue;
            }
            let then = self.flights[&id].call.then;
            if then == Then::PanicAtEnd {
                // It panics only once, because the process is polled again.
                self.flights.get_mut(&id).expect("a call that runs is in flight").ends = None;
                panic!("scripted");
            }
            if then == Then::Crash {
                self.die(ScriptedExit::Crashed, Duration::ZERO);
                return;
            }
            let service = Some(self.clock.saturating_duration_since(self.flights[&id].started));
            let reply = self.ended(id);
            self.gather(Event::Done { id, reply, raised: then == Then::Raise, service });
        }
    }

    fn ended(&mut self, id: CallId) -> ScriptedReply {
        let flight = self.flights.get_mut(&id).expect("a call that ends is in flight");
        flight.phase = Phase::Finished;
        flight.ends = None;
        self.log.borrow_mut()[flight.entry].end = Some(self.clock);
        let seq = flight.call.seq;
        self.running.take_if(|running| *running == id);
        self.overlapping.retain(|running| *running != id);
        ScriptedReply { seq, slot: self.slot, generation: self.generation, call: id, ended: self.clock }
    }

    fn interrupt(&mut self) {
        let running: Vec<CallId> = self.running.iter().chain(&self.overlapping).copied().collect();
        for id in running {
            let flight = &self.flights[&id];
            if flight.mark == Mark::Cancel && flight.call.then != Then::Deaf {
                self.ended(id);
                self.gather(Event::Interrupted(id));
            }
        }
    }

    fn gather(&mut self, event: Event) {
        self.gathered.push(event);
        self.flush_at.get_or_insert(self.clock + FLUSH);
    }

    fn flush(&mut self) {
        self.flush_at = None;
        if !self.gathered.is_empty() {
            self.outbox.extend(self.gathered.drain(..));
            self.wake();
        }
    }

    /// Replies that were gathered and not sent are lost.
    fn die(&mut self, exit: ScriptedExit, reap: Duration) {
        if matches!(self.life, Life::Running | Life::Stopped { .. }) {
            self.life = Life::Dying { exit, gone: self.clock + reap };
            self.wake();
        }
    }

    pub(super) fn end(&mut self, exit: ScriptedExit) {
        self.advance(now());
        self.die(exit, REAP);
    }

    pub(super) fn terminate(&mut self, after: Duration) {
        self.advance(now());
        for id in self.running.iter().chain(&self.overlapping).copied().collect::<Vec<_>>() {
            self.ended(id);
            self.gather(Event::Interrupted(id));
        }
        self.flush();
        self.die(ScriptedExit::Signalled, after);
    }

    pub(super) fn stop(&mut self, now: Instant) {
        self.advance(now);
        if self.life == Life::Running {
            self.life = Life::Stopped { since: now };
        }
    }

    pub(super) fn resume(&mut self, now: Instant) {
        let Life::Stopped { since } = self.life else { return };
        self.life = Life::Running;
        self.clock = now;
        let slept = now.saturating_duration_since(since);
        let ends = self.flights.values_mut().filter_map(|flight| flight.ends.as_mut());
        ends.chain(&mut self.flush_at).for_each(|at| *at += slept);
        self.wake();
    }

    pub(super) fn inject_reply(&mut self, id: CallId, now: Instant) {
        let (slot, generation) = (self.slot, self.generation);
        let reply = ScriptedReply { seq: u64::MAX, slot, generation, call: id, ended: now };
        self.outbox.push_back(Event::Done { id, reply, raised: false, service: None });
        self.wake();
    }

    /// Takes a call.
    pub(super) fn accept(&mut self, id: CallId, call: ScriptedCall) {
        self.advance(now());
        let (started, overlapping) = (self.clock, call.function.overlapping);
        let flight = Flight { call, phase: Phase::Sent, mark: Mark::None, ends: None, started, entry: 0 };
        let twice = self.flights.insert(id, flight);
        assert!(twice.is_none(), "call {id} is in flight twice");
        if overlapping {
            self.fresh.push(id);
        } else {
            self.lane.push_back(id);
        }
        self.advance(now());
        self.wake();
    }

    /// The next report. `waker` is woken when there may be one.
    pub(super) fn next_report(&mut self, waker: &Waker) -> Option<Event> {
        self.advance(now());
        let event = self.outbox.pop_front();
        match &event {
            Some(event) => {
                if let Some(id) = event.call() {
                    self.flights.remove(&id);
                }
            }
            None => self.waker = Some(waker.clone()),
        }
        event
    }

    pub(super) fn phase(&mut self, id: CallId) -> Phase {
        self.advance(now());
        self.flights.get(&id).map_or(Phase::Finished, |flight| flight.phase)
    }

    pub(super) fn drain(&mut self) {
        self.advance(now());
        self.draining = true;
        self.wake();
    }

    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.life, Life::Stopped { .. })
    }

    /// The link was dropped, which kills the process.
    pub(super) fn dropped(&mut self) {
        self.advance(now());
        self.life = Life::Dead;
    }

    pub(super) fn mark(&mut self, id: CallId, mark: Mark) {
        self.advance(now());
        let Some(flight) = self.flights.get_mut(&id) else { return };
        if mark == Mark::Cancel || (flight.phase == Phase::Sent && flight.mark == Mark::None) {
            flight.mark = mark;
            self.advance(now());
            self.wake();
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
