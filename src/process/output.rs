//! Standard output, standard error and log records of a worker. The main structure is [`Output`].

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::lines::{Lines, Tail};
use super::log::Source;

/// Longer lines of output are split.
const MAX_LINE: usize = 8 * 1024;

/// The maximum length of a log record in the protocol.
const MAX_RECORD: usize = 64 * 1024;

/// The size of a read.
const CHUNK: usize = 16 * 1024;

/// The read ends of a worker's pipes.
pub(super) struct Pipes {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) log: OwnedFd,
}

/// The tasks that read a worker's pipes to their end, so that the worker does not block on output.
/// Dropping this structure cancels them, even if a descendant of the worker holds a pipe open.
pub(super) struct Output {
    tail: Rc<RefCell<Tail>>,
    ended: [CancellationToken; 3],
    _stop: DropGuard,
}

impl Output {
    /// Starts the tasks. It must be called on an arbiter.
    pub(super) fn start(source: Source, pipes: Pipes, tail_lines: usize) -> io::Result<Self> {
        let tail = Rc::new(RefCell::new(Tail::new(tail_lines)));
        let keep = Rc::clone(&tail);
        let (stdout, stderr) = (source.clone(), source.clone());
        let stop = CancellationToken::new();
        let ended = [
            read_lines(pipes.stdout, MAX_LINE, &stop, move |line| stdout.stdout(line))?,
            read_lines(pipes.stderr, MAX_LINE, &stop, move |line| {
                let line = String::from_utf8_lossy(line);
                stderr.stderr(&line);
                keep.borrow_mut().push(&line);
            })?,
            read_lines(pipes.log, MAX_RECORD, &stop, move |line| source.record(line))?,
        ];
        Ok(Self { tail, ended, _stop: stop.drop_guard() })
    }

    /// Waits until all pipes are at their end, but no longer than `limit`.
    pub(super) async fn drained(&self, limit: Duration) {
        let all = async {
            for ended in &self.ended {
                ended.cancelled().await;
            }
        };
        // If a descendant holds a pipe open, all output of the worker itself has been read.
        let _ = tokio::time::timeout(limit, all).await;
    }

    /// The last lines of standard error, oldest first.
    pub(super) fn stderr_tail(&self) -> Arc<[String]> {
        self.tail.borrow().snapshot()
    }
}

/// Starts a task that reads one pipe. The returned token is cancelled when the task ends.
fn read_lines(
    pipe: OwnedFd,
    max_line: usize,
    stop: &CancellationToken,
    mut sink: impl FnMut(&[u8]) + 'static,
) -> io::Result<CancellationToken> {
    let mut pipe = Receiver::from_owned_fd(pipe)?;
    let ended = CancellationToken::new();
    let guard = ended.clone().drop_guard();
    let stop = stop.clone();
    tokio::task::spawn_local(async move {
        let _guard = guard;
        let mut lines = Lines::new(max_line);
        let read_all = async {
            let mut chunk = vec![0; CHUNK];
            while let Ok(read @ 1..) = pipe.read(&mut chunk).await {
                lines.push(&chunk[..read], &mut sink);
                if read == chunk.len() {
                    // A flood of output must not starve the actors.
                    tokio::task::yield_now().await;
                }
            }
        };
        stop.run_until_cancelled(read_all).await;
        lines.finish(&mut sink);
    });
    Ok(ended)
}
