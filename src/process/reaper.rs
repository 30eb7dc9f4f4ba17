//! The thread that reaps killed children, for all pools of the host. The main item is [`reap`].

use std::io;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

/// The first and the longest pause between two attempts to reap children that have not ended.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

static REAPER: Mutex<Option<mpsc::Sender<Pid>>> = Mutex::new(None);

/// Starts the thread unless it runs.
pub(super) fn start() -> io::Result<()> {
    with_reaper(|_| ())
}

/// Leaves a killed child to the thread.
pub(super) fn reap(pid: Pid) {
    // Spawning a child starts the thread first. Without the thread, init reaps the child.
    let _ = with_reaper(|reaper| reaper.send(pid));
}

fn with_reaper<T>(body: impl FnOnce(&mpsc::Sender<Pid>) -> T) -> io::Result<T> {
    let mut reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    if reaper.is_none() {
        let (reap, dead) = mpsc::channel();
        thread::Builder::new().name("pyproc-reaper".into()).spawn(move || reap_all(&dead))?;
        *reaper = Some(reap);
    }
    Ok(body(reaper.as_ref().expect("the lines above started it")))
}

fn reap_all(dead: &mpsc::Receiver<Pid>) {
    let mut pending = Vec::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let next = match pending.is_empty() {
            true => dead.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            false => dead.recv_timeout(pause),
        };
        match next {
            Ok(pid) => {
                pending.push(pid);
                pause = FIRST_PAUSE;
            }
            // A process that waits in the kernel may never die.
            Err(mpsc::RecvTimeoutError::Timeout) => pause = (pause * 2).min(LONGEST_PAUSE),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        pending.retain(|&pid| matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None) | Err(Errno::INTR)));
    }
}
