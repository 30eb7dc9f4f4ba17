//! The threads that processes come from and go to. The main structure is [`Spawner`].
//!
//! `PR_SET_PDEATHSIG` is sent when the *thread* that forked ends, so a pool forks on a thread that
//! lives as long as its processes do. That also keeps a slow fork (of a host with much memory) off
//! the arbiter, and an `exec` that hangs (on a network file system) away from other pools.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use actix_pyproc_actors::duration;
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, getppid, kill_process, pidfd_open,
    set_parent_process_death_signal, waitpid,
};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::child::{Child, kill_group};

/// How often the reaper looks at children that were killed and have not ended: at first, and when
/// they take long.
const REAP_SOON: Duration = Duration::from_millis(2);
const REAP_LATE: Duration = Duration::from_millis(500);

/// What a worker gets when the thread that forked it ends, which is with the host: a worker kills
/// its group then, and a process that does not know the signal dies of it. A plain SIGKILL would
/// leave what the worker has started.
const PARENT_DEATH_SIGNAL: i32 = 37;

static REAPER: Mutex<Option<mpsc::Sender<Pid>>> = Mutex::new(None);

/// The thread that starts the processes of one pool. It ends when the last clone and the last
/// [`Child`] are dropped.
#[derive(Clone, Debug)]
pub(crate) struct Spawner(mpsc::Sender<Job>);

#[derive(Debug)]
struct Job {
    command: Command,
    inherited: Vec<Arc<OwnedFd>>,
    spawner: Spawner,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// When a start that may take `limit` has taken too long. A limit beyond the clock is a century.
pub(super) fn deadline(limit: Duration) -> Instant {
    Instant::now() + limit.min(duration::LONGEST)
}

impl Spawner {
    pub(crate) fn start() -> io::Result<Self> {
        with_reaper(|_| ())?;
        let (jobs, queue) = mpsc::channel();
        thread::Builder::new().name("pyproc-spawner".into()).spawn(move || spawn_all(&queue))?;
        Ok(Self(jobs))
    }

    /// Starts a process that leads a group of its own, dies with the host, has the descriptors
    /// `inherited` under their own numbers, and no signal blocked or ignored.
    ///
    /// Cancellation safety: a process that starts after the future was dropped, or after the
    /// deadline, is killed and reaped.
    pub(super) async fn spawn(
        &self,
        command: Command,
        inherited: Vec<Arc<OwnedFd>>,
        deadline: Instant,
    ) -> io::Result<Child> {
        let (reply, child) = oneshot::channel();
        let job = Job { command, inherited, spawner: self.clone(), reply };
        self.0.send(job).map_err(|_| gone())?;
        match timeout_at(deadline, child).await {
            Ok(child) => child.map_err(|_| gone())?,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "fork and exec did not finish within start_timeout; check the file systems of the interpreter and of \
                 the working directory",
            )),
        }
    }
}

/// Leaves a killed child to the reaper thread.
pub(super) fn reap(pid: Pid) {
    // The thread was started before the child was. Should it be gone, the child is left to init.
    let _ = with_reaper(|reaper| reaper.send(pid));
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts processes has ended")
}

fn with_reaper<T>(body: impl FnOnce(&mpsc::Sender<Pid>) -> T) -> io::Result<T> {
    let mut reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    if reaper.is_none() {
        let (reap, dead) = mpsc::channel();
        thread::Builder::new().name("pyproc-reaper".into()).spawn(move || reap_all(&dead))?;
        *reaper = Some(reap);
    }
    Ok(body(reaper.as_ref().expect("it was just started")))
}

fn spawn_all(queue: &mpsc::Receiver<Job>) {
    for Job { command, inherited, spawner, reply } in queue {
        // A caller that has gone, as one does at its deadline, gets no process.
        if reply.is_closed() {
            continue;
        }
        // The standard library panics if `exec` fails in a host that ignores SIGCHLD. The end of
        // this thread would end all workers of the pool.
        let child = catch_unwind(AssertUnwindSafe(|| spawn_one(command, &inherited, spawner)));
        let child = child.unwrap_or_else(|_| {
            Err(io::Error::other("exec failed, and the host ignores SIGCHLD, which hides the reason"))
        });
        // A caller that goes meanwhile drops the child, which ends it.
        let _ = reply.send(child);
    }
}

fn spawn_one(mut command: Command, inherited: &[Arc<OwnedFd>], spawner: Spawner) -> io::Result<Child> {
    let host = getpid();
    let fds: Vec<RawFd> = inherited.iter().map(|fd| fd.as_raw_fd()).collect();
    command.process_group(0);
    #[expect(unsafe_code, reason = "the closure makes system calls only, no allocation and no lock")]
    // SAFETY: between fork and exec it calls nothing but async-signal-safe system calls; `fds` are
    // open in the child. The C library keeps 32 and 33 for itself, not 37.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::from_raw_unchecked(PARENT_DEATH_SIGNAL)))?;
            // The host may have died before the line above, and then no signal comes.
            if getppid() != Some(host) {
                return Err(Errno::SRCH.into());
            }
            reset_signals();
            for &fd in &fds {
                fcntl_setfd(BorrowedFd::borrow_raw(fd), FdFlags::empty())?;
            }
            Ok(())
        });
    }
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id is a positive i32");
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => Ok(Child::new(pid, fd, spawner)),
        Err(error) => {
            kill_group(pid);
            // It may have left its group. Its number is not used again before it is reaped.
            let _ = kill_process(pid, Signal::KILL);
            reap(pid);
            Err(error.into())
        }
    }
}

/// Undoes what `exec` would keep of the host: signals that it ignores (`nohup`) or blocks. A worker
/// that does not get the interrupt signal would be killed in place of each call that is to end.
#[expect(unsafe_code, reason = "rustix sets no signal handlers and no mask")]
fn reset_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the call is async-signal-safe. It fails for SIGKILL, SIGSTOP and what the C
        // library keeps for itself.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both calls are async-signal-safe, and the first makes a set of the memory that the
    // second reads.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

fn reap_all(dead: &mpsc::Receiver<Pid>) {
    let mut pending = Vec::new();
    let mut pause = REAP_SOON;
    loop {
        let next = match pending.is_empty() {
            true => dead.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            false => dead.recv_timeout(pause),
        };
        match next {
            Ok(pid) => {
                pending.push(pid);
                pause = REAP_SOON;
            }
            // One that the system does not let die can take for ever.
            Err(mpsc::RecvTimeoutError::Timeout) => pause = (pause * 2).min(REAP_LATE),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        pending.retain(|&pid| matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None) | Err(Errno::INTR)));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::{AsRawFd as _, BorrowedFd};
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::super::body::exited;
    use super::Spawner;
    use crate::error::ExitStatus;

    /// A command whose `exec` waits until something is written to the pipe, and that pipe.
    fn slow_to_exec(program: &str) -> (Command, std::io::PipeWriter) {
        let (read, write) = std::io::pipe().expect("the system has descriptors");
        let mut command = Command::new(program);
        #[expect(unsafe_code, reason = "the closure makes one system call")]
        // SAFETY: `read` is open in the child, as it is moved into the closure, and reading is
        // async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                let pipe = BorrowedFd::borrow_raw(read.as_raw_fd());
                rustix::io::read(pipe, &mut [0_u8])?;
                Ok(())
            });
        }
        (command, write)
    }

    fn after(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    async fn run(spawner: &Spawner, program: &str) -> std::io::Result<ExitStatus> {
        let child = spawner.spawn(Command::new(program), Vec::new(), after(60)).await?;
        Ok(exited(&child.watch()?).await)
    }

    #[tokio::test]
    async fn exec_that_hangs_fails_its_start_in_time_and_holds_up_no_other_pool() {
        let (stuck, other) = (Spawner::start().expect("a thread"), Spawner::start().expect("a thread"));
        let (command, mut go_on) = slow_to_exec("true");
        let soon = Instant::now() + Duration::from_millis(50);
        let error = stuck.spawn(command, Vec::new(), soon).await.expect_err("it hangs");
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
        assert_eq!(run(&other, "true").await.expect("its own thread is free"), ExitStatus::Code(0));
        go_on.write_all(b".").expect("the child reads it");
        assert_eq!(run(&stuck, "true").await.expect("the thread goes on"), ExitStatus::Code(0));
    }

    #[tokio::test]
    async fn program_that_cannot_be_run_is_an_error_and_the_thread_goes_on() {
        let spawner = Spawner::start().expect("a thread");
        let error = run(&spawner, "/nonexistent/program").await.expect_err("there is none");
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        assert_eq!(run(&spawner, "true").await.expect("it is there"), ExitStatus::Code(0));
    }
}
