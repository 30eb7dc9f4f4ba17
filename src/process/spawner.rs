//! The thread that forks the processes of a pool. The main structure is [`Spawner`].
//!
//! The kernel sends the parent-death signal when the *thread* that forked ends, so a pool forks on
//! a thread that outlives its processes. The thread also keeps a slow fork (of a host with much
//! memory) off the arbiter, and an `exec` that hangs (on a network file system) away from other
//! pools.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use actix_pyproc_actors::duration;
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, getppid, kill_process, pidfd_open, set_parent_process_death_signal,
};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::child::{Child, kill_group};
use super::reaper;

/// The kernel sends this signal to a worker when the thread that forked it ends, that is, on the
/// death of the host. The worker's handler kills its group; a process without the handler dies of
/// the signal. SIGKILL would leave the descendants of the worker alive.
const PARENT_DEATH_SIGNAL: i32 = 37;

/// The thread that forks the processes of one pool. It ends when the last clone and the last
/// [`Child`] are dropped.
#[derive(Clone, Debug)]
pub(crate) struct Spawner(mpsc::Sender<Job>);

#[derive(Debug)]
struct Job {
    command: Command,
    group: Group,
    inherited: Vec<Arc<OwnedFd>>,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// The process group of a new process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// One that it leads, which is killed with it.
    Own,
    /// That of the host, so that it can read from the terminal.
    Host,
}

/// The deadline of a start that begins now. Longer limits count as [`duration::LONGEST`].
pub(super) fn deadline(limit: Duration) -> Instant {
    Instant::now() + limit.min(duration::LONGEST)
}

impl Spawner {
    pub(crate) fn start() -> io::Result<Self> {
        reaper::start()?;
        let (jobs, queue) = mpsc::channel();
        thread::Builder::new().name("pyproc-spawner".into()).spawn(move || spawn_all(&queue))?;
        Ok(Self(jobs))
    }

    /// Starts a process. It dies with the host, inherits the descriptors `inherited` under the same
    /// numbers, and blocks or ignores no signal.
    ///
    /// Cancellation safety: if the future is dropped or the deadline passes, a process that starts
    /// later is killed and reaped.
    pub(super) async fn spawn(
        &self,
        command: Command,
        group: Group,
        inherited: Vec<Arc<OwnedFd>>,
        deadline: Instant,
    ) -> io::Result<Child> {
        let (reply, child) = oneshot::channel();
        let job = Job { command, group, inherited, reply };
        self.0.send(job).map_err(|_| gone())?;
        match timeout_at(deadline, child).await {
            Ok(child) => child.map_err(|_| gone())?,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "fork and exec did not finish in time; check the file systems of the interpreter and of \
                 the working directory",
            )),
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts processes has ended")
}

fn spawn_all(queue: &mpsc::Receiver<Job>) {
    let (alive, children) = mpsc::channel();
    for Job { command, group, inherited, reply } in queue {
        // The caller has dropped the receiver, for example at the deadline.
        if reply.is_closed() {
            continue;
        }
        // The standard library panics if `exec` fails in a host that ignores SIGCHLD. If this
        // thread ended, all workers of the pool would die.
        let child = catch_unwind(AssertUnwindSafe(|| spawn_one(command, group, &inherited, alive.clone())));
        let child = child.unwrap_or_else(|_| {
            Err(io::Error::other("exec failed, and the host ignores SIGCHLD, which hides the reason"))
        });
        // If the caller has dropped the receiver, the child is dropped here, which kills it.
        let _ = reply.send(child);
    }
    drop(alive);
    // Returns when the last child of this thread is dropped.
    let _ = children.recv();
}

fn spawn_one(
    mut command: Command,
    group: Group,
    inherited: &[Arc<OwnedFd>],
    alive: mpsc::Sender<Infallible>,
) -> io::Result<Child> {
    let host = getpid();
    let fds: Vec<RawFd> = inherited.iter().map(|fd| fd.as_raw_fd()).collect();
    if group == Group::Own {
        command.process_group(0);
    }
    #[expect(unsafe_code, reason = "the closure only makes system calls; it neither allocates nor locks")]
    // SAFETY: between fork and exec the closure only makes async-signal-safe system calls, and
    // `fds` are open in the child. The C library reserves the signals 32 and 33, not 37.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::from_raw_unchecked(PARENT_DEATH_SIGNAL)))?;
            // If the host died before the line above, the kernel sends no signal.
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
        Ok(fd) => Ok(Child::new(pid, fd, alive)),
        Err(error) => {
            kill_group(pid);
            // The process may have left its group. The kernel does not reuse its number before it
            // is reaped.
            let _ = kill_process(pid, Signal::KILL);
            reaper::reap(pid);
            Err(error.into())
        }
    }
}

/// Resets what `exec` would keep of the host: ignored signals (`nohup`) and the signal mask. If a
/// worker did not receive the interrupt signal, each cancelled call would cost the whole process.
#[expect(unsafe_code, reason = "rustix has neither signal handlers nor signal masks")]
fn reset_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the call is async-signal-safe. It fails for SIGKILL, SIGSTOP and the signals that
        // the C library reserves.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both calls are async-signal-safe, and the first initializes the memory that the
    // second reads.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
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

    use super::{Group, Spawner};
    use crate::error::ExitStatus;
    use crate::process::child::exited;

    /// A command that waits before `exec` for a byte from the returned pipe.
    fn slow_to_exec(program: &str) -> (Command, std::io::PipeWriter) {
        let (read, write) = std::io::pipe().expect("the system has descriptors");
        let mut command = Command::new(program);
        #[expect(unsafe_code, reason = "the closure only makes one system call")]
        // SAFETY: the closure owns `read`, so it is open in the child, and reading is
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
        let child = spawner.spawn(Command::new(program), Group::Own, Vec::new(), after(60)).await?;
        Ok(exited(&child.watch()?).await)
    }

    #[tokio::test]
    async fn exec_that_hangs_fails_its_start_in_time_and_holds_up_no_other_pool() {
        let (stuck, other) = (
            Spawner::start().expect("the system starts a thread"),
            Spawner::start().expect("the system starts a thread"),
        );
        let (command, mut resume) = slow_to_exec("true");
        let soon = Instant::now() + Duration::from_millis(50);
        let error = stuck.spawn(command, Group::Own, Vec::new(), soon).await.expect_err("exec hangs");
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
        assert_eq!(run(&other, "true").await.expect("each pool has its own thread"), ExitStatus::Code(0));
        resume.write_all(b".").expect("the child reads the pipe");
        assert_eq!(run(&stuck, "true").await.expect("the thread is free again"), ExitStatus::Code(0));
    }

    #[tokio::test]
    async fn program_that_cannot_be_run_is_an_error_and_the_thread_goes_on() {
        let spawner = Spawner::start().expect("the system starts a thread");
        let error = run(&spawner, "/nonexistent/program").await.expect_err("the program does not exist");
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        assert_eq!(run(&spawner, "true").await.expect("the program exists"), ExitStatus::Code(0));
    }
}
