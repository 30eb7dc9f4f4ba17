//! Watches the directories of the code. The main structure is [`Files`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use actix_pyproc::PoolConfig;
use actix_pyproc::config::WorkerSource;
use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::place::{Place, directories_on_the_way, directory};
use crate::console::note;

/// Directories that contain other people's code, and often many files.
const IGNORED: [&str; 5] = ["__pycache__", "node_modules", "site-packages", "venv", "target"];

/// The code, where it is, and whether it has changed.
pub(super) struct Files {
    /// The script as the user named it; `None` for a module.
    script: Option<PathBuf>,
    /// The directories as the user named them.
    named: Vec<PathBuf>,
    /// The places of all of these at the last check.
    places: Vec<Place>,
    armed: Armed,
    /// Whether the code has changed since the last reload.
    changed: bool,
}

/// A watch on directories. It does not see directories that replace them.
struct Armed {
    watcher: RecommendedWatcher,
    events: mpsc::UnboundedReceiver<notify::Result<Event>>,
    watched: BTreeSet<PathBuf>,
    /// The Python files in them, with time of change and length.
    code: BTreeMap<PathBuf, (SystemTime, u64)>,
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
        Ok(Self { script, named, places, armed, changed: false })
    }

    /// The number of watched directories.
    pub(super) fn directories(&self) -> usize {
        self.armed.watched.len()
    }

    /// Waits for the next event; `true` if it makes [`Files::settle`] necessary. Cancellation
    /// safety: no event is lost.
    pub(super) async fn event(&mut self) -> bool {
        match self.armed.events.recv().await {
            Some(Ok(event)) => {
                let change = self.armed.classify(&event);
                self.changed |= change.code;
                change.directories || change.code
            }
            Some(Err(error)) => {
                note(format_args!("warning: failed to watch the files: {error}"));
                // Events may have been missed.
                self.changed = true;
                true
            }
            // The watcher holds the sender and lives as long as the receiver.
            None => std::future::pending().await,
        }
    }

    /// Whether a path leads to another place than at the last check.
    pub(super) fn have_moved(&mut self) -> bool {
        let places = places(self.script.as_deref(), &self.named);
        let moved = places != self.places;
        self.changed |= moved;
        self.places = places;
        moved
    }

    /// Starts a new watch on what exists now; `true` if the code must be reloaded. Later changes
    /// cause events, earlier ones are part of the reload.
    pub(super) fn settle(&mut self) -> bool {
        match Armed::start(self.script.as_deref(), &self.named) {
            Ok(armed) => {
                // Files written to a new directory before it was watched caused no event.
                self.changed |= armed.code != self.armed.code;
                self.armed = armed;
            }
            Err(error) => note(format_args!("warning: failed to watch the files: {error}")),
        }
        let reads = self.changed && self.script_exists();
        self.changed &= !reads;
        reads
    }

    /// Whether the script exists. It may be missing for a moment while a directory is replaced.
    fn script_exists(&self) -> bool {
        self.script.as_ref().is_none_or(|script| script.exists())
    }
}

fn places(script: Option<&Path>, named: &[PathBuf]) -> Vec<Place> {
    script.map(Place::of_file).into_iter().chain(named.iter().map(|path| Place::of(path))).collect()
}

impl Armed {
    fn start(script: Option<&Path>, named: &[PathBuf]) -> io::Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // The receiver is gone if the watch has ended or was replaced.
            let _ = sender.send(event);
        });
        let watcher = watcher.map_err(io::Error::other)?;
        let mut armed = Self { watcher, events, watched: BTreeSet::new(), code: BTreeMap::new() };
        let on_the_way = script.map(directories_on_the_way).unwrap_or_default();
        // Python imports from the real directory of the script.
        let last = on_the_way.last().cloned();
        for directory in named.iter().chain(&last) {
            // A directory may be missing for a moment; the periodic check finds it again.
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

    /// Watches a directory and its subdirectories, without following links.
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

    /// Watches a directory; `false` if it is watched already or cannot be watched.
    fn add(&mut self, directory: &Path) -> bool {
        if self.watched.contains(directory) {
            return false;
        }
        if let Err(error) = self.watcher.watch(directory, RecursiveMode::NonRecursive) {
            note(format_args!("warning: failed to watch {}: {error}", directory.display()));
            return false;
        }
        self.watched.insert(directory.to_owned());
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            // A link counts as its target.
            if let Ok(metadata) = std::fs::metadata(&path)
                && is_code(&path)
            {
                let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                self.code.insert(path, (written, metadata.len()));
            }
        }
        true
    }

    fn classify(&self, event: &Event) -> Change {
        if event.need_rescan() {
            return Change { directories: true, code: true };
        }
        let names = matches!(
            event.kind,
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
        );
        let is_directory =
            |path: &PathBuf| self.watched.contains(path) || (path.is_dir() && !is_ignored(path));
        let had_code = |path: &PathBuf| self.code.keys().any(|file| file.starts_with(path));
        let directories = names && event.paths.iter().any(is_directory);
        let code =
            !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(|path| is_code(path));
        Change { directories, code: code || (directories && event.paths.iter().any(had_code)) }
    }
}

/// What an event changed.
struct Change {
    /// A directory was created, removed or replaced.
    directories: bool,
    /// A Python file was created, removed or changed.
    code: bool,
}

fn is_code(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "py")
}

/// Whether a directory is hidden or contains other people's code. A virtual environment of any name
/// contains a `pyvenv.cfg`.
fn is_ignored(directory: &Path) -> bool {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || IGNORED.contains(&&*name) || directory.join("pyvenv.cfg").exists()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use actix_pyproc::PoolConfig;
    use tempfile::TempDir;

    use super::Files;

    /// How long an event may take to arrive.
    const CAP: Duration = Duration::from_secs(60);

    async fn event(files: &mut Files) {
        let relevant = async { while !files.event().await {} };
        tokio::time::timeout(CAP, relevant).await.expect("an event arrives");
    }

    #[actix_rt::test]
    async fn directory_is_a_change_only_if_there_is_code_in_it() {
        let root = TempDir::new().expect("the directory is writable");
        let at = |name: &str| root.path().join(name);
        fs::write(at("worker.py"), "").expect("the directory is writable");
        let mut files = Files::watch(&PoolConfig::new(at("worker.py")), &[]).expect("the path exists");
        assert_eq!(files.directories(), 1);
        // A worker creates one when it starts: that must not cause another reload.
        fs::create_dir(at("cache")).expect("the directory is writable");
        event(&mut files).await;
        assert!(!files.settle());
        assert_eq!(files.directories(), 2);
        fs::write(at("cache/data.txt"), "").expect("the directory is writable");
        fs::write(at("cache/module.py"), "").expect("the directory is writable");
        event(&mut files).await;
        assert!(files.settle() && !files.settle());
        // What was written before the directory was watched causes no event.
        fs::create_dir(at("package")).expect("the directory is writable");
        fs::write(at("package/module.py"), "").expect("the directory is writable");
        event(&mut files).await;
        assert!(files.settle());
        fs::remove_dir_all(at("package")).expect("the path exists");
        event(&mut files).await;
        assert!(files.settle());
    }

    #[actix_rt::test]
    async fn script_that_is_gone_is_read_when_it_is_back() {
        let root = TempDir::new().expect("the directory is writable");
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("app")).expect("the directory is writable");
        fs::write(at("app/worker.py"), "").expect("the directory is writable");
        let mut files = Files::watch(&PoolConfig::new(at("app/worker.py")), &[]).expect("the path exists");
        assert!(!files.have_moved());
        fs::rename(at("app"), at("gone")).expect("the path exists");
        assert!(files.have_moved() && !files.settle());
        fs::rename(at("gone"), at("app")).expect("the path exists");
        assert!(files.have_moved() && files.settle());
        assert!(!files.have_moved());
    }
}
