//! A backend whose processes are simulated in tokio's time, for tests without processes. The main
//! structure is [`ScriptedBackend`].
//!
//! Each [`ScriptedCall`] says itself how long it takes and how it ends, and a [`Script`] says how
//! launches go and makes processes fail. With `tokio::time::pause` a test of minutes takes
//! milliseconds, and its times are exact.
//!
//! ```
//! use std::time::Duration;
//!
//! use actix_pyproc_actors::testing::{limits, settings, ScriptedCall, ScriptedError, ScriptedPool, Then};
//!
//! # actix::System::new().block_on(async {
//! tokio::time::pause();
//! let pool = ScriptedPool::start(limits(), settings(2));
//! let call = ScriptedCall::new(7).takes(Duration::from_secs(60)).then(Then::Raise);
//! assert_eq!(pool.call(call).await.expect_err("it ends with an error"), ScriptedError::Raised);
//! assert_eq!(pool.script.executions().len(), 1);
//! pool.shutdown(Duration::from_secs(1)).await;
//! # });
//! ```

mod process;
mod script;

use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::{Addr, Handler, MailboxError, Message};
use futures::future::LocalBoxFuture;

pub use self::process::ScriptedLink;
pub use self::script::{Execution, Launch, Launched, Script};
use crate::backend::{Backend, Class, KillReason, Outcome, Panic, Request};
use crate::id::{CallId, ClassId, Generation, SlotId};
use crate::restart::RestartConfig;
use crate::router::core::Limits;
use crate::router::select::Select;
use crate::router::{Admission, Router};
use crate::supervisor::{Settings, Shutdown, Supervisor};
use crate::worker::Desks;
use crate::worker::core::Patience;

/// What a simulated call does at the end of its service time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// It returns.
    #[default]
    Reply,
    /// It raises: [`ScriptedError::Raised`].
    Raise,
    /// Its process dies.
    Crash,
    /// Its process dies as the call starts.
    CrashAtStart,
    /// It never ends by itself, only by an interrupt.
    Hang,
    /// It never ends by itself and ignores interrupts.
    Deaf,
    /// The backend refuses it at admission: [`ScriptedError::Refused`].
    Unknown,
    /// The process cannot take it: [`ScriptedError::Refused`].
    Unsendable,
    /// The backend panics at its admission.
    PanicAtAdmission,
    /// The link panics when it is sent.
    PanicAtSend,
    /// The link panics when it ends.
    PanicAtEnd,
}

/// A call that says how it will go.
#[derive(Clone, Debug)]
pub struct ScriptedCall {
    seq: u64,
    class: Class,
    service: Duration,
    then: Then,
    timeout: Option<Duration>,
    idempotent: bool,
    affinity: Option<u64>,
    size: usize,
}

impl ScriptedCall {
    /// A call of class 0 that returns at once. `seq` names it in the log of [`Script::executions`].
    #[must_use]
    pub const fn new(seq: u64) -> Self {
        Self {
            seq,
            class: Class { id: ClassId(0), overlapping: false },
            service: Duration::ZERO,
            then: Then::Reply,
            timeout: None,
            idempotent: false,
            affinity: None,
            size: 0,
        }
    }

    /// Its class, for the estimates.
    #[must_use]
    pub const fn class(mut self, class: u32) -> Self {
        self.class.id = ClassId(class);
        self
    }

    /// It runs beside others of its process.
    #[must_use]
    pub const fn overlapping(mut self) -> Self {
        self.class.overlapping = true;
        self
    }

    /// Its service time.
    #[must_use]
    pub const fn takes(mut self, service: Duration) -> Self {
        self.service = service;
        self
    }

    /// How it ends.
    #[must_use]
    pub const fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }

    /// How long its caller waits.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// It may run again.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The length of its arguments.
    #[must_use]
    pub const fn size(mut self, bytes: usize) -> Self {
        self.size = bytes;
        self
    }

    /// Calls with the same key go to the same worker.
    #[must_use]
    pub const fn affinity(mut self, key: u64) -> Self {
        self.affinity = Some(key);
        self
    }
}

impl Request for ScriptedCall {
    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn size(&self) -> usize {
        self.size
    }

    fn idempotent(&self) -> bool {
        self.idempotent
    }

    fn affinity(&self) -> Option<u64> {
        self.affinity
    }
}

impl Message for ScriptedCall {
    type Result = Result<ScriptedReply, ScriptedError>;
}

impl Handler<ScriptedCall> for Router<ScriptedBackend> {
    type Result = Admission<ScriptedBackend>;

    fn handle(&mut self, call: ScriptedCall, _: &mut Self::Context) -> Self::Result {
        self.accept(call)
    }
}

/// What a call that returned gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptedReply {
    /// Of which call.
    pub seq: u64,
    /// Where it ran.
    pub slot: SlotId,
    /// In which process of the slot.
    pub generation: Generation,
    /// Under which id.
    pub call: CallId,
    /// When it ended in the process; it is heard up to a millisecond later.
    pub ended: Instant,
}

/// What a call that did not return gives: as [`Outcome`], and two of the backend's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in Outcome")]
pub enum ScriptedError {
    /// By [`Then::Raise`].
    Raised,
    /// By [`Then::Unknown`] or [`Then::Unsendable`].
    Refused,
    Overloaded {
        retry_after: Duration,
    },
    DeadlineExceeded {
        started: bool,
    },
    WorkerLost {
        exit: ScriptedExit,
    },
    Quarantined {
        attempts: u32,
        exit: ScriptedExit,
    },
    Unavailable {
        cause: Option<&'static str>,
        retry_after: Duration,
    },
    ShuttingDown,
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

/// How a simulated process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptedExit {
    /// It was told to drain and had nothing left.
    Drained,
    /// A call crashed it.
    Crashed,
    /// The test killed it.
    Signalled,
    /// The actors killed it.
    Killed(KillReason),
    /// Its actor panicked.
    Unobserved,
}

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

    fn classify(&self, call: &ScriptedCall) -> Result<Class, ScriptedError> {
        match call.then {
            Then::Unknown => Err(ScriptedError::Refused),
            Then::PanicAtAdmission => panic!("scripted"),
            _ if !self.script.knows(call.class.id) => Err(ScriptedError::Refused),
            _ => Ok(call.class),
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
                Some(Launch { after, result, panics }) => {
                    tokio::time::sleep(after).await;
                    assert!(!panics, "scripted");
                    result.map(|()| script.started(slot, generation))
                }
                None => std::future::pending().await,
            }
        })
    }

    fn kind(error: &ScriptedError) -> &'static str {
        match error {
            ScriptedError::Raised => "raised",
            ScriptedError::Refused => "refused",
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

/// A router and a supervisor over simulated processes.
pub struct ScriptedPool {
    /// Takes the calls.
    pub router: Addr<Router<ScriptedBackend>>,
    /// Owns the workers.
    pub supervisor: Addr<Supervisor<ScriptedBackend>>,
    /// Controls the processes.
    pub script: Script,
}

impl ScriptedPool {
    /// Starts a pool whose launches take 10 ms. Calls have no time-out of their own accord.
    #[must_use]
    pub fn start(limits: Limits, settings: Settings) -> Self {
        Self::start_with(Script::new(), limits, settings)
    }

    /// Starts a pool whose launches go as `script` says.
    #[must_use]
    pub fn start_with(script: Script, limits: Limits, settings: Settings) -> Self {
        let backend = Rc::new(ScriptedBackend::new(script.clone()));
        let desks = Desks::default();
        let router = Router::start(Rc::clone(&backend), desks.clone(), limits, None);
        let supervisor = Supervisor::start_with(backend, router.clone(), desks, settings);
        Self { router, supervisor, script }
    }

    /// Sends a call now; the future is its answer.
    ///
    /// # Panics
    /// The future, if the router is gone.
    pub fn call(
        &self,
        call: ScriptedCall,
    ) -> impl Future<Output = Result<ScriptedReply, ScriptedError>> + use<> {
        let answer = self.router.send(call);
        async { answer.await.expect("the router lives") }
    }

    /// Shuts down, and gives up at the deadline.
    pub async fn shutdown(&self, deadline: Duration) {
        match self.supervisor.send(Shutdown { deadline }).await {
            // A supervisor that is gone has shut down.
            Ok(()) | Err(MailboxError::Closed | MailboxError::Timeout) => {}
        }
    }
}

/// The limits that a pool has by default.
#[must_use]
pub const fn limits() -> Limits {
    Limits {
        max_queue: 10_000,
        max_queue_bytes: usize::MAX,
        max_abandoned: None,
        pipeline_budget: Duration::from_millis(1),
        max_concurrent: 100,
        select: Select::LeastLoaded,
    }
}

/// Settings without jitter: exact delays, 500 ms of `kill_grace`, stalled after 10 ms, no
/// retirement.
#[must_use]
pub fn settings(workers: u32) -> Settings {
    Settings {
        workers,
        restart: RestartConfig { jitter: 0.0, ..RestartConfig::default() },
        patience: Patience { kill_grace: Duration::from_millis(500), stall_after: Duration::from_millis(10) },
        max_attempts: 3,
        max_calls: None,
        max_lifetime: None,
        max_rss: None,
        retire_jitter: 0.0,
        drain_timeout: Duration::from_secs(30),
        seed: 1,
    }
}
