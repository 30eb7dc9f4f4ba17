//! The backend of simulated processes. The main structure is [`ScriptedBackend`].

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix::Handler;
use futures::future::LocalBoxFuture;
use tokio::time::Sleep;

use super::call::{ScriptedCall, ScriptedError, ScriptedExit, ScriptedReply, Then};
use super::process::{Event, Mark, Process};
use super::script::{LaunchPlan, Script};
use crate::backend::{Backend, Link, LinkEvent, Outcome, Panic, Unsent};
use crate::call::{Function, Phase};
use crate::id::{CallId, FunctionId, Generation, SlotId};
use crate::reason::KillReason;
use crate::router::{Admission, Router};

/// Starts simulated processes, as its [`Script`] says.
#[derive(Debug)]
pub struct ScriptedBackend {
    script: Script,
}

impl ScriptedBackend {
    /// A backend whose processes `script` controls.
    #[must_use]
    pub const fn new(script: Script) -> Self {
        Self { script }
    }
}

impl Backend for ScriptedBackend {
    type Call = ScriptedCall;
    type Reply = ScriptedReply;
    type Error = ScriptedError;
    type Exit = ScriptedExit;
    type StartError = &'static str;
    type Link = ScriptedLink;

    fn resolve(&self, call: &ScriptedCall) -> Result<Function, ScriptedError> {
        match call.then {
            Then::Unknown => Err(ScriptedError::Rejected),
            Then::PanicAtAdmission => panic!("scripted"),
            _ if !self.script.knows(call.function.id) => Err(ScriptedError::Rejected),
            _ => Ok(call.function),
        }
    }

    fn launch(
        &self,
        slot: SlotId,
        generation: Generation,
    ) -> LocalBoxFuture<'static, Result<ScriptedLink, &'static str>> {
        let launch = self.script.next_launch(slot, generation);
        let script = self.script.clone();
        Box::pin(async move {
            match launch {
                Some(LaunchPlan { after, result, panics }) => {
                    tokio::time::sleep(after).await;
                    assert!(!panics, "scripted");
                    result.map(|()| ScriptedLink::new(script.start(slot, generation)))
                }
                None => std::future::pending().await,
            }
        })
    }

    fn kind(error: &ScriptedError) -> &'static str {
        match error {
            ScriptedError::Raised => "raised",
            ScriptedError::Rejected => "rejected",
            ScriptedError::Overloaded { .. } => "overloaded",
            ScriptedError::DeadlineExceeded { .. } => "deadline_exceeded",
            ScriptedError::WorkerLost { .. } => "worker_lost",
            ScriptedError::Quarantined { .. } => "quarantined",
            ScriptedError::Unavailable { .. } => "unavailable",
            ScriptedError::ShuttingDown => "shutting_down",
        }
    }

    fn crashed(_: &ScriptedExit) -> &'static str {
        "crashed"
    }

    fn stopped() -> &'static str {
        "stopped"
    }

    fn panicked(_: &Panic) -> &'static str {
        "panicked"
    }

    fn unobserved(_: u32) -> ScriptedExit {
        ScriptedExit::Unobserved
    }
}

impl From<Outcome<ScriptedBackend>> for ScriptedError {
    fn from(outcome: Outcome<ScriptedBackend>) -> Self {
        match outcome {
            Outcome::Overloaded { retry_after } => Self::Overloaded { retry_after },
            Outcome::DeadlineExceeded { started } => Self::DeadlineExceeded { started },
            Outcome::WorkerLost { exit } => Self::WorkerLost { exit },
            Outcome::Quarantined { attempts, exit } => Self::Quarantined { attempts, exit },
            Outcome::Unavailable { cause, retry_after } => Self::Unavailable { cause, retry_after },
            Outcome::ShuttingDown => Self::ShuttingDown,
        }
    }
}

impl Handler<ScriptedCall> for Router<ScriptedBackend> {
    type Result = Admission<ScriptedBackend>;

    fn handle(&mut self, call: ScriptedCall, _: &mut Self::Context) -> Self::Result {
        self.accept(call)
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
    fn new((process, capacity): (Rc<RefCell<Process>>, usize)) -> Self {
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
        function: FunctionId,
        call: &ScriptedCall,
        _: Option<Instant>,
    ) -> Result<(), Unsent<ScriptedError>> {
        assert!(call.then != Then::PanicAtSend, "scripted");
        if call.then == Then::Unsendable {
            return Err(Unsent::Rejected(ScriptedError::Rejected));
        }
        let mut process = self.process.borrow_mut();
        if process.lacks.contains(&function) {
            return Err(Unsent::NoFunction);
        }
        process.accept(id, call.clone());
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<LinkEvent<ScriptedBackend>> {
        let mut process = self.process.borrow_mut();
        if let Some(event) = process.next_report(cx.waker()) {
            return Poll::Ready(match event {
                Event::Done { id, reply, raised, service } => {
                    let result = if raised { Err(ScriptedError::Raised) } else { Ok(reply) };
                    LinkEvent::Done { id, result, service }
                }
                Event::Skipped(id) => LinkEvent::Skipped(id),
                Event::Interrupted(id) => LinkEvent::Interrupted(id),
                Event::Lost(exit) => LinkEvent::Lost(exit),
            });
        }
        if let Some(at) = process.next_event() {
            self.sleep.as_mut().reset(at.into());
            if self.sleep.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }

    fn phase(&self, id: CallId) -> Phase {
        self.process.borrow_mut().phase(id)
    }

    fn cancel(&mut self, id: CallId) {
        self.process.borrow_mut().mark(id, Mark::Cancel);
    }

    fn revoke(&mut self, id: CallId) {
        self.process.borrow_mut().mark(id, Mark::Revoke);
    }

    fn drain(&mut self) {
        self.process.borrow_mut().drain();
    }

    fn kill(&mut self, reason: KillReason) {
        self.process.borrow_mut().end(ScriptedExit::Killed(reason));
    }

    fn is_stopped(&self) -> bool {
        self.process.borrow().is_stopped()
    }

    fn rss(&self) -> Option<u64> {
        self.process.borrow().rss
    }
}

impl Drop for ScriptedLink {
    fn drop(&mut self) {
        self.process.borrow_mut().dropped();
    }
}
