//! Python processes as the backend of the actors, which joins processes and protocol to them. The
//! main structure is [`PythonBackend`].

pub(crate) mod declared;
pub(crate) mod failures;
#[cfg(feature = "testing")]
mod fake;
#[cfg(feature = "fault-injection")]
pub(crate) mod fault_port;
#[cfg(feature = "fault-injection")]
mod injection;
pub(crate) mod kinds;
mod link;
mod registry;

use std::cell::RefCell;
use std::fmt;
#[cfg(feature = "testing")]
use std::future::ready;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Instant, SystemTime};

use actix_pyproc_actors::backend::{Backend, Outcome, Panic};
use actix_pyproc_actors::call::Function;
use actix_pyproc_actors::id::{CallId, FunctionId, Generation, SlotId};
use futures::future::{FutureExt as _, LocalBoxFuture};

use crate::call::{Call, Reply};
use crate::config::{MAX_IN_FLIGHT, PoolConfig, WorkerSource};
use crate::error::{CallError, Exit, ExitCause, ExitStatus, StartError};
use crate::process::cpu::CpuTime;
use crate::process::launch::{LaunchOptions, Launcher};
use crate::process::recent::RecentLine;
use crate::process::table::SLOTS;
use crate::wire::frame::COUNTED_LEN;
use crate::wire::function::{Definitions, FunctionInfo};
use crate::wire::message::{FaultOrder, WorkerRef};

use declared::Declared;
use failures::Failures;
#[cfg(feature = "testing")]
pub(crate) use fake::Answers;
#[cfg(feature = "testing")]
use fake::FakeLink;
#[cfg(feature = "testing")]
pub use fake::WorkerLink;
#[cfg(feature = "fault-injection")]
use fault_port::FaultTargets;
pub use link::PythonLink;
use registry::{Registry, Snapshot, Unknown};

/// The link to one worker. Only tests have other links than those to processes.
#[cfg(not(feature = "testing"))]
pub type WorkerLink = PythonLink;

const _: () = assert!(SLOTS == MAX_IN_FLIGHT && SLOTS == CallId::MAX_INDEX);

/// Starts Python workers and finds the functions of calls. Clones share their state.
///
/// It stays on the arbiter of the actors, so that a call takes no lock. [`BackendHandle`] is the
/// part for other threads.
#[derive(Clone)]
pub struct PythonBackend {
    handle: BackendHandle,
    registry: Rc<RefCell<Registry>>,
    /// What stands for the processes in a fake pool.
    #[cfg(feature = "testing")]
    answers: Option<Answers>,
    failures: Rc<RefCell<Failures>>,
}

/// The part of a backend that every thread may use. Clones share their state.
#[derive(Clone)]
pub struct BackendHandle {
    config: Arc<PoolConfig>,
    /// `None` in a fake pool.
    launcher: Option<Arc<Launcher>>,
    /// The latest state of the registry.
    known: Arc<RwLock<Snapshot>>,
    /// The functions of typed calls. A worker whose functions do not match them does not serve.
    required: Arc<RwLock<Vec<Declared>>>,
    #[cfg(feature = "fault-injection")]
    fault_targets: FaultTargets,
}

impl PythonBackend {
    /// Checks the configuration, and finds and probes the interpreter. No worker is started. It
    /// must be called on an arbiter.
    ///
    /// # Errors
    /// [`StartError`] if the configuration, the script or the interpreter is unusable.
    pub async fn new(config: Arc<PoolConfig>) -> Result<Self, StartError> {
        config.validate()?;
        let launcher = Arc::new(Launcher::new(launch_options(&config)?).await?);
        Ok(Self {
            handle: BackendHandle::new(config, Some(launcher)),
            registry: Rc::default(),
            failures: Rc::default(),
            #[cfg(feature = "testing")]
            answers: None,
        })
    }

    /// Makes a backend without processes, with these functions or with every one.
    #[cfg(feature = "testing")]
    pub(crate) fn fake(
        config: Arc<PoolConfig>,
        answers: Answers,
        functions: Option<crate::wire::message::Ready>,
    ) -> Self {
        let handle = BackendHandle::new(config, None);
        let backend =
            Self { handle, registry: Rc::default(), failures: Rc::default(), answers: Some(answers) };
        if let Some(ready) = functions {
            backend.registry.borrow_mut().learn(ready);
            backend.publish();
        }
        backend
    }

    /// Starts a worker of a fake pool.
    #[cfg(feature = "testing")]
    fn launch_fake(&self, slot: SlotId, generation: Generation) -> Option<WorkerLink> {
        let answers = Rc::clone(self.answers.as_ref()?);
        let link = FakeLink::new(
            slot,
            generation,
            self.handle.config.max_in_flight,
            answers,
            Rc::clone(&self.failures),
        );
        Some(WorkerLink::Fake(link))
    }

    /// The part for other threads.
    #[must_use]
    pub fn handle(&self) -> &BackendHandle {
        &self.handle
    }

    fn function(&self, call: &Call) -> Result<Function, CallError> {
        let function = self.registry.borrow().function(call.function());
        match function {
            Some(Ok(function)) => Ok(function),
            Some(Err(Unknown(known))) => {
                Err(CallError::UnknownFunction { function: call.function().into(), known })
            }
            None => {
                let id = self.registry.borrow_mut().intern(call.function());
                write(&self.handle.known).function_names.push(call.function().to_owned());
                Ok(Function { id, overlapping: false })
            }
        }
    }

    /// Publishes the state of the registry to other threads.
    fn publish(&self) {
        *write(&self.handle.known) = self.registry.borrow().snapshot();
    }
}

impl BackendHandle {
    fn new(config: Arc<PoolConfig>, launcher: Option<Arc<Launcher>>) -> Self {
        Self {
            config,
            launcher,
            known: Arc::default(),
            required: Arc::default(),
            #[cfg(feature = "fault-injection")]
            fault_targets: FaultTargets::default(),
        }
    }

    /// The configuration of the pool.
    #[must_use]
    pub fn config(&self) -> &Arc<PoolConfig> {
        &self.config
    }

    /// The version of the interpreter, such as `3.11.7`; empty in a fake pool.
    #[must_use]
    pub fn python_version(&self) -> &str {
        self.launcher.as_ref().map_or("", |launcher| &launcher.interpreter().python.version)
    }

    /// The path of the interpreter that the workers run; empty in a fake pool.
    #[must_use]
    pub fn python_executable(&self) -> &Path {
        self.launcher.as_ref().map_or(Path::new(""), |launcher| &launcher.interpreter().python.executable)
    }

    /// The functions of the worker that became ready last; empty before the first one.
    #[must_use]
    pub fn catalog(&self) -> Arc<[FunctionInfo]> {
        Arc::clone(&self.known().functions)
    }

    /// The functions, and the JSON Schemas of their classes.
    pub(crate) fn described(&self) -> (Arc<[FunctionInfo]>, Arc<Definitions>) {
        let known = self.known();
        (Arc::clone(&known.functions), Arc::clone(&known.definitions))
    }

    /// The last lines that workers wrote, oldest first.
    pub(crate) fn recent_output(&self) -> Vec<RecentLine> {
        self.launcher.as_ref().map_or_else(Vec::new, |launcher| launcher.output().lines())
    }

    /// The names of all functions that were ever called or exposed, by their numbers.
    pub(crate) fn function_names(&self) -> Vec<String> {
        self.known().function_names.clone()
    }

    /// The processor time of a slot in which the process `pid` serves.
    pub(crate) fn cpu_time(&self, slot: SlotId, pid: Option<u32>) -> CpuTime {
        let launcher = self.launcher.as_ref();
        launcher.map_or_else(CpuTime::default, |launcher| launcher.cpu_times().read(slot.0, pid))
    }

    /// Checks that calls of these functions fit the worker that became ready last. A fake pool of
    /// unknown functions has whatever is declared.
    pub(crate) fn check(&self, declared: &[Declared]) -> Result<(), StartError> {
        let (functions, definitions) = self.described();
        if self.launcher.is_none() && functions.is_empty() {
            return Ok(());
        }
        declared::check(declared, &functions, &definitions)
    }

    /// Requires these functions of workers that start from now on.
    pub(crate) fn require(&self, declared: Vec<Declared>) {
        let mut required = write(&self.required);
        for declared in declared {
            if !required.contains(&declared) {
                required.push(declared);
            }
        }
    }

    #[cfg(feature = "fault-injection")]
    pub(crate) fn fault_targets(&self) -> &FaultTargets {
        &self.fault_targets
    }

    /// The fault of the next start of a slot.
    fn start_fault(&self, slot: SlotId) -> Option<FaultOrder> {
        #[cfg(feature = "fault-injection")]
        return self.fault_targets.take_start(slot);
        #[cfg(not(feature = "fault-injection"))]
        {
            let _ = slot;
            None
        }
    }

    fn known(&self) -> RwLockReadGuard<'_, Snapshot> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the launcher needs of a valid configuration.
fn launch_options(config: &PoolConfig) -> Result<LaunchOptions, StartError> {
    let worker = match &config.worker {
        WorkerSource::Module { module } => WorkerRef::Module(module.clone()),
        WorkerSource::Path(path) => script(path)?.into(),
    };
    let max_frame = u32::try_from(config.max_frame + COUNTED_LEN).expect("validate limits max_frame");
    Ok(LaunchOptions {
        worker,
        python: config.python_of_host(),
        env: config.env.clone(),
        cwd: config.cwd.clone(),
        terminal: config.terminal,
        start_timeout: config.start_timeout,
        stop_grace: config.stop_grace,
        max_frame,
        busy_poll: config.busy_poll,
        log_level: config.log_level.as_str(),
        json: config.json.as_str(),
        stderr_tail_lines: config.stderr_tail_lines,
    })
}

/// The absolute path of the worker script, which must exist.
fn script(path: &Path) -> Result<PathBuf, StartError> {
    let path = std::path::absolute(path).map_err(StartError::io("find the working directory"))?;
    match path.is_file() {
        true => Ok(path),
        false => Err(StartError::ScriptNotFound { path }),
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
    type Link = WorkerLink;

    fn resolve(&self, call: &Call) -> Result<Function, CallError> {
        let size = call.metadata_block()?.len() + call.payload().len();
        let limit = self.handle.config.max_frame;
        if size > limit {
            return Err(CallError::PayloadTooLarge { size: Some(size), limit, ran: false });
        }
        #[cfg(feature = "testing")]
        if self.answers.is_some() {
            return self.function(call).map(|function| Function { overlapping: true, ..function });
        }
        self.function(call)
    }

    fn launch(
        &self,
        slot: SlotId,
        generation: Generation,
    ) -> LocalBoxFuture<'static, Result<WorkerLink, StartError>> {
        #[cfg(feature = "testing")]
        if let Some(link) = self.launch_fake(slot, generation) {
            return ready(Ok(link)).boxed_local();
        }
        let backend = self.clone();
        async move {
            let handle = &backend.handle;
            let fault = handle.start_fault(slot);
            let launcher = handle.launcher.as_ref().expect("only a fake pool has none, and it launches none");
            let (worker, ready) = launcher.launch(slot.0, generation.0, fault).await?;
            let required = handle.required.read().unwrap_or_else(PoisonError::into_inner);
            // An error drops the worker, which kills its process.
            declared::check(&*required, &ready.functions, &ready.definitions)?;
            drop(required);
            let functions = backend.registry.borrow_mut().learn(ready);
            let names = backend.registry.borrow().names();
            backend.publish();
            #[cfg(feature = "fault-injection")]
            let fault_port = handle.fault_targets.add(slot, worker.pid());
            let link = PythonLink::new(
                slot,
                Arc::clone(&handle.config),
                functions,
                names,
                Rc::clone(&backend.failures),
                worker,
                #[cfg(feature = "fault-injection")]
                fault_port,
            );
            #[cfg(feature = "testing")]
            let link = WorkerLink::Process(Box::new(link));
            Ok(link)
        }
        .boxed_local()
    }

    fn failed(&self, function: Option<FunctionId>, error: &CallError, now: Instant) {
        self.failures.borrow_mut().record(function, error, now, SystemTime::now);
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
        // Not the configuration: the environment of workers can hold passwords.
        let interpreter = self.handle.launcher.as_ref().map(|launcher| launcher.interpreter());
        f.debug_struct("PythonBackend").field("interpreter", &interpreter).finish_non_exhaustive()
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
