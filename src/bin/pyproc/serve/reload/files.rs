//! The directories of the code, and what changes in them. The main structure is [`Files`].

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use actix_pyproc::{PoolConfig, WorkerSource};
use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::place::{directories_on_the_way, directory, Place};
use crate::console::note;

/// Directories in which there is no code of the user's own, and often very much else.
const IGNORED: [&str; 5] = ["__pycache__", "node_modules", "site-packages", "venv", "target"];

/// Watches the code as it is now, and where it is.
pub(super) struct Files {
    /// The script as it was named; none for a module.
    script: Option<PathBuf>,
    /// The directories of the user, as they were named.
    named: Vec<PathBuf>,
    /// Where all of these led when they were looked at.
    places: Vec<Place>,
    armed: Armed,
    /// Whether there are other directories than those that are watched.
    outdated: bool,
}

/// A watch on directories. It sees nothing of what comes in their place.
struct Armed {
    watcher: RecommendedWatcher,
    events: mpsc::UnboundedReceiver<notify::Result<Event>>,
    watched: BTreeSet<PathBuf>,
}

impl Files {
    /// # Errors
    /// If a directory does not exist.
    pub(super) fn watch(config: &PoolConfig, others: &[PathBuf]) -> io::Result<Self> {
        let (script, own) = match &config.worker {
            WorkerSource::Path(path) => (Some(path.clone()), directory(path)),
            WorkerSource::Module { .. } => (None, config.cwd.clone().unwrap_or_else(|| ".".into())),
        };
        let named: Vec<PathBuf> = std::iter::once(own).chain(others.iter().cloned()).collect();
        for directory in &named {
            directory.canonicalize().map_err(|error| {
                io::Error::new(error.kind(), format!("failed to watch {}: {error}", directory.display()))
            })?;
        }
        let places = places(script.as_deref(), &named);
        let armed = Armed::start(script.as_deref(), &named)?;
        Ok(Self { script, named, places, armed, outdated: false })
    }

    /// How many directories are watched.
    pub(super) fn directories(&self) -> usize {
        self.armed.watched.len()
    }

    /// Waits for the next event; whether it is about code. Cancellation safety: none is lost.
    pub(super) async fn changed(&mut self) -> bool {
        match self.armed.events.recv().await {
            Some(Ok(event)) => {
                let directories = self.armed.are_others(&event);
                self.outdated |= directories;
                directories || is_about_code(&event)
            }
            Some(Err(error)) => {
                note(format_args!("warning: failed to watch the files: {error}"));
                // Something may have been missed.
                self.outdated = true;
                true
            }
            // The watcher lives as long as the other end of the channel.
            None => std::future::pending().await,
        }
    }

    /// Whether a path leads elsewhere than it did.
    pub(super) fn have_moved(&mut self) -> bool {
        let places = places(self.script.as_deref(), &self.named);
        let moved = places != self.places;
        self.outdated |= moved;
        self.places = places;
        moved
    }

    /// Watches what there is now, if it has changed which directories there are.
    pub(super) fn watch_again(&mut self) {
        if !self.outdated {
            return;
        }
        match Armed::start(self.script.as_deref(), &self.named) {
            Ok(armed) => (self.armed, self.outdated) = (armed, false),
            Err(error) => note(format_args!("warning: failed to watch the files: {error}")),
        }
    }

    /// Whether there is something to run. A directory that is replaced may be gone for a moment.
    pub(super) fn script_exists(&self) -> bool {
        self.script.as_ref().is_none_or(|script| script.exists())
    }
}

fn places(script: Option<&Path>, named: &[PathBuf]) -> Vec<Place> {
    script.map(Place::of_file).into_iter().chain(named.iter().map(|path| Place::of(path))).collect()
}

impl Armed {
    fn start(script: Option<&Path>, named: &[PathBuf]) -> io::Result<Self> {
        let (tell, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // The watch has ended, or another one has taken its place.
            let _ = tell.send(event);
        });
        let watcher = watcher.map_err(io::Error::other)?;
        let mut armed = Self { watcher, events, watched: BTreeSet::new() };
        let on_the_way = script.map(directories_on_the_way).unwrap_or_default();
        // Python imports from the directory that the script is really in.
        let last = on_the_way.last().cloned();
        for directory in named.iter().chain(&last) {
            // One that is gone for a moment is looked for again and again.
            if let Ok(directory) = directory.canonicalize() {
                armed.add_tree(&directory);
            }
        }
        for directory in on_the_way {
            if let Ok(directory) = directory.canonicalize() {
                armed.add(&directory);
            }
        }
        Ok(armed)
    }

    /// Watches a directory and those in it, without following links out of it.
    fn add_tree(&mut self, directory: &Path) {
        if !self.add(directory) {
            return;
        }
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_ignored(&path) {
                self.add_tree(&path);
            }
        }
    }

    /// Watches a directory; `false` if it is watched already, or cannot be.
    fn add(&mut self, directory: &Path) -> bool {
        if self.watched.contains(directory) {
            return false;
        }
        if let Err(error) = self.watcher.watch(directory, RecursiveMode::NonRecursive) {
            note(format_args!("warning: failed to watch {}: {error}", directory.display()));
            return false;
        }
        self.watched.insert(directory.to_owned())
    }

    /// Whether a directory of code has come, gone or was replaced, or events were lost.
    fn are_others(&self, event: &Event) -> bool {
        let kind = matches!(
            event.kind,
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
        );
        let is_directory =
            |path: &PathBuf| self.watched.contains(path) || (path.is_dir() && !is_ignored(path));
        event.need_rescan() || (kind && event.paths.iter().any(is_directory))
    }
}

fn is_about_code(event: &Event) -> bool {
    let is_code = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "py");
    !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(is_code)
}

/// Hidden, or known for other people's code. A virtual environment of any name has its mark in it.
fn is_ignored(directory: &Path) -> bool {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || IGNORED.contains(&&*name) || directory.join("pyvenv.cfg").exists()
}
