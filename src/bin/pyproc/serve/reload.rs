//! `--reload`: sees that Python files change, and has the pool read them anew. The main structure is [`Watch`].

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_pyproc::{Pool, WorkerSource};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::console::note;
use crate::options::Log;

/// An editor, or a checkout, writes several files one after another: they are read when it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(150);

/// Directories in which there is no code of the user's own, and often very much else.
const IGNORED: [&str; 5] = ["__pycache__", "node_modules", "site-packages", "venv", "target"];

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
    let config = pool.config();
    let own = match &config.worker {
        WorkerSource::Path(path) => {
            path.parent().filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned)
        }
        WorkerSource::Module { .. } => config.cwd.clone(),
    };
    let (tell, told) = mpsc::unbounded_channel();
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // The watch has ended: nobody wants to know.
        let _ = tell.send(event);
    });
    let mut files = Files { watcher: watcher.map_err(io::Error::other)?, watched: BTreeSet::new() };
    for directory in [own.unwrap_or_else(|| ".".into())].iter().chain(others) {
        files.add(&directory.canonicalize()?);
    }
    // A worker that fails to start prints its traceback itself; it is told here only if that is not shown.
    let tell_traceback = matches!(log, Some(Log::Off | Log::Error));
    note(format_args!("watching the Python files in {} directories", files.watched.len()));
    Ok(Watch { task: actix_rt::spawn(follow(pool.clone(), files, told, tell_traceback)) })
}

struct Files {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
}

impl Files {
    /// Watches a directory and those in it, without following links out of it.
    fn add(&mut self, directory: &Path) {
        if let Err(error) = self.watcher.watch(directory, RecursiveMode::NonRecursive) {
            note(format_args!("warning: {} is not watched: {error}", directory.display()));
            return;
        }
        self.watched.insert(directory.to_owned());
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_ignored(&path) {
                self.add(&path);
            }
        }
    }

    /// Whether an event is about code; a directory that is new is watched from now on.
    fn concerns(&mut self, event: &Event) -> bool {
        if let EventKind::Create(_) = event.kind {
            for path in event.paths.iter().filter(|path| path.is_dir() && !is_ignored(path)) {
                self.add(path);
            }
        }
        !matches!(event.kind, EventKind::Access(_))
            && event
                .paths
                .iter()
                .any(|path| path.extension().is_some_and(|extension| extension == "py") || path.is_dir())
    }
}

/// Hidden, or known for other people's code. A virtual environment of any name has its mark in it.
fn is_ignored(directory: &Path) -> bool {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || IGNORED.contains(&&*name) || directory.join("pyvenv.cfg").exists()
}

async fn follow(
    pool: Pool,
    mut files: Files,
    mut told: mpsc::UnboundedReceiver<notify::Result<Event>>,
    tell_traceback: bool,
) {
    while let Some(event) = told.recv().await {
        if !concerns(&mut files, event) {
            continue;
        }
        while let Ok(Some(event)) = tokio::time::timeout(QUIET, told.recv()).await {
            concerns(&mut files, event);
        }
        note("the code has changed: reading it anew");
        match pool.reload().await {
            Ok(()) => note("reloaded"),
            Err(error) => {
                if tell_traceback {
                    note(error.details().trim_end());
                }
                note(format_args!("error: failed to {error}; the old code stays"));
            }
        }
    }
}

fn concerns(files: &mut Files, event: notify::Result<Event>) -> bool {
    match event {
        Ok(event) => files.concerns(&event),
        Err(error) => {
            note(format_args!("warning: the watch on the files: {error}"));
            false
        }
    }
}
