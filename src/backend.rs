//! Python processes behind the actors: the only place that joins the wire and the processes to
//! them. The main structure is [`PythonBackend`].

#[cfg(feature = "fault-injection")]
mod faults;
mod link;
mod registry;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use actix_pyproc_actors::backend::{Backend, Class, Outcome, Panic};
use actix_pyproc_actors::id::{Generation, SlotId};
use bytes::BytesMut;
use futures::future::{FutureExt as _, LocalBoxFuture};

use crate::call::{Call, Reply};
use crate::config::PoolConfig;
use crate::error::{CallError, Exit, ExitCause, ExitStatus, StartError};
use crate::process::launch::Plan;
use crate::typed::{Declared, check};
use crate::wire::function::FunctionInfo;
use crate::wire::message::FaultOrder;

pub use link::PythonLink;
use registry::{Registry, Unknown};

/// Starts Python workers and judges calls. Clones share what they know.
#[derive(Clone)]
pub struct PythonBackend {
    plan: Arc<Plan>,
    registry: Arc<RwLock<Registry>>,
    /// What Rust calls with types: a worker that has it otherwise does not serve.
    required: Arc<RwLock<Vec<Declared>>>,
    #[cfg(feature = "fault-injection")]
    board: crate::fault::Board,
}

impl PythonBackend {
    /// Checks the configuration, and finds and looks at the interpreter. No worker is started. It
    /// must be called on an arbiter.
    ///
    /// # Errors
    /// [`StartError`] if the configuration, the script or the interpreter cannot be used.
    pub async fn new(config: Arc<PoolConfig>) -> Result<Self, StartError> {
        let plan = Arc::new(Plan::make(config).await?);
        Ok(Self {
            plan,
            registry: Arc::default(),
            required: Arc::default(),
            #[cfg(feature = "fault-injection")]
            board: crate::fault::Board::default(),
        })
    }

    /// The configuration that the workers are started with.
    #[must_use]
    pub fn config(&self) -> &Arc<PoolConfig> {
        self.plan.config()
    }

    /// The version of the interpreter, such as `3.11.7`.
    #[must_use]
    pub fn python_version(&self) -> &str {
        &self.plan.interpreter().version
    }

    /// The path of the interpreter that the workers run.
    #[must_use]
    pub fn python_executable(&self) -> &std::path::Path {
        &self.plan.interpreter().executable
    }

    /// The functions of the worker that became ready last; none before there was one.
    #[must_use]
    pub fn catalog(&self) -> Arc<[FunctionInfo]> {
        self.known().catalog()
    }

    /// The names of all functions that were ever called or exposed, by the numbers of their
    /// classes.
    pub(crate) fn class_names(&self) -> Vec<String> {
        self.known().class_names()
    }

    /// Workers that start from now on must have these functions.
    pub(crate) fn require(&self, declared: Vec<Declared>) {
        let mut required = write(&self.required);
        for declared in declared {
            if !required.contains(&declared) {
                required.push(declared);
            }
        }
    }

    #[cfg(feature = "fault-injection")]
    pub(crate) fn board(&self) -> &crate::fault::Board {
        &self.board
    }

    /// What the next process of a slot is to do wrong while it starts.
    fn start_fault(&self, slot: SlotId) -> Option<FaultOrder> {
        #[cfg(feature = "fault-injection")]
        return self.board.take_start(slot.0);
        #[cfg(not(feature = "fault-injection"))]
        {
            let _ = slot;
            None
        }
    }

    fn known(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn class(&self, call: &Call) -> Result<Class, CallError> {
        let class = self.known().class(call.function());
        match class {
            Some(Ok(class)) => Ok(class),
            Some(Err(Unknown(known))) => {
                Err(CallError::UnknownFunction { function: call.function().into(), known })
            }
            None => Ok(Class { id: write(&self.registry).intern(call.function()), overlapping: false }),
        }
    }

    /// The length of a call's payload, metadata and all.
    fn payload_len(call: &Call) -> Result<usize, CallError> {
        if !call.has_metadata() {
            return Ok(call.payload().len());
        }
        let mut block = BytesMut::new();
        call.put_metadata(&mut block)?;
        Ok(block.len() + call.payload().len())
    }
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Backend for PythonBackend {
    type Call = Call;
    type Reply = Reply;
    type Error = CallError;
    type Exit = Arc<Exit>;
    type StartError = StartError;
    type Link = PythonLink;

    fn classify(&self, call: &Call) -> Result<Class, CallError> {
        let (size, limit) = (Self::payload_len(call)?, self.config().max_frame);
        if size > limit {
            return Err(CallError::PayloadTooLarge { size: Some(size), limit, ran: false });
        }
        let class = self.class(call)?;
        call.set_class(class.id);
        Ok(class)
    }

    fn launch(
        &self,
        slot: SlotId,
        generation: Generation,
    ) -> LocalBoxFuture<'static, Result<PythonLink, StartError>> {
        let backend = self.clone();
        async move {
            let Self { plan, registry, required, .. } = &backend;
            let started = plan.launch(slot.0, generation.0, backend.start_fault(slot)).await?;
            // Dropped with its process if it does not fit.
            let must_have = required.read().unwrap_or_else(PoisonError::into_inner);
            check::all(&*must_have, &started.ready.functions)?;
            drop(must_have);
            let mut known = write(registry);
            let functions = known.learn(started.ready.functions);
            let names = known.names();
            drop(known);
            Ok(PythonLink::new(link::Parts {
                slot,
                config: Arc::clone(plan.config()),
                #[cfg(feature = "fault-injection")]
                seat: backend.board.sit(slot.0, started.body.pid()),
                functions,
                names,
                body: started.body,
                connection: started.connection,
                table: started.table,
            }))
        }
        .boxed_local()
    }

    fn kind(error: &CallError) -> &'static str {
        error.kind()
    }

    fn crashed(exit: &Arc<Exit>) -> StartError {
        StartError::Crashed { exit: Arc::clone(exit) }
    }

    fn stopped() -> StartError {
        StartError::Stopped
    }

    fn panicked(panic: &Panic) -> StartError {
        StartError::Panicked { actor: panic.actor, message: Arc::clone(&panic.message) }
    }

    fn unobserved(pid: u32) -> Arc<Exit> {
        Arc::new(Exit::new(pid, ExitStatus::Unknown, ExitCause::Disconnected))
    }
}

impl fmt::Debug for PythonBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PythonBackend").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl From<Outcome<PythonBackend>> for CallError {
    fn from(outcome: Outcome<PythonBackend>) -> Self {
        match outcome {
            Outcome::Overloaded { retry_after } => Self::Overloaded { retry_after },
            Outcome::DeadlineExceeded { started } => Self::DeadlineExceeded { started },
            Outcome::WorkerLost { exit } => {
                let stderr_tail = Arc::clone(&exit.stderr_tail);
                Self::WorkerLost { exit, stderr_tail, started: true }
            }
            Outcome::Quarantined { attempts, exit } => Self::Quarantined { attempts, exit },
            Outcome::Unavailable { cause, retry_after } => {
                Self::Unavailable { cause: cause.map(Arc::new), retry_after }
            }
            Outcome::ShuttingDown => Self::ShuttingDown,
        }
    }
}
