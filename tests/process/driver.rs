//! Drives one worker process without the actors. The main structure is [`Driver`].
#![allow(dead_code, reason = "each test binary uses its part")]

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_pyproc::backend::{PythonBackend, WorkerLink};
use actix_pyproc::error::Exit;
use actix_pyproc::{Call, CallError, PoolConfig, Reply, StartError};
use actix_pyproc_actors::backend::{Backend as _, Link as _, LinkEvent};
use actix_pyproc_actors::call::Phase;
use actix_pyproc_actors::id::{CallId, Generation, SlotId};

use crate::support::{capped, fixture};

pub(crate) type Event = LinkEvent<PythonBackend>;

/// A worker, and the id of its next call.
pub(crate) struct Driver {
    pub(crate) backend: PythonBackend,
    pub(crate) link: WorkerLink,
    next: u32,
}

/// The default configuration with a fixture.
pub(crate) fn worker(name: &str) -> PoolConfig {
    PoolConfig::new(fixture(name))
}

/// The error of `PythonBackend::new` or of the first launch.
pub(crate) async fn start_error(config: PoolConfig) -> StartError {
    let started = capped("the start", async {
        let backend = PythonBackend::new(Arc::new(config)).await?;
        backend.launch(SlotId(0), Generation(1)).await
    });
    match started.await {
        Ok(link) => panic!("{link:?} started"),
        Err(error) => error,
    }
}

impl Driver {
    pub(crate) async fn start(config: PoolConfig) -> Self {
        let backend =
            capped("the probe", PythonBackend::new(Arc::new(config))).await.expect("Python is installed");
        let link = backend.launch(SlotId(0), Generation(1));
        let link = capped("the launch", link).await.expect("the worker starts");
        Self { backend, link, next: 0 }
    }

    /// Starts the fixture that most tests use.
    pub(crate) async fn basic() -> Self {
        Self::start(worker("basic.py")).await
    }

    pub(crate) fn send(&mut self, call: &Call) -> CallId {
        self.send_until(call, None)
    }

    pub(crate) fn send_until(&mut self, call: &Call, deadline: Option<Instant>) -> CallId {
        let id = CallId::new(self.next as usize % CallId::MAX_INDEX, self.next / CallId::MAX_INDEX as u32);
        self.next += 1;
        let function = self.backend.resolve(call).expect("the call is admitted");
        self.link.send(id, function.id, call, deadline).expect("the worker has the function");
        id
    }

    pub(crate) async fn event(&mut self) -> Event {
        let link = &mut self.link;
        let event = poll_fn(|cx| {
            let _ = link.poll_flush(cx);
            link.poll_event(cx)
        });
        capped("an event", event).await
    }

    pub(crate) async fn done(&mut self) -> (CallId, Result<Reply, CallError>) {
        match self.event().await {
            LinkEvent::Done { id, result, .. } => (id, result),
            other => panic!("expected the end of a call: {other:?}"),
        }
    }

    pub(crate) async fn call(&mut self, call: Call) -> Result<Reply, CallError> {
        let sent = self.send(&call);
        let (id, result) = self.done().await;
        assert_eq!(id, sent);
        result
    }

    /// Starts a process from `basic.py`, in its own session if `session`; returns its PID.
    pub(crate) async fn grandchild(&mut self, session: bool) -> u32 {
        let reply = self.call(Call::json("grandchild", &session).expect("it is JSON")).await;
        reply.expect("it returns").json().expect("it is a PID")
    }

    pub(crate) async fn lost(&mut self) -> Arc<Exit> {
        match self.event().await {
            LinkEvent::Lost(exit) => exit,
            other => panic!("expected the end of the worker: {other:?}"),
        }
    }

    /// Flushes the staged frames, and waits until a call has reached `phase`.
    pub(crate) async fn until(&mut self, id: CallId, phase: Phase) {
        let link = &mut self.link;
        capped("a phase", async {
            poll_fn(|cx| link.poll_flush(cx)).await;
            while link.phase(id) != phase {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}
