//! One simulated process. The main structure in this module is [`ScriptedLink`].

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::script::Log;
use super::{Execution, ScriptedBackend, ScriptedCall, ScriptedError, ScriptedExit, ScriptedReply, Then};
use crate::alarm::now;
use crate::backend::{KillReason, Link, LinkEvent, Phase, Unsent};
use crate::id::{CallId, ClassId, Generation, SlotId};

/// Replies are held back for this long while more calls run, as a worker does.
const FLUSH: Duration = Duration::from_micros(200);
/// From a kill to the end that the host hears of.
const REAP: Duration = Duration::from_millis(3);

type Event = LinkEvent<ScriptedBackend>;

/// What the process has of one call.
#[derive(Debug)]
struct Flight {
    call: ScriptedCall,
    phase: Phase,
    mark: Mark,
    /// When a running call ends by itself.
    ends: Option<Instant>,
    started: Instant,
    /// Its place in the log.
    entry: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
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

/// A process that runs its calls in simulated time; it is always exactly as far as the clock when
/// it is asked.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) slot: SlotId,
    pub(super) rss: Option<u64>,
    pub(super) lacks: Vec<ClassId>,
    generation: Generation,
    clock: Instant,
    life: Life,
    draining: bool,
    flights: HashMap<CallId, Flight>,
    /// Calls that go one after another and have not started.
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
            rss: None,
            lacks: Vec::new(),
            generation,
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

    /// Lives up to `now`.
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
            self.outbox.push_back(LinkEvent::Lost(exit));
            self.wake();
        }
    }

    fn next_step(&self) -> Option<Instant> {
        let running = self.running.iter().chain(&self.overlapping);
        running.filter_map(|id| self.flights[id].ends).chain(self.flush_at).min()
    }

    fn next_event(&self) -> Option<Instant> {
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
                self.gather(LinkEvent::Skipped(id));
            }
        }
        while self.running.is_none() && self.life == Life::Running {
            let Some(id) = self.lane.pop_front() else { break };
            if self.flights[&id].mark == Mark::None {
                self.running = Some(id);
                self.start(id);
            } else {
                self.gather(LinkEvent::Skipped(id));
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
                // Once: the process is looked at again.
                self.flights.get_mut(&id).expect("it was just there").ends = None;
                panic!("scripted");
            }
            if then == Then::Crash {
                self.die(ScriptedExit::Crashed, Duration::ZERO);
                return;
            }
            let service = Some(self.clock.saturating_duration_since(self.flights[&id].started));
            let reply = self.ended(id);
            let result = if then == Then::Raise { Err(ScriptedError::Raised) } else { Ok(reply) };
            self.gather(LinkEvent::Done { id, result, service });
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
                self.gather(LinkEvent::Interrupted(id));
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

    /// What was gathered and not sent dies with the process.
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
            self.gather(LinkEvent::Interrupted(id));
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

    pub(super) fn go_on(&mut self, now: Instant) {
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
        self.outbox.push_back(LinkEvent::Done { id, result: Ok(reply), service: None });
        self.wake();
    }

    fn mark(&mut self, id: CallId, mark: Mark) {
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

/// The connection to a simulated process.
#[derive(Debug)]
pub struct ScriptedLink {
    process: Rc<RefCell<Process>>,
    capacity: usize,
    sleep: Pin<Box<Sleep>>,
}

impl ScriptedLink {
    pub(super) fn new(process: Rc<RefCell<Process>>, capacity: usize) -> Self {
        Self { process, capacity, sleep: Box::pin(tokio::time::sleep(Duration::ZERO)) }
    }
}

impl Link<ScriptedBackend> for ScriptedLink {
    fn pid(&self) -> u32 {
        1000 + self.process.borrow().generation.0
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn send(
        &mut self,
        id: CallId,
        call: &ScriptedCall,
        _: Option<Instant>,
    ) -> Result<(), Unsent<ScriptedError>> {
        assert!(call.then != Then::PanicAtSend, "scripted");
        if call.then == Then::Unsendable {
            return Err(Unsent::Refused(ScriptedError::Refused));
        }
        let mut process = self.process.borrow_mut();
        if process.lacks.contains(&call.class.id) {
            return Err(Unsent::NoFunction);
        }
        process.advance(now());
        let (call, started) = (call.clone(), process.clock);
        let overlapping = call.class.overlapping;
        let flight = Flight { call, phase: Phase::Sent, mark: Mark::None, ends: None, started, entry: 0 };
        let twice = process.flights.insert(id, flight);
        assert!(twice.is_none(), "call {id} is in flight twice");
        if overlapping {
            process.fresh.push(id);
        } else {
            process.lane.push_back(id);
        }
        process.advance(now());
        process.wake();
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut process = self.process.borrow_mut();
        process.advance(now());
        if let Some(event) = process.outbox.pop_front() {
            if let Event::Done { id, .. } | Event::Skipped(id) | Event::Interrupted(id) = &event {
                process.flights.remove(id);
            }
            return Poll::Ready(event);
        }
        process.waker = Some(cx.waker().clone());
        if let Some(at) = process.next_event() {
            self.sleep.as_mut().reset(at.into());
            if self.sleep.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }

    fn phase(&self, id: CallId) -> Phase {
        let mut process = self.process.borrow_mut();
        process.advance(now());
        process.flights.get(&id).map_or(Phase::Finished, |flight| flight.phase)
    }

    fn cancel(&mut self, id: CallId) {
        self.process.borrow_mut().mark(id, Mark::Cancel);
    }

    fn revoke(&mut self, id: CallId) {
        self.process.borrow_mut().mark(id, Mark::Revoke);
    }

    fn drain(&mut self) {
        let mut process = self.process.borrow_mut();
        process.advance(now());
        process.draining = true;
        process.wake();
    }

    fn kill(&mut self, reason: KillReason) {
        self.process.borrow_mut().end(ScriptedExit::Killed(reason));
    }

    fn is_stopped(&self) -> bool {
        matches!(self.process.borrow().life, Life::Stopped { .. })
    }

    fn rss(&self) -> Option<u64> {
        self.process.borrow().rss
    }
}

impl Drop for ScriptedLink {
    fn drop(&mut self) {
        let mut process = self.process.borrow_mut();
        process.advance(now());
        process.life = Life::Dead;
    }
}
