//! `--reload`: sees that Python files change, and reloads the pool. The main structure is
//! [`Watch`].

mod files;
mod place;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use actix_pyproc::{Pool, StartError};
use futures::FutureExt as _;
use futures::future::{Fuse, FusedFuture as _, LocalBoxFuture};
use tokio::time::{Instant, interval, sleep_until};

use self::files::Files;
use crate::console::note;
use crate::options::Log;

/// An editor, or a checkout, writes several files one after another: the reload begins when it has
/// been quiet for so long.
const QUIET: Duration = Duration::from_millis(150);

/// How often to look whether a watched directory, or a link to it, is another one now. Not every
/// such change is an event.
const LOOK: Duration = Duration::from_millis(300);

/// Watches until it is dropped.
pub(super) struct Watch {
    task: actix_rt::task::JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches the directory of the worker's script, or the current one for a module, and others.
pub(super) fn watch(pool: &Pool, others: &[PathBuf], log: Option<Log>) -> io::Result<Watch> {
    let files = Files::watch(pool.config(), others)?;
    note(format_args!("watching the Python files in {} directories", files.directories()));
    let reload = Reload {
        pool: pool.clone(),
        running: Fuse::terminated(),
        // A worker that fails to start prints its traceback itself; it is repeated here only if
        // that is not shown.
        shows_traceback: matches!(log, Some(Log::Off | Log::Error)),
    };
    Ok(Watch { task: actix_rt::spawn(follow(files, reload)) })
}

/// The reload under way, if there is one.
struct Reload {
    pool: Pool,
    running: Fuse<LocalBoxFuture<'static, Result<(), StartError>>>,
    shows_traceback: bool,
}

impl Reload {
    /// Starts a reload, in place of the one under way: that one has read files that have changed
    /// since, and may never end.
    fn start(&mut self) {
        note(match self.running.is_terminated() {
            true => "a Python file has changed: reloading",
            false => "a Python file has changed again: reloading once more",
        });
        let pool = self.pool.clone();
        self.running = async move { pool.reload().await }.boxed_local().fuse();
    }

    fn ended(&self, result: Result<(), StartError>) {
        match result {
            Ok(()) => note("reloaded"),
            Err(error) => {
                if self.shows_traceback {
                    note(error.details().trim_end());
                }
                note(format_args!("error: failed to {error}; the old code stays"));
            }
        }
    }
}

async fn follow(mut files: Files, mut reload: Reload) {
    let mut look = interval(LOOK);
    // When it will have been quiet for long enough, if something has changed.
    let mut due: Option<Instant> = None;
    loop {
        let quiet = async {
            match due {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let pending = tokio::select! {
            pending = files.event() => pending,
            _ = look.tick() => files.have_moved(),
            result = &mut reload.running, if !reload.running.is_terminated() => {
                reload.ended(result);
                false
            }
            () = quiet => {
                due = None;
                if files.settle() {
                    reload.start();
                }
                false
            }
        };
        if pending {
            due = Some(Instant::now() + QUIET);
        }
    }
}
