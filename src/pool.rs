//! The handle of a pool. The main structure is [`Pool`].

mod actors;
mod future;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::Request;
use actix::{Context, Handler, MailboxError, Recipient};
use actix_pyproc_actors::Router;
#[cfg(feature = "http")]
use actix_pyproc_actors::router::GetAvailability;
use actix_pyproc_actors::router::{Admission, GetCounters, GetStatus};
use actix_pyproc_actors::supervisor::{
    AwaitReady, GetSlots, ReloadAll, ReplaceSlot, Resize, Shutdown, Subscribe,
};
pub use actix_pyproc_actors::{Generation, RetireReason, SlotId, WorkerKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use self::actors::Actors;
pub use self::actors::PoolAddr;
use self::future::call_span;
pub use self::future::{ReplyFuture, ValueFuture};
use crate::backend::PythonBackend;
use crate::backend::declared::Declared;
use crate::backend::failures::GetFailures;
use crate::call::Call;
use crate::config::{ActorThread, PoolConfig};
use crate::error::StartError;
#[cfg(feature = "fault-injection")]
use crate::fault::{DrawnFault, Fault, Hit, NotInjected};
use crate::status::journal::GetHistory;
#[cfg(feature = "http")]
use crate::status::journal::GetPanic;
#[cfg(any(feature = "http", feature = "metrics"))]
use crate::status::metrics::Measured;
#[cfg(feature = "http")]
use crate::status::{AdmissionState, Readiness};
use crate::status::{Observed, PoolStatus};
#[cfg(feature = "http")]
use crate::wire::function::Definitions;
pub use crate::wire::function::{
    ArgumentInfo, Binding, FunctionInfo, FunctionKind, ParameterInfo, ParameterKind,
};

/// Something that happened to a worker or to the pool, as an actor message.
pub type WorkerEvent = actix_pyproc_actors::WorkerEvent<PythonBackend>;

/// A supervised pool of Python processes.
///
/// This is a handle: clones are cheap, refer to the same pool, and can be used from any thread. If
/// the last one is dropped without [`Pool::shutdown`], the pool stops at once, and calls end with
/// [`CallError::ShuttingDown`](crate::CallError::ShuttingDown) or
/// [`CallError::WorkerLost`](crate::CallError::WorkerLost).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use actix_pyproc::{Call, Pool, PoolConfig};
/// use serde_json::json;
///
/// let pool = Pool::start(PoolConfig::new("worker.py").workers(4)).await?;
/// let reply = pool.send(Call::json("predict", &json!({"value": 42}))?).await??;
/// let out: serde_json::Value = reply.json()?;
/// let same: serde_json::Value = pool.call("predict", &json!({"value": 42})).await?;
/// assert_eq!(out, same);
/// pool.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    actors: Actors,
    config: Arc<PoolConfig>,
    /// Dropping it stops the thread of a pool that has its own.
    _thread: Option<oneshot::Sender<()>>,
}

impl Pool {
    /// Starts the workers, and resolves when all of them, or `min_ready` of them, are ready.
    ///
    /// The actors run on the current arbiter. They run on a thread of their own if the
    /// configuration says so, or if there is no current arbiter, as on a plain tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] as soon as a worker fails to start, with its exit status and the last lines
    /// of its standard error. No process is left running.
    pub async fn start(config: PoolConfig) -> Result<Self, StartError> {
        let config = Arc::new(config.checked()?);
        let here = config.thread == ActorThread::Current && actix_rt::Arbiter::try_current().is_some();
        let (actors, thread) = if here {
            let backend = PythonBackend::new(Arc::clone(&config)).await?;
            (Actors::start(backend, &config), None)
        } else {
            let (actors, hold) = Actors::start_on_own_thread(Arc::clone(&config)).await?;
            (actors, Some(hold))
        };
        let min_ready = u32::try_from(config.min_ready).ok().filter(|&n| n > 0);
        let pool = Self { shared: Arc::new(Shared { actors, config, _thread: thread }) };
        let ready = pool.shared.actors.supervisor.send(AwaitReady::new(min_ready)).await;
        match ready {
            Ok(Ok(())) => Ok(pool),
            Ok(Err(error)) => {
                pool.shutdown_within(Duration::ZERO).await;
                Err(error)
            }
            Err(MailboxError::Closed | MailboxError::Timeout) => Err(StartError::Stopped),
        }
    }

    /// Starts a pool without processes.
    #[cfg(feature = "testing")]
    pub(crate) fn start_fake(
        config: Arc<PoolConfig>,
        backend: impl FnOnce(Arc<PoolConfig>) -> PythonBackend + Send + 'static,
    ) -> Result<Self, StartError> {
        let here = config.thread == ActorThread::Current && actix_rt::Arbiter::try_current().is_some();
        let (actors, thread) = if here {
            (Actors::start(backend(Arc::clone(&config)), &config), None)
        } else {
            let (actors, hold) = Actors::start_fake_on_own_thread(Arc::clone(&config), backend)?;
            (actors, Some(hold))
        };
        Ok(Self { shared: Arc::new(Shared { actors, config, _thread: thread }) })
    }

    /// Sends a call as a plain actor message. The outer error reports that the pool's arbiter has
    /// stopped, the inner one how the call ended.
    ///
    /// Cancellation safety: dropping the future removes the call from the queue, or interrupts it
    /// if it runs.
    pub fn send(&self, call: Call) -> Request<Router<PythonBackend>, Call> {
        self.shared.actors.router.send(call)
    }

    /// Sends a call at once and resolves to its outcome. If the pool's arbiter has stopped, that is
    /// [`CallError::ShuttingDown`](crate::CallError::ShuttingDown).
    ///
    /// Each call is a [`tracing`] span, `pyproc::call` at level `debug`, inside the caller's span.
    /// Its fields are the function, the outcome, the worker and the service time. The span costs
    /// nothing while no subscriber enables that level.
    ///
    /// # Errors
    /// Any [`CallError`](crate::CallError): every call ends exactly once, and the value says how.
    pub fn request(&self, call: Call) -> ReplyFuture {
        let span = call_span(&call);
        ReplyFuture::new(span, self.send(call))
    }

    /// Calls a function with a JSON argument and decodes its JSON result. The call is sent at once,
    /// and the future borrows nothing.
    ///
    /// # Errors
    /// Any [`CallError`](crate::CallError); [`CallError::Decode`](crate::CallError::Decode) if the
    /// result is not a `T`.
    pub fn call<T: DeserializeOwned>(
        &self,
        function: impl Into<Cow<'static, str>>,
        argument: &(impl Serialize + ?Sized),
    ) -> ValueFuture<T> {
        ValueFuture::new(Call::json(function, argument).map(|call| self.request(call)))
    }

    /// The pool's address. [`Pool::send`] is `addr.send(call)`.
    #[must_use]
    pub fn addr(&self) -> PoolAddr {
        self.shared.actors.router.clone()
    }

    /// The pool as a `Recipient<Call>`, so that tests can substitute another actor.
    #[must_use]
    pub fn recipient(&self) -> Recipient<Call> {
        self.shared.actors.router.clone().recipient()
    }

    /// The configuration that the pool was started with.
    #[must_use]
    pub fn config(&self) -> &PoolConfig {
        &self.shared.config
    }

    /// The functions that the workers expose, as reported by the worker that became ready last.
    #[must_use]
    pub fn functions(&self) -> Arc<[FunctionInfo]> {
        self.shared.actors.backend.catalog()
    }

    /// The functions, and the JSON Schemas of their classes.
    #[cfg(feature = "http")]
    pub(crate) fn described(&self) -> (Arc<[FunctionInfo]>, Arc<Definitions>) {
        self.shared.actors.backend.described()
    }

    /// Checks that calls of these functions fit the worker that became ready last.
    pub(crate) fn check(&self, declared: &[Declared]) -> Result<(), StartError> {
        self.shared.actors.backend.check(declared)
    }

    /// Requires these functions of workers that start from now on.
    pub(crate) fn require(&self, declared: Vec<Declared>) {
        self.shared.actors.backend.require(declared);
    }

    /// The version of the Python interpreter, such as `3.11.7`; empty in a fake pool.
    #[must_use]
    pub fn python_version(&self) -> &str {
        self.shared.actors.backend.python_version()
    }

    /// A row per slot, counters since the start, and latency quantiles. Once the pool has shut down
    /// there are no rows, but the counters keep their last values.
    pub async fn status(&self) -> PoolStatus {
        self.look(true).await
    }

    /// The status; without texts and lists unless it is `whole`.
    async fn look(&self, whole: bool) -> PoolStatus {
        let Actors { router, supervisor, journal, backend } = &self.shared.actors;
        let calls = match whole {
            true => router.send(GetStatus).await,
            false => router.send(GetCounters).await,
        };
        let calls = calls.unwrap_or_default();
        let slots = supervisor.send(GetSlots::default()).await.unwrap_or_default();
        // Queried last, so that its history includes every event that the rows reflect.
        let history = journal.send(GetHistory { incidents: whole }).await.unwrap_or_default();
        let (mut failures, mut output) = (Vec::new(), Vec::new());
        if whole {
            failures = router.send(GetFailures).await.unwrap_or_default();
            output = backend.recent_output();
        }
        let names = backend.function_names();
        let cpu = slots.iter().map(|slot| backend.cpu_time(slot.slot, slot.pid)).collect();
        PoolStatus::new(calls, slots, history, Observed { names, failures, output, cpu })
    }

    /// The status, with what identifies the metrics of this pool.
    #[cfg(any(feature = "http", feature = "metrics"))]
    pub(crate) async fn measure(&self) -> Measured {
        let name = self.config().pool_name().into_owned();
        Measured { name, python: self.python_version().to_owned(), status: self.look(false).await }
    }

    /// What decides whether the pool is ready. Unlike the status it reads and copies little.
    #[cfg(feature = "http")]
    pub(crate) async fn readiness(&self) -> Readiness {
        let Actors { router, supervisor, .. } = &self.shared.actors;
        let availability = router.send(GetAvailability).await.unwrap_or_default();
        let slots = supervisor.send(GetSlots::default()).await.unwrap_or_default();
        Readiness {
            admission: AdmissionState::of(availability, false),
            serving: slots.iter().filter(|slot| slot.pid.is_some()).count(),
            workers: slots.len(),
            is_broken: self.panic().await.is_some(),
        }
    }

    /// The panic that broke the pool for good, if there was one.
    #[cfg(feature = "http")]
    pub(crate) async fn panic(&self) -> Option<String> {
        self.shared.actors.journal.send(GetPanic).await.unwrap_or_default()
    }

    /// Sends every future [`WorkerEvent`] to this recipient.
    pub async fn subscribe(&self, recipient: Recipient<WorkerEvent>) {
        // A pool that has shut down has no more events.
        let _ = self.shared.actors.supervisor.send(Subscribe(recipient)).await;
    }

    /// Replaces all workers one by one with new processes, which load the current code. Each new
    /// worker serves before the old one drains. Resolves when all are replaced.
    ///
    /// # Errors
    /// [`StartError`] if a new worker does not start. The workers that were not replaced yet keep
    /// serving.
    pub async fn reload(&self) -> Result<(), StartError> {
        started(self.shared.actors.supervisor.send(ReloadAll::default()).await)
    }

    /// Changes the number of workers. Workers that are removed finish their calls first.
    ///
    /// # Errors
    /// [`StartError::InvalidConfig`] if `workers` is not from 1 to 65,535, and nothing changes.
    /// Another [`StartError`] if a new worker does not start; the pool retries the start with
    /// the usual delays.
    pub async fn resize(&self, workers: u32) -> Result<(), StartError> {
        PoolConfig::clone(&self.shared.config).min_ready(0).workers(workers as usize).validate()?;
        started(self.shared.actors.supervisor.send(Resize::new(workers)).await)
    }

    /// Starts to replace the process of one slot, and does not wait for it: the new process serves
    /// before the old one drains. Returns `false` if the slot does not serve.
    pub async fn replace(&self, slot: impl Into<SlotId>) -> bool {
        self.shared.actors.supervisor.send(ReplaceSlot(slot.into())).await.unwrap_or(false)
    }

    /// Stops admitting calls, waits for the admitted ones to end, and stops the workers, within the
    /// configuration's `drain_timeout`.
    pub async fn shutdown(&self) {
        self.shutdown_within(self.shared.config.drain_timeout).await;
    }

    /// Shuts down like [`Pool::shutdown`], with another deadline. At the deadline, calls that still
    /// wait end with [`CallError::ShuttingDown`](crate::CallError::ShuttingDown), and workers that
    /// still run a call are killed.
    pub async fn shutdown_within(&self, deadline: Duration) {
        // A supervisor that does not answer has stopped already.
        let _ = self.shared.actors.supervisor.send(Shutdown { deadline }).await;
    }
}

#[cfg(feature = "fault-injection")]
impl Pool {
    /// Injects a fault into one worker; see [`Fault`]. It does not wait for the effect.
    ///
    /// # Errors
    /// [`NotInjected`] if no such worker serves, or the pool has stopped.
    pub async fn inject(&self, fault: impl Into<Fault>) -> Result<Hit, NotInjected> {
        match self.addr().send(fault.into()).await {
            Ok(result) => result,
            Err(MailboxError::Closed | MailboxError::Timeout) => Err(NotInjected::NoPool),
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the whole configuration: the environment of the workers may contain passwords.
        let PoolConfig { worker, workers, .. } = &*self.shared.config;
        f.debug_struct("Pool").field("worker", worker).field("workers", workers).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.actors.supervisor.do_send(Shutdown { deadline: Duration::ZERO });
    }
}

impl Handler<Call> for Router<PythonBackend> {
    type Result = Admission<PythonBackend>;

    fn handle(&mut self, call: Call, _: &mut Context<Self>) -> Self::Result {
        self.accept(call)
    }
}

#[cfg(feature = "fault-injection")]
impl Handler<Fault> for Router<PythonBackend> {
    type Result = Result<Hit, NotInjected>;

    fn handle(&mut self, fault: Fault, _: &mut Context<Self>) -> Self::Result {
        fault.inject(self.backend().handle().fault_targets(), fastrand::u32(..))
    }
}

#[cfg(feature = "fault-injection")]
impl Handler<DrawnFault> for Router<PythonBackend> {
    type Result = Result<Hit, NotInjected>;

    fn handle(&mut self, drawn: DrawnFault, _: &mut Context<Self>) -> Self::Result {
        drawn.fault.inject(self.backend().handle().fault_targets(), drawn.draw)
    }
}

fn started(result: Result<Result<(), StartError>, MailboxError>) -> Result<(), StartError> {
    match result {
        Ok(result) => result,
        Err(MailboxError::Closed | MailboxError::Timeout) => Err(StartError::Stopped),
    }
}
