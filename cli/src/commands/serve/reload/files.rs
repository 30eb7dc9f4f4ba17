//! The directories of the code, and what changes in them. The main structure is [`Files`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use actix_pyproc::{PoolConfig, WorkerSource};
use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::place::{Place, directories_on_the_way, directory};
use crate::console::note;

/// Directories that hold none of the user's own code, and often many files.
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
    /// Whether the code is not what was read last.
    changed: bool,
}

/// A watch on directories. It sees nothing of what comes in their place.
struct Armed {
    watcher: RecommendedWatcher,
    events: mpsc::UnboundedReceiver<notify::Result<Event>>,
    watched: BTreeSet<PathBuf>,
    /// The files in them, each with when it was written and its length.
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

    /// How many directories are watched.
    pub(super) fn directories(&self) -> usize {
        self.armed.watched.len()
    }

    /// Waits for the next event; whether [`Files::settle`] has something to do for it. Cancellation
    /// safety: none is lost.
    pub(super) async fn event(&mut self) -> bool {
        match self.armed.events.recv().await {
            Some(Ok(event)) => {
                let seen = self.armed.judge(&event);
                self.changed |= seen.code;
                seen.directories || seen.code
            }
            Some(Err(error)) => {
                note(format_args!("warning: failed to watch the files: {error}"));
                // Something may have been missed.
                self.changed = true;
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
        self.changed |= moved;
        self.places = places;
        moved
    }

    /// Watches what there is now; whether the code is to be read again. What changes from here on
    /// is an event, what has changed before is read.
    pub(super) fn settle(&mut self) -> bool {
        match Armed::start(self.script.as_deref(), &self.named) {
            Ok(armed) => {
                // What was written into a new directory before it was watched was no event.
                self.changed |= armed.code != self.armed.code;
                self.armed = armed;
            }
            Err(error) => note(format_args!("warning: failed to watch the files: {error}")),
        }
        let reads = self.changed && self.script_exists();
        self.changed &= !reads;
        reads
    }

    /// Whether there is something to run. A directory that is replaced may be gone for a moment.
    fn script_exists(&self) -> bool {
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
        let mut armed = Self { watcher, events, watched: BTreeSet::new(), code: BTreeMap::new() };
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
        self.watched.insert(directory.to_owned());
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            // A link counts as what it leads to.
            if let Ok(metadata) = std::fs::metadata(&path)
                && is_code(&path)
            {
                let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                self.code.insert(path, (written, metadata.len()));
            }
        }
        true
    }

    fn judge(&self, event: &Event) -> Seen {
        if event.need_rescan() {
            return Seen { directories: true, code: true };
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
        Seen { directories, code: code || (directories && event.paths.iter().any(had_code)) }
    }
}

/// What an event says.
struct Seen {
    /// A directory has come, gone or was replaced.
    directories: bool,
    /// Code is not what it was.
    code: bool,
}

fn is_code(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "py")
}

/// Hidden, or known for other people's code. A virtual environment of any name has its mark in it.
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

    /// How long an event may take.
    const CAP: Duration = Duration::from_secs(60);

    async fn event(files: &mut Files) {
        let concerns = async { while !files.event().await {} };
        tokio::time::timeout(CAP, concerns).await.expect("there is an event");
    }

    #[actix_rt::test]
    async fn directory_is_a_change_only_if_there_is_code_in_it() {
        let root = TempDir::new().expect("there is room");
        let at = |name: &str| root.path().join(name);
        fs::write(at("worker.py"), "").expect("there is room");
        let mut files = Files::watch(&PoolConfig::new(at("worker.py")), &[]).expect("it is there");
        assert_eq!(files.directories(), 1);
        // A worker makes one at its start: that must not start the next worker.
        fs::create_dir(at("cache")).expect("there is room");
        event(&mut files).await;
        assert!(!files.settle());
        assert_eq!(files.directories(), 2);
        fs::write(at("cache/data.txt"), "").expect("there is room");
        fs::write(at("cache/module.py"), "").expect("there is room");
        event(&mut files).await;
        assert!(files.settle() && !files.settle());
        // What was written before the directory was watched causes no event.
        fs::create_dir(at("package")).expect("there is room");
        fs::write(at("package/module.py"), "").expect("there is room");
        event(&mut files).await;
        assert!(files.settle());
        fs::remove_dir_all(at("package")).expect("it is there");
        event(&mut files).await;
        assert!(files.settle());
    }

    #[actix_rt::test]
    async fn script_that_is_gone_is_read_when_it_is_back() {
        let root = TempDir::new().expect("there is room");
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("app")).expect("there is room");
        fs::write(at("app/worker.py"), "").expect("there is room");
        let mut files = Files::watch(&PoolConfig::new(at("app/worker.py")), &[]).expect("it is there");
        assert!(!files.have_moved());
        fs::rename(at("app"), at("gone")).expect("it is there");
        assert!(files.have_moved() && !files.settle());
        fs::rename(at("gone"), at("app")).expect("it is there");
        assert!(files.have_moved() && files.settle());
        assert!(!files.have_moved());
    }
}
