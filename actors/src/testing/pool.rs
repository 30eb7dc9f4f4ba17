//! A pool of simulated processes. The main structure is [`ScriptedPool`].

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use actix::{Addr, MailboxError};

use super::backend::ScriptedBackend;
use super::call::{ScriptedCall, ScriptedError, ScriptedReply};
use super::script::Script;
use crate::restart::RestartConfig;
use crate::router::select::Select;
use crate::router::{Limits, Router};
use crate::supervisor::{Settings, Shutdown, Supervisor};
use crate::worker::{NewWorkers, Patience};

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
    /// Starts a pool whose launches take 10 ms. Calls have no default timeout.
    #[must_use]
    pub fn start(limits: Limits, settings: Settings) -> Self {
        Self::start_with(Script::new(), limits, settings)
    }

    /// Starts a pool whose launches go as `script` says.
    #[must_use]
    pub fn start_with(script: Script, limits: Limits, settings: Settings) -> Self {
        let backend = Rc::new(ScriptedBackend::new(script.clone()));
        let new_workers = NewWorkers::default();
        let router = Router::start(Rc::clone(&backend), new_workers.clone(), limits, None);
        let supervisor = Supervisor::start_with(backend, router.clone(), new_workers, settings);
        Self { router, supervisor, script }
    }

    /// Sends a call at once. The future resolves to its answer.
    ///
    /// # Panics
    /// The future panics if the router has stopped.
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
            // A supervisor that has stopped has shut down.
            Ok(()) | Err(MailboxError::Closed | MailboxError::Timeout) => {}
        }
    }
}

/// The default limits of a pool.
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

/// Settings with exact delays, a `kill_grace` of 500 ms, stalls after 10 ms, and no retirement.
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
