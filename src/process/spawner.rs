//! The two threads that all children come from and go to. The main item is [`spawn`].
//!
//! `PR_SET_PDEATHSIG` is sent when the *thread* that forked ends, so children are forked on one thread that never
//! does. That also keeps a slow fork (of a host with much memory) off the arbiter.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::{mpsc, Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::{fcntl_setfd, Errno, FdFlags};
use rustix::process::{
    getpid, getppid, pidfd_open, set_parent_process_death_signal, waitpid, Pid, PidfdFlags, Signal,
    WaitOptions,
};
use tokio::sync::oneshot;

use super::child::{kill_group, Child};

/// How often the reaper looks at children that were killed and have not ended.
const REAP_EVERY: Duration = Duration::from_millis(2);

/// What a worker gets when the thread that forked it ends, which is with the host: a worker kills its group then, and a
/// process that does not know the signal dies of it. A plain SIGKILL would leave what the worker has started.
const PARENT_DEATH_SIGNAL: i32 = 37;

static THREADS: Mutex<Option<Threads>> = Mutex::new(None);

struct Threads {
    spawn: mpsc::Sender<Job>,
    reap: mpsc::Sender<Pid>,
}

struct Job {
    command: Command,
    inherited: Vec<Arc<OwnedFd>>,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Starts a process that leads a group of its own, dies with the host, and has the descriptors `inherited` under
/// their own numbers.
///
/// Cancellation safety: a process that has started when the future is dropped is killed and reaped.
pub(super) async fn spawn(command: Command, inherited: Vec<Arc<OwnedFd>>) -> io::Result<Child> {
    let (reply, child) = oneshot::channel();
    let job = Job { command, inherited, reply };
    with_threads(|threads| threads.spawn.send(job).map_err(|_| gone()))??;
    child.await.map_err(|_| gone())?
}

/// Leaves a killed child to the reaper thread.
pub(super) fn reap(pid: Pid) {
    // The thread was started before the child was. Should it be gone, the child is left to init.
    let _ = with_threads(|threads| threads.reap.send(pid));
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts processes is gone")
}

fn with_threads<T>(body: impl FnOnce(&Threads) -> T) -> io::Result<T> {
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    if threads.is_none() {
        *threads = Some(start()?);
    }
    Ok(body(threads.as_ref().expect("it was just started")))
}

fn start() -> io::Result<Threads> {
    let (spawn, jobs) = mpsc::channel();
    let (reap, dead) = mpsc::channel();
    thread::Builder::new().name("pyproc-reaper".into()).spawn(move || reap_all(&dead))?;
    thread::Builder::new().name("pyproc-spawner".into()).spawn(move || spawn_all(&jobs))?;
    Ok(Threads { spawn, reap })
}

fn spawn_all(jobs: &mpsc::Receiver<Job>) {
    for Job { command, inherited, reply } in jobs {
        // A caller that has gone drops the child, which ends it.
        let _ = reply.send(spawn_one(command, &inherited));
    }
}

fn spawn_one(mut command: Command, inherited: &[Arc<OwnedFd>]) -> io::Result<Child> {
    let host = getpid();
    let fds: Vec<RawFd> = inherited.iter().map(|fd| fd.as_raw_fd()).collect();
    command.process_group(0);
    #[expect(unsafe_code, reason = "the closure makes system calls only, no allocation and no lock")]
    // SAFETY: between fork and exec it calls nothing but async-signal-safe system calls; `fds` are open in the child. The C
    // library keeps 32 and 33 for itself, not 37.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::from_raw_unchecked(PARENT_DEATH_SIGNAL)))?;
            // The host may have died before the line above, and then no signal comes.
            if getppid() != Some(host) {
                return Err(Errno::SRCH.into());
            }
            for &fd in &fds {
                fcntl_setfd(BorrowedFd::borrow_raw(fd), FdFlags::empty())?;
            }
            Ok(())
        });
    }
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id is a positive i32");
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => Ok(Child::new(pid, fd)),
        Err(error) => {
            kill_group(pid);
            reap(pid);
            Err(error.into())
        }
    }
}

fn reap_all(dead: &mpsc::Receiver<Pid>) {
    let mut pending = Vec::new();
    loop {
        let next = match pending.is_empty() {
            true => dead.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            false => dead.recv_timeout(REAP_EVERY),
        };
        match next {
            Ok(pid) => pending.push(pid),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        pending.retain(|&pid| matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None) | Err(Errno::INTR)));
    }
}
