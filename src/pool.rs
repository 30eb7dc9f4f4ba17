//! The pool as its users hold it. The main structure is [`Pool`].

mod future;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::Request;
use actix::{Actor as _, Addr, Context, Handler, MailboxError, Recipient};
use actix_pyproc_actors::router::core::Limits;
use actix_pyproc_actors::router::{Admission, GetStatus};
use actix_pyproc_actors::supervisor::{
    AwaitReady, GetSlots, ReloadAll, ReplaceSlot, Resize, Settings, Shutdown, Subscribe,
};
use actix_pyproc_actors::worker::core::Patience;
use actix_pyproc_actors::{Desks, Router, SlotId, Supervisor};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use self::future::call_span;
pub use self::future::{ReplyFuture, ValueFuture};
use crate::backend::PythonBackend;
use crate::journal::{GetHistory, Journal};
use crate::status::PoolStatus;
use crate::typed::Declared;
use crate::{ActorThread, Call, FunctionInfo, PoolConfig, StartError};

/// Where calls are sent: an actor that takes [`Call`] messages.
pub type PoolAddr = Addr<Router<PythonBackend>>;

/// Something that happened to a worker or to the pool, as an actor message.
pub type WorkerEvent = actix_pyproc_actors::WorkerEvent<PythonBackend>;

/// A call that runs longer than this many pipeline budgets stalls its worker: what waits behind it
/// goes elsewhere.
const STALL_BUDGETS: u32 = 10;

/// A supervised pool of Python processes.
///
/// It is a handle: clones are cheap, name the same pool, and can be used from any thread. When the
/// last one is dropped without [`Pool::shutdown`], the pool stops at once: calls end with
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
    /// Ends the thread of a pool that has one of its own, by being dropped.
    _thread: Option<oneshot::Sender<()>>,
}

/// What crosses threads of a pool.
#[derive(Clone)]
struct Actors {
    router: PoolAddr,
    supervisor: Addr<Supervisor<PythonBackend>>,
    journal: Addr<Journal>,
    backend: PythonBackend,
}

impl Pool {
    /// Starts the workers, and resolves when all of them (or `min_ready`) are ready.
    ///
    /// The actors run on the current arbiter, or on a thread of their own if the configuration says
    /// so or there is no arbiter here (a plain tokio runtime).
    ///
    /// # Errors
    /// [`StartError`] as soon as a worker fails to start, with its exit status and the last lines
    /// of its standard error. No process is left.
    pub async fn start(config: PoolConfig) -> Result<Self, StartError> {
        config.validate().map_err(StartError::from)?;
        let config = Arc::new(config);
        let here = config.thread == ActorThread::Current && actix_rt::Arbiter::try_current().is_some();
        let (actors, thread) = if here {
            let backend = PythonBackend::new(Arc::clone(&config)).await?;
            (Actors::start(backend, &config), None)
        } else {
            let (actors, hold) = on_own_thread(Arc::clone(&config)).await?;
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

    /// Sends a call, as the plain actor message that it is: the outer error says that the pool's
    /// arbiter is gone, the inner one how the call ended.
    ///
    /// Cancellation safety: dropping the future takes the call out of the queue, or interrupts it
    /// if it runs.
    pub fn send(&self, call: Call) -> Request<Router<PythonBackend>, Call> {
        self.shared.actors.router.send(call)
    }

    /// Sends a call at once, and resolves to how it ended; a pool whose arbiter is gone is
    /// [`CallError::ShuttingDown`](crate::CallError::ShuttingDown).
    ///
    /// Each call is a [`tracing`] span, `pyproc::call` at level `debug`, below the caller's own:
    /// with the function, how the call ended, which worker ran it and how long that took. It costs
    /// nothing while nobody listens to that level.
    ///
    /// # Errors
    /// Any [`CallError`](crate::CallError): every call ends exactly once, and the value says how.
    pub fn request(&self, call: Call) -> ReplyFuture {
        let span = call_span(&call);
        ReplyFuture::new(span, self.send(call))
    }

    /// Calls a function with a JSON argument and reads its JSON result. The call is sent at once,
    /// and the future holds on to nothing that was passed.
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

    /// The pool's address: `addr.send(call)` is what [`Pool::send`] does.
    #[must_use]
    pub fn addr(&self) -> PoolAddr {
        self.shared.actors.router.clone()
    }

    /// The pool as somebody who takes calls, for code that is to be tested with another one.
    #[must_use]
    pub fn recipient(&self) -> Recipient<Call> {
        self.shared.actors.router.clone().recipient()
    }

    /// The configuration that the pool was started with.
    #[must_use]
    pub fn config(&self) -> &PoolConfig {
        &self.shared.config
    }

    /// The functions that the workers expose, as the last worker to become ready named them.
    #[must_use]
    pub fn functions(&self) -> Arc<[FunctionInfo]> {
        self.shared.actors.backend.catalog()
    }

    /// Workers that start from now on must have these functions.
    pub(crate) fn require(&self, declared: Vec<Declared>) {
        self.shared.actors.backend.require(declared);
    }

    /// The version of the Python interpreter, such as `3.11.7`.
    #[must_use]
    pub fn python_version(&self) -> &str {
        self.shared.actors.backend.python_version()
    }

    /// A row per slot, counters since the start, and latency quantiles. Empty once the pool has
    /// shut down.
    pub async fn status(&self) -> PoolStatus {
        let Actors { router, supervisor, journal, backend } = &self.shared.actors;
        let calls = router.send(GetStatus).await.unwrap_or_default();
        let slots = supervisor.send(GetSlots::default()).await.unwrap_or_default();
        // Asked last, so that it has heard of all that the rows tell.
        let history = journal.send(GetHistory).await.unwrap_or_default();
        PoolStatus::new(calls, slots, history, backend.class_names())
    }

    /// Sends every [`WorkerEvent`] from now on to this recipient.
    pub async fn subscribe(&self, recipient: Recipient<WorkerEvent>) {
        // A pool that has shut down has no more events.
        let _ = self.shared.actors.supervisor.send(Subscribe(recipient)).await;
    }

    /// Replaces all workers one by one with ones that read the code anew; each new one serves
    /// before the old one drains.
    ///
    /// # Errors
    /// [`StartError`] if a new worker does not start: the old ones then stay.
    pub async fn reload(&self) -> Result<(), StartError> {
        started(self.shared.actors.supervisor.send(ReloadAll::default()).await)
    }

    /// Changes the number of workers. Those that go finish what they have.
    ///
    /// # Errors
    /// [`StartError::InvalidConfig`] if `workers` is not from 1 to 65,535, and nothing changes.
    /// Another [`StartError`] if a new worker does not start; it is tried again with the usual
    /// delays.
    pub async fn resize(&self, workers: u32) -> Result<(), StartError> {
        PoolConfig::clone(&self.shared.config).min_ready(0).workers(workers as usize).validate()?;
        started(self.shared.actors.supervisor.send(Resize::new(workers)).await)
    }

    /// Replaces the process of one slot; the new one serves before the old one drains. `false` if
    /// the slot does not serve.
    pub async fn replace(&self, slot: u32) -> bool {
        self.shared.actors.supervisor.send(ReplaceSlot(SlotId(slot))).await.unwrap_or(false)
    }

    /// Lets no more calls in, lets those that are in end, and stops the workers, within the
    /// configuration's `drain_timeout`.
    pub async fn shutdown(&self) {
        self.shutdown_within(self.shared.config.drain_timeout).await;
    }

    /// As [`Pool::shutdown`]; at the deadline what still waits ends with
    /// [`CallError::ShuttingDown`](crate::CallError::ShuttingDown), and what still runs is killed.
    pub async fn shutdown_within(&self, deadline: Duration) {
        // A supervisor that is gone has stopped.
        let _ = self.shared.actors.supervisor.send(Shutdown { deadline }).await;
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the whole configuration: the environment of workers can hold passwords.
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

impl Actors {
    /// Starts the actors on the current arbiter.
    fn start(backend: PythonBackend, config: &PoolConfig) -> Self {
        let shared = Rc::new(backend.clone());
        let desks = Desks::default();
        let router = Router::start(Rc::clone(&shared), desks.clone(), limits(config), config.call_timeout);
        let supervisor = Supervisor::start_with(shared, router.clone(), desks, settings(config));
        let journal = Journal::default().start();
        // No worker is ready before the current task yields, so it hears of each.
        supervisor.do_send(Subscribe(journal.clone().recipient()));
        Self { router, supervisor, journal, backend }
    }
}

/// Starts the actors on a thread of their own, which ends when the sender is dropped and the pool
/// has stopped.
async fn on_own_thread(config: Arc<PoolConfig>) -> Result<(Actors, oneshot::Sender<()>), StartError> {
    let (started_tx, started) = oneshot::channel();
    let (hold, held) = oneshot::channel::<()>();
    let run = move || {
        actix_rt::System::new().block_on(async move {
            let backend = match PythonBackend::new(Arc::clone(&config)).await {
                Ok(backend) => backend,
                Err(error) => {
                    // Whoever started the pool may have stopped waiting.
                    let _ = started_tx.send(Err(error));
                    return;
                }
            };
            let actors = Actors::start(backend, &config);
            let supervisor = actors.supervisor.clone();
            if started_tx.send(Ok(actors)).is_ok() {
                // Resolves with an error, when the last handle of the pool is dropped.
                let _ = held.await;
            }
            // A supervisor that is gone has stopped.
            let _ = supervisor.send(Shutdown { deadline: Duration::ZERO }).await;
        });
    };
    std::thread::Builder::new()
        .name("pyproc-actors".into())
        .spawn(run)
        .map_err(StartError::io("start the thread of the actors"))?;
    let actors = started.await.unwrap_or(Err(StartError::Stopped))?;
    Ok((actors, hold))
}

fn started(result: Result<Result<(), StartError>, MailboxError>) -> Result<(), StartError> {
    match result {
        Ok(result) => result,
        Err(MailboxError::Closed | MailboxError::Timeout) => Err(StartError::Stopped),
    }
}

fn limits(config: &PoolConfig) -> Limits {
    Limits {
        max_queue: config.max_queue,
        max_queue_bytes: config.max_queue_bytes,
        max_abandoned: Some(config.max_abandoned).filter(|&n| n > 0),
        pipeline_budget: config.pipeline_budget,
        max_concurrent: u32::try_from(config.max_concurrent).unwrap_or(u32::MAX),
        select: config.select,
    }
}

fn settings(config: &PoolConfig) -> Settings {
    Settings {
        workers: u32::try_from(config.workers).unwrap_or(u32::MAX),
        restart: config.restart.clone(),
        patience: Patience {
            kill_grace: config.kill_grace,
            stall_after: config.pipeline_budget.max(Duration::from_millis(1)).saturating_mul(STALL_BUDGETS),
        },
        max_attempts: config.max_attempts,
        max_calls: config.recycle.max_calls,
        max_lifetime: config.recycle.max_lifetime,
        max_rss: config.recycle.max_rss,
        retire_jitter: config.recycle.jitter,
        drain_timeout: config.drain_timeout,
        seed: fastrand::u64(..),
    }
}
