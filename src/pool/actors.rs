//! The actors of a pool, and the thread that they run on. The main structure is [`Actors`].

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor as _, Addr};
use actix_pyproc_actors::router::Limits;
use actix_pyproc_actors::supervisor::{Settings, Shutdown, Subscribe};
use actix_pyproc_actors::worker::Patience;
use actix_pyproc_actors::{NewWorkers, Router, Supervisor};
use tokio::sync::oneshot;

use crate::backend::{BackendHandle, PythonBackend};
use crate::config::PoolConfig;
use crate::error::StartError;
use crate::status::journal::Journal;

/// The address of a pool: the actor that accepts [`Call`](crate::Call) messages.
pub type PoolAddr = Addr<Router<PythonBackend>>;

/// A call that runs longer than this many pipeline budgets stalls its worker: the calls that wait
/// behind it are requeued for other workers.
const STALL_BUDGETS: u32 = 10;

/// The parts of a pool that can be sent to other threads.
#[derive(Clone)]
pub(super) struct Actors {
    pub(super) router: PoolAddr,
    pub(super) supervisor: Addr<Supervisor<PythonBackend>>,
    pub(super) journal: Addr<Journal>,
    pub(super) backend: BackendHandle,
}

impl Actors {
    /// Starts the actors on the current arbiter.
    pub(super) fn start(backend: PythonBackend, config: &PoolConfig) -> Self {
        let (handle, backend) = (backend.handle().clone(), Rc::new(backend));
        let new_workers = NewWorkers::default();
        let router =
            Router::start(Rc::clone(&backend), new_workers.clone(), limits(config), config.call_timeout);
        let supervisor = Supervisor::start_with(backend, router.clone(), new_workers, settings(config));
        let journal = Journal::new(handle.clone()).start();
        // No worker becomes ready before the current task yields, so the journal misses none.
        supervisor.do_send(Subscribe(journal.clone().recipient()));
        Self { router, supervisor, journal, backend: handle }
    }

    /// Starts the actors on a thread of their own, which ends when the sender is dropped and the
    /// pool has stopped.
    pub(super) async fn start_on_own_thread(
        config: Arc<PoolConfig>,
    ) -> Result<(Self, oneshot::Sender<()>), StartError> {
        let (started_tx, started) = oneshot::channel();
        let hold = hold_on_own_thread(move || async move {
            let backend = PythonBackend::new(Arc::clone(&config)).await;
            let started = backend.map(|backend| Actors::start(backend, &config));
            let actors = started.as_ref().ok().cloned();
            // The caller may have dropped the receiver, and with it the other end of the hold.
            let _ = started_tx.send(started);
            actors
        })?;
        let actors = started.await.unwrap_or(Err(StartError::Stopped))?;
        Ok((actors, hold))
    }

    /// As [`Actors::start_on_own_thread`], without processes. It waits for the thread, not for
    /// workers.
    #[cfg(feature = "testing")]
    pub(super) fn start_fake_on_own_thread(
        config: Arc<PoolConfig>,
        backend: impl FnOnce(Arc<PoolConfig>) -> PythonBackend + Send + 'static,
    ) -> Result<(Self, oneshot::Sender<()>), StartError> {
        let (started_tx, started) = std::sync::mpsc::channel();
        let hold = hold_on_own_thread(move || async move {
            let actors = Self::start(backend(Arc::clone(&config)), &config);
            // The receiver waits for it.
            let _ = started_tx.send(actors.clone());
            Some(actors)
        })?;
        Ok((started.recv().map_err(|_| StartError::Stopped)?, hold))
    }
}

/// Runs `start` on a new thread with an arbiter. The thread ends if it starts no actors, or when
/// the sender is dropped and the pool has stopped.
fn hold_on_own_thread<S, A>(start: S) -> Result<oneshot::Sender<()>, StartError>
where
    S: FnOnce() -> A + Send + 'static,
    A: Future<Output = Option<Actors>>,
{
    let (hold, held) = oneshot::channel::<()>();
    let run = move || {
        actix_rt::System::new().block_on(async move {
            let Some(Actors { supervisor, .. }) = start().await else { return };
            // Resolves with an error when the last handle of the pool is dropped.
            let _ = held.await;
            // A supervisor that does not answer has stopped already.
            let _ = supervisor.send(Shutdown { deadline: Duration::ZERO }).await;
        });
    };
    std::thread::Builder::new()
        .name("pyproc-actors".into())
        .spawn(run)
        .map_err(StartError::io("start the thread of the actors"))?;
    Ok(hold)
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
