//! `--reload`: reloads the pool when Python files change. The main structure is [`Watch`].

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
use crate::verbosity::Verbosity;

/// How long files must stay unchanged before the reload starts: an editor or a checkout writes
/// several files in a row.
const QUIET: Duration = Duration::from_millis(150);

/// How often to check whether a watched directory, or a link to it, was replaced: not every such
/// change causes an event.
const LOOK: Duration = Duration::from_millis(300);

/// Watches the files until it is dropped.
pub(super) struct Watch {
    task: actix_rt::task::JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches the directory of the worker's script, or the working directory for a module, and
/// `others`.
pub(super) fn watch(pool: &Pool, others: &[PathBuf], log: Option<Verbosity>) -> io::Result<Watch> {
    let files = Files::watch(pool.config(), others)?;
    note(format_args!("watching Python files in {} directories", files.directories()));
    let reload = Reload {
        pool: pool.clone(),
        running: Fuse::terminated(),
        // A worker that fails to start prints its own traceback; repeat it only if `--log` hides
        // it.
        shows_traceback: matches!(log, Some(Verbosity::Off | Verbosity::Error)),
    };
    Ok(Watch { task: actix_rt::spawn(follow(files, reload)) })
}

/// The reload in progress, if any.
struct Reload {
    pool: Pool,
    running: Fuse<LocalBoxFuture<'static, Result<(), StartError>>>,
    shows_traceback: bool,
}

impl Reload {
    /// Starts a reload. It replaces the one in progress, which has read old files and may never
    /// end.
    fn start(&mut self) {
        note(match self.running.is_terminated() {
            true => "a Python file changed: reloading",
            false => "a Python file changed again: restarting the reload",
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
                note(format_args!("error: {error}; the old workers keep serving"));
            }
        }
    }
}

async fn follow(mut files: Files, mut reload: Reload) {
    let mut look = interval(LOOK);
    // When to reload, if something has changed.
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
