//! Starting a worker, up to the moment when it serves. The main structure is [`Plan`].

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;
use tokio::time::{Instant, timeout_at};

use super::body::Body;
use super::command::{CommandLine, Inherited};
use super::connection::{self, Connection};
use super::handshake::{Refusal, handshake};
use super::interpreter::Interpreter;
use super::log::Source;
use super::memfd;
use super::output::{Output, Pipes};
use super::spawner::{self, Spawner};
use super::stop::{End, STACKS_SIGNAL, end};
use super::table::{SLOTS, SlotTable};
use crate::config::{PoolConfig, WorkerSource};
use crate::error::{ExitCause, StartError};
use crate::wire::frame::COUNTED_LEN;
use crate::wire::message::{FaultOrder, Hello, PROTOCOL, Ready, Welcome, WorkerRef};

/// How long replies may gather in a worker.
const FLUSH: Duration = Duration::from_micros(200);

/// How long a worker that has said Failed may take to exit.
const FAILED_GRACE: Duration = Duration::from_secs(1);

/// All that is known before a worker is started, shared by all of a pool.
#[derive(Debug)]
pub(crate) struct Plan {
    config: Arc<PoolConfig>,
    interpreter: Interpreter,
    worker: WorkerRef,
    spawner: Spawner,
}

/// A worker that serves.
pub(crate) struct Started {
    pub(crate) body: Rc<Body>,
    pub(crate) connection: Connection,
    pub(crate) table: SlotTable,
    pub(crate) ready: Ready,
}

/// A process that was started and has said nothing.
struct Launched {
    body: Rc<Body>,
    connection: Connection,
    table: SlotTable,
}

/// The ends of a worker's channels that the host keeps.
struct HostEnds {
    socket: std::os::unix::net::UnixStream,
    table: SlotTable,
    stacks: OwnedFd,
    life: OwnedFd,
    pipes: Pipes,
}

/// The ends that the worker gets.
struct WorkerEnds {
    inherited: Inherited,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Plan {
    /// Checks the configuration, and finds the script and the interpreter.
    pub(crate) async fn make(config: Arc<PoolConfig>) -> Result<Self, StartError> {
        config.validate()?;
        let worker = match &config.worker {
            WorkerSource::Module { module } => WorkerRef::Module(module.clone()),
            WorkerSource::Path(path) => script(path)?.into(),
        };
        let spawner = Spawner::start().map_err(StartError::io("start a thread"))?;
        let interpreter = Interpreter::resolve(&config, &spawner).await?;
        Ok(Self { config, interpreter, worker, spawner })
    }

    pub(crate) fn config(&self) -> &Arc<PoolConfig> {
        &self.config
    }

    pub(crate) fn interpreter(&self) -> &Interpreter {
        &self.interpreter
    }

    /// The greatest length of a frame, as Hello tells it.
    fn max_frame(&self) -> u32 {
        u32::try_from(self.config.max_frame + COUNTED_LEN).expect("the configuration was checked")
    }

    /// Starts a worker and waits until it serves, or `start_timeout` is over.
    ///
    /// Cancellation safety: when the future is dropped, the process is killed and reaped.
    pub(crate) async fn launch(
        &self,
        slot: u32,
        generation: u32,
        fault: Option<FaultOrder>,
    ) -> Result<Started, StartError> {
        let limit = self.config.start_timeout;
        let deadline = spawner::deadline(limit);
        let Launched { body, mut connection, table } = self.start_process(slot, deadline).await?;
        let hello = self.hello(slot, generation, fault);
        let answer = timeout_at(deadline, handshake(&mut connection, &body, &hello)).await;
        let gone = |how| async { Arc::new(end(Rc::clone(&body), how).await) };
        Err(match answer {
            Ok(Ok((welcome, ready))) => {
                tell_of(&welcome, slot, &body);
                return Ok(Started { body, connection, table, ready });
            }
            Ok(Err(Refusal::Gone)) => StartError::Exited { exit: gone(End::Gone { drained: false }).await },
            Ok(Err(Refusal::Failed(failure))) => StartError::Failed {
                type_name: failure.type_name,
                message: failure.message,
                traceback: failure.traceback,
                exit: gone(End::Leaving(FAILED_GRACE)).await,
            },
            Ok(Err(Refusal::Protocol(what))) => {
                let exit = gone(End::Kill(ExitCause::Protocol(what.clone()))).await;
                StartError::Protocol { what, exit }
            }
            Err(_) => {
                let exit = gone(End::KillWithStacks(ExitCause::StartTimeout)).await;
                StartError::TimedOut { after: limit, exit }
            }
        })
    }

    async fn start_process(&self, slot: u32, deadline: Instant) -> Result<Launched, StartError> {
        let opened = open_channels(&self.interpreter.package);
        let (host, worker) = opened.map_err(StartError::io("open its channels"))?;
        let line = CommandLine::worker(&self.config, &self.interpreter.executable, slot, &worker.inherited);
        let command = line.into_command(Stdio::null(), worker.stdout.into(), worker.stderr.into());
        let child = self.spawner.spawn(command, worker.inherited.into_fds(), deadline).await;
        let child = child.map_err(StartError::io("start the interpreter"))?;
        let source = Source { slot, pid: child.pid() };
        let watch = || -> io::Result<Launched> {
            let body = Body {
                child: child.watch()?,
                output: Output::start(source, host.pipes, self.config.stderr_tail_lines)?,
                stacks: Cell::new(Some(host.stacks)),
                stop_grace: self.config.stop_grace,
                _life: host.life,
            };
            let connection = Connection::new(host.socket, self.max_frame())?;
            Ok(Launched { body: Rc::new(body), connection, table: host.table })
        };
        watch().map_err(StartError::io("watch the process"))
    }

    fn hello(&self, slot: u32, generation: u32, fault: Option<FaultOrder>) -> Hello {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Hello {
            protocol: PROTOCOL,
            max_frame: self.max_frame(),
            slots: u32::try_from(SLOTS).expect("it is a small constant"),
            slot,
            generation,
            flush_us: micros(FLUSH),
            busy_poll_us: micros(self.config.busy_poll),
            interrupt_signal: Signal::URG.as_raw(),
            stacks_signal: STACKS_SIGNAL,
            log_level: self.config.log_level.as_str().into(),
            worker: self.worker.clone(),
            faults: cfg!(feature = "fault-injection"),
            fault,
        }
    }
}

fn script(path: &Path) -> Result<std::path::PathBuf, StartError> {
    let path = std::path::absolute(path).map_err(StartError::io("find the working directory"))?;
    match path.is_file() {
        true => Ok(path),
        false => Err(StartError::ScriptNotFound { path }),
    }
}

fn open_channels(package: &Arc<OwnedFd>) -> io::Result<(HostEnds, WorkerEnds)> {
    let pipe = || -> io::Result<(OwnedFd, OwnedFd)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok((read, memfd::above_stdio(write)?))
    };
    let (worker_life, life) = pipe_with(PipeFlags::CLOEXEC)?;
    let worker_life = memfd::above_stdio(worker_life)?;
    let (socket, worker_socket) = connection::pair()?;
    let worker_socket = memfd::above_stdio(worker_socket)?;
    let (table, worker_table) = SlotTable::create()?;
    let (stacks, worker_stacks) = pipe()?;
    let (log, worker_log) = pipe()?;
    let (stdout, worker_stdout) = pipe()?;
    let (stderr, worker_stderr) = pipe()?;
    let inherited = Inherited(vec![
        ("PYPROC_SOCKET_FD", Arc::new(worker_socket)),
        ("PYPROC_TABLE_FD", Arc::new(worker_table)),
        ("PYPROC_STACKS_FD", Arc::new(worker_stacks)),
        ("PYPROC_LOG_FD", Arc::new(worker_log)),
        ("PYPROC_LIFE_FD", Arc::new(worker_life)),
        ("PYPROC_PACKAGE_FD", Arc::clone(package)),
    ]);
    let host = HostEnds { socket, table, stacks, life, pipes: Pipes { stdout, stderr, log } };
    Ok((host, WorkerEnds { inherited, stdout: worker_stdout, stderr: worker_stderr }))
}

fn tell_of(welcome: &Welcome, slot: u32, body: &Body) {
    tracing::debug!(slot, pid = body.pid(), python = welcome.python, "a worker is ready");
}
