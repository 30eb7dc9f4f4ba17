//! Workers that are a closure of a test, without a process. The main structure is [`FakeLink`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use actix_pyproc_actors::backend::{Link, LinkEvent, Unsent};
use actix_pyproc_actors::call::Phase;
use actix_pyproc_actors::id::{CallId, FunctionId, Generation, SlotId};
use actix_pyproc_actors::reason::KillReason;
use futures::future::{FutureExt as _, LocalBoxFuture};
use tokio::time::Instant;

use super::failures::Failures;
use super::{PythonBackend, PythonLink};
use crate::call::{Call, Reply};
use crate::error::{CallError, Exit, ExitCause, ExitStatus};

/// The answer of a call.
type Answer = LocalBoxFuture<'static, Result<Reply, CallError>>;

/// What the workers of a fake pool do with a call.
pub(crate) type Answers = Rc<RefCell<dyn FnMut(Call) -> Answer>>;

/// The process ids of fake workers begin here. No process has such an id, so a signal to one
/// reaches nobody.
const FIRST_PID: u32 = 1 << 30;

type Event = LinkEvent<PythonBackend>;

/// The link to a worker that is a process, or a closure. It must pass on every method of [`Link`],
/// also those that have a default.
#[derive(Debug)]
pub enum WorkerLink {
    /// A process.
    Process(Box<PythonLink>),
    /// A closure.
    Fake(FakeLink),
}

/// One fake worker. It runs its calls concurrently, as a worker does with `async def` functions.
pub struct FakeLink {
    slot: SlotId,
    pid: u32,
    capacity: usize,
    answers: Answers,
    failures: Rc<RefCell<Failures>>,
    flights: Vec<Flight>,
    events: VecDeque<Event>,
    draining: bool,
    exit: Option<Arc<Exit>>,
    /// The task that polls for events.
    waker: Option<Waker>,
}

/// A call that has no answer yet.
struct Flight {
    id: CallId,
    state: State,
}

enum State {
    Sent(Call),
    Running {
        since: Instant,
        answer: Answer,
    },
    /// The worker was killed while the call ran.
    Killed,
}

impl FakeLink {
    pub(super) fn new(
        slot: SlotId,
        generation: Generation,
        capacity: usize,
        answers: Answers,
        failures: Rc<RefCell<Failures>>,
    ) -> Self {
        Self {
            slot,
            pid: FIRST_PID + generation.0,
            capacity,
            answers,
            failures,
            flights: Vec::new(),
            events: VecDeque::new(),
            draining: false,
            exit: None,
            waker: None,
        }
    }

    /// Starts the calls that have arrived, and gathers the answers.
    fn run(&mut self, cx: &mut Context<'_>) {
        let (slot, pid, answers) = (self.slot, self.pid, &self.answers);
        let events = &mut self.events;
        self.flights.retain_mut(|flight| {
            let Some((result, service)) = flight.poll(answers, cx) else { return true };
            let result = result.map(|reply| reply.served(slot, pid, service));
            events.push_back(LinkEvent::Done { id: flight.id, result, service: Some(service) });
            false
        });
    }

    /// Takes out a call that is to end without an answer.
    fn take(&mut self, id: CallId, takes: impl Fn(&State) -> bool) -> Option<Flight> {
        let found = self.flights.iter().position(|flight| flight.id == id && takes(&flight.state))?;
        Some(self.flights.remove(found))
    }

    fn report(&mut self, event: Event) {
        self.events.push_back(event);
        self.wake();
    }

    fn end(&mut self, status: ExitStatus, cause: ExitCause) {
        self.exit = Some(Arc::new(Exit::new(self.pid, status, cause)));
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

impl Flight {
    fn poll(
        &mut self,
        answers: &Answers,
        cx: &mut Context<'_>,
    ) -> Option<(Result<Reply, CallError>, Duration)> {
        if let State::Sent(call) = &self.state {
            let (since, call) = (Instant::now(), call.clone());
            match caught(|| (*answers.borrow_mut())(call)) {
                Ok(answer) => self.state = State::Running { since, answer },
                Err(error) => return Some((Err(error), since.elapsed())),
            }
        }
        let State::Running { since, answer } = &mut self.state else { return None };
        match caught(|| answer.poll_unpin(cx)) {
            Ok(Poll::Pending) => None,
            Ok(Poll::Ready(result)) => Some((result, since.elapsed())),
            Err(error) => Some((Err(error), since.elapsed())),
        }
    }
}

/// Runs code of the test. A panic is what an exception is to a real worker.
fn caught<T>(run: impl FnOnce() -> T) -> Result<T, CallError> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("panicked");
        CallError::raised("panic", text)
    })
}

impl Link<PythonBackend> for FakeLink {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn send(
        &mut self,
        id: CallId,
        _: FunctionId,
        call: &Call,
        _: Option<std::time::Instant>,
    ) -> Result<(), Unsent<CallError>> {
        self.flights.push(Flight { id, state: State::Sent(call.clone()) });
        self.wake();
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if self.events.is_empty() && self.exit.is_none() {
            self.run(cx);
            if self.draining && self.flights.is_empty() {
                self.end(ExitStatus::Code(0), ExitCause::Drained);
            }
        }
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        if let Some(exit) = &self.exit {
            return Poll::Ready(LinkEvent::Lost(Arc::clone(exit)));
        }
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn phase(&self, id: CallId) -> Phase {
        match self.flights.iter().find(|flight| flight.id == id).map(|flight| &flight.state) {
            Some(State::Sent(_)) => Phase::Sent,
            Some(State::Running { .. } | State::Killed) => Phase::Running,
            None => Phase::Finished,
        }
    }

    fn cancel(&mut self, id: CallId) {
        self.revoke(id);
        if self.take(id, |state| matches!(state, State::Running { .. })).is_some() {
            self.report(LinkEvent::Interrupted(id));
        }
    }

    fn revoke(&mut self, id: CallId) {
        if self.take(id, |state| matches!(state, State::Sent(_))).is_some() {
            self.report(LinkEvent::Skipped(id));
        }
    }

    fn failed(&mut self, function: FunctionId, error: &CallError, now: std::time::Instant) {
        self.failures.borrow_mut().record(Some(function), error, now, SystemTime::now);
    }

    fn drain(&mut self) {
        self.draining = true;
        self.wake();
    }

    fn kill(&mut self, reason: KillReason) {
        if self.exit.is_some() {
            return;
        }
        for flight in &mut self.flights {
            if matches!(flight.state, State::Running { .. }) {
                flight.state = State::Killed;
            }
        }
        let cause = match reason {
            KillReason::Stuck => ExitCause::Stuck,
            KillReason::Stopped => ExitCause::Stopped,
            KillReason::DrainTimeout => ExitCause::DrainTimeout,
            KillReason::Shutdown => ExitCause::Shutdown,
        };
        self.end(ExitStatus::Signal { number: 9, core_dumped: false }, cause);
    }
}

/// Runs the same code on the link that is there.
macro_rules! either {
    ($self:ident, $link:ident => $run:expr) => {
        match $self {
            Self::Process($link) => $run,
            Self::Fake($link) => $run,
        }
    };
}

impl Link<PythonBackend> for WorkerLink {
    fn pid(&self) -> u32 {
        either!(self, link => link.pid())
    }

    fn capacity(&self) -> usize {
        either!(self, link => link.capacity())
    }

    fn send(
        &mut self,
        id: CallId,
        function: FunctionId,
        call: &Call,
        deadline: Option<std::time::Instant>,
    ) -> Result<(), Unsent<CallError>> {
        either!(self, link => link.send(id, function, call, deadline))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        either!(self, link => link.poll_flush(cx))
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        either!(self, link => link.poll_event(cx))
    }

    fn phase(&self, id: CallId) -> Phase {
        either!(self, link => link.phase(id))
    }

    fn cancel(&mut self, id: CallId) {
        either!(self, link => link.cancel(id));
    }

    fn failed(&mut self, function: FunctionId, error: &CallError, now: std::time::Instant) {
        either!(self, link => link.failed(function, error, now));
    }

    fn revoke(&mut self, id: CallId) {
        either!(self, link => link.revoke(id));
    }

    fn drain(&mut self) {
        either!(self, link => link.drain());
    }

    fn kill(&mut self, reason: KillReason) {
        either!(self, link => link.kill(reason));
    }

    fn is_stopped(&self) -> bool {
        either!(self, link => link.is_stopped())
    }

    fn rss(&self) -> Option<u64> {
        either!(self, link => link.rss())
    }
}

impl fmt::Debug for FakeLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeLink").field("slot", &self.slot).field("pid", &self.pid).finish_non_exhaustive()
    }
}
