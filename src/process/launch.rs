//! Starting a worker, until it serves. The main structure is [`Launcher`].

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;
use tokio::time::{Instant, timeout_at};

use super::command::{CommandLine, Inherited};
use super::connection::{self, Connection};
use super::cpu::CpuTimes;
use super::end::{EndMode, STACKS_SIGNAL, end};
use super::handshake::{HandshakeError, handshake};
use super::interpreter::Interpreter;
use super::log::Source;
use super::memfd;
use super::output::{Output, Pipes};
use super::recent::RecentOutput;
use super::spawner::{self, Group, Spawner};
use super::table::{SLOTS, SlotTable};
use super::worker::{WatchedChild, WorkerProcess};
use crate::error::{ExitCause, StartError};
use crate::wire::message::{FaultOrder, Hello, PROTOCOL, Ready, WorkerRef};

/// How long a worker may hold replies back to send them together.
const FLUSH: Duration = Duration::from_micros(200);

/// How long a worker that failed to start may take to exit.
const FAILED_GRACE: Duration = Duration::from_secs(1);

/// What all workers of a pool have in common. The configuration documents most of these fields.
pub(crate) struct LaunchOptions {
    pub(crate) worker: WorkerRef,
    pub(crate) python: Option<PathBuf>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: Option<PathBuf>,
    /// Whether the workers use the terminal of the host.
    pub(crate) terminal: bool,
    pub(crate) start_timeout: Duration,
    pub(crate) stop_grace: Duration,
    /// The maximum length of a frame, as in Hello.
    pub(crate) max_frame: u32,
    pub(crate) busy_poll: Duration,
    pub(crate) log_level: &'static str,
    pub(crate) json: &'static str,
    pub(crate) stderr_tail_lines: usize,
}

/// Starts the workers of a pool.
pub(crate) struct Launcher {
    options: LaunchOptions,
    interpreter: Interpreter,
    spawner: Spawner,
    output: Arc<RecentOutput>,
    cpu_times: CpuTimes,
}

/// The host's ends of a worker's channels.
struct HostEnds {
    socket: std::os::unix::net::UnixStream,
    table: SlotTable,
    stacks: OwnedFd,
    life: OwnedFd,
    pipes: Pipes,
}

/// The worker's ends.
struct WorkerEnds {
    inherited: Inherited,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl Launcher {
    /// Finds and probes the interpreter. No worker is started.
    pub(crate) async fn new(options: LaunchOptions) -> Result<Self, StartError> {
        let spawner = Spawner::start().map_err(StartError::io("start a thread"))?;
        let interpreter =
            Interpreter::resolve(options.python.as_deref(), &spawner, options.start_timeout).await?;
        Ok(Self { options, interpreter, spawner, output: Arc::default(), cpu_times: CpuTimes::default() })
    }

    pub(crate) fn interpreter(&self) -> &Interpreter {
        &self.interpreter
    }

    /// What the workers wrote last.
    pub(crate) fn output(&self) -> &RecentOutput {
        &self.output
    }

    pub(crate) fn cpu_times(&self) -> &CpuTimes {
        &self.cpu_times
    }

    /// Starts a worker and waits at most `start_timeout` until it serves. `fault` is the fault of
    /// the start.
    ///
    /// Cancellation safety: when the future is dropped, the process is killed and reaped.
    pub(crate) async fn launch(
        &self,
        slot: u32,
        generation: u32,
        fault: Option<FaultOrder>,
    ) -> Result<(WorkerProcess, Ready), StartError> {
        let limit = self.options.start_timeout;
        let deadline = spawner::deadline(limit);
        let mut worker = self.spawn(slot, deadline).await?;
        let hello = self.hello(slot, generation, fault);
        let answer = timeout_at(deadline, handshake(&mut worker, &hello)).await;
        let ended = |mode| async { Arc::new(end(&worker, mode).await) };
        let python = Arc::clone(&self.interpreter.python);
        Err(match answer {
            Ok(Ok((welcome, ready))) => {
                let (pid, python) = (worker.pid(), welcome.python);
                tracing::debug!(target: "pyproc::worker", slot, pid, python, "worker is ready");
                return Ok((worker, ready));
            }
            Ok(Err(HandshakeError::Closed)) => {
                StartError::Exited { exit: ended(EndMode::Closed { drained: false }).await, python }
            }
            Ok(Err(HandshakeError::Failed(failure))) => StartError::Failed {
                type_name: failure.type_name,
                message: failure.message,
                traceback: failure.traceback,
                exit: ended(EndMode::Exiting(FAILED_GRACE)).await,
                python,
            },
            Ok(Err(HandshakeError::Protocol(what))) => {
                let exit = ended(EndMode::Kill(ExitCause::Protocol(what.clone()))).await;
                StartError::Protocol { what, exit, python }
            }
            Err(_) => {
                let exit = ended(EndMode::KillWithStacks(ExitCause::StartTimeout)).await;
                StartError::TimedOut { after: limit, exit, python }
            }
        })
    }

    /// Starts a process. It has not sent anything yet.
    async fn spawn(&self, slot: u32, deadline: Instant) -> Result<WorkerProcess, StartError> {
        let opened = open_channels(&self.interpreter.package);
        let (host, worker) = opened.map_err(StartError::io("open the channels of a worker"))?;
        let LaunchOptions { env, cwd, stop_grace, max_frame, stderr_tail_lines, .. } = &self.options;
        let python = &self.interpreter.python;
        let code = (self.options.worker.name(), slot);
        let line = CommandLine::worker(env, cwd.as_deref(), &python.executable, code, &worker.inherited);
        let (line, group) = match self.options.terminal {
            true => (line.with_terminal(), Group::Host),
            false => (line, Group::Own),
        };
        let command = line.into_command(Stdio::null(), worker.stdout.into(), worker.stderr.into());
        let child = self.spawner.spawn(command, group, worker.inherited.into_fds(), deadline).await;
        let child = child.map_err(StartError::io(match cwd {
            // The system's error does not say which of the two paths it is about.
            Some(cwd) => format!("run {} in {}", python.executable.display(), cwd.display()),
            None => format!("run {}", python.executable.display()),
        }))?;
        let source = Source { slot, pid: child.pid(), recent: Arc::clone(&self.output) };
        let child = child.metered(self.cpu_times.meter(slot, source.pid));
        let watch = || -> io::Result<WorkerProcess> {
            let child = WatchedChild {
                child: child.watch()?,
                output: Output::start(source, host.pipes, *stderr_tail_lines)?,
                stacks: Cell::new(Some(host.stacks)),
                stop_grace: *stop_grace,
                _life: host.life,
            };
            let connection = Connection::new(host.socket, *max_frame)?;
            Ok(WorkerProcess::new(child, connection, host.table))
        };
        watch().map_err(StartError::io("watch the process of a worker"))
    }

    fn hello(&self, slot: u32, generation: u32, fault: Option<FaultOrder>) -> Hello {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Hello {
            protocol: PROTOCOL,
            max_frame: self.options.max_frame,
            slots: u32::try_from(SLOTS).expect("SLOTS is 1024"),
            slot,
            generation,
            flush_us: micros(FLUSH),
            busy_poll_us: micros(self.options.busy_poll),
            interrupt_signal: Signal::URG.as_raw(),
            stacks_signal: STACKS_SIGNAL,
            log_level: self.options.log_level.into(),
            json: self.options.json.into(),
            worker: self.options.worker.clone(),
            faults: cfg!(feature = "fault-injection"),
            fault,
        }
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
