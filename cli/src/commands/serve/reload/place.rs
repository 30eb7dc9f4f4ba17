//! Resolves a path through links that may change. The main structure is [`Place`].

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How many links may lead to a file, as on Linux.
const MAX_LINKS: usize = 40;

/// The target of a path at some moment; `None` if it led nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place(Option<(PathBuf, u64, u64)>);

impl Place {
    /// Resolves a path. If a file or directory was replaced, its place differs.
    pub(super) fn of(path: &Path) -> Self {
        let look = || -> io::Result<_> {
            let real = path.canonicalize()?;
            let metadata = fs::metadata(&real)?;
            Ok((real, metadata.dev(), metadata.ino()))
        };
        Self(look().ok())
    }

    /// As [`Place::of`], but a replaced file has the same place: editors replace a file when they
    /// save it.
    pub(super) fn of_file(path: &Path) -> Self {
        Self(path.canonicalize().ok().map(|real| (real, 0, 0)))
    }
}

/// The directory of a file.
pub(super) fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => ".".into(),
    }
}

/// The directories of the links that lead from `path` to a file; the last is that of the file.
pub(super) fn directories_on_the_way(path: &Path) -> Vec<PathBuf> {
    let mut here = path.to_owned();
    let mut directories = vec![directory(&here)];
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&here) else { break };
        here = directory(&here).join(target);
        directories.push(directory(&here));
    }
    directories
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::{Place, directories_on_the_way};

    #[test]
    fn another_directory_at_a_path_is_another_place_and_a_file_that_was_saved_is_not() {
        let dir = TempDir::new().expect("the directory is writable");
        let [app, new] = ["app", "new"].map(|name| dir.path().join(name));
        assert_eq!(Place::of(&app), Place(None));
        fs::create_dir(&app).expect("the directory is writable");
        fs::create_dir(&new).expect("the directory is writable");
        let script = app.join("worker.py");
        fs::write(&script, "").expect("the directory is writable");
        let (directory, file) = (Place::of(&app), Place::of_file(&script));
        let saved = dir.path().join("saved");
        fs::write(&saved, "1").expect("the directory is writable");
        fs::rename(&saved, &script).expect("the path exists");
        assert_eq!((Place::of(&app), Place::of_file(&script)), (directory, file));
        let directory = Place::of(&app);
        fs::rename(&app, dir.path().join("old")).expect("the path exists");
        fs::rename(&new, &app).expect("the path exists");
        assert_ne!(Place::of(&app), directory);
    }

    #[test]
    fn each_link_on_the_way_to_a_script_has_its_directory() {
        let dir = TempDir::new().expect("the directory is writable");
        let at = |name: &str| dir.path().join(name);
        for name in ["app", "links", "real"] {
            fs::create_dir(at(name)).expect("the directory is writable");
        }
        fs::write(at("real/worker.py"), "").expect("the directory is writable");
        symlink(at("real/worker.py"), at("links/current.py")).expect("the directory is writable");
        symlink("../links/current.py", at("app/worker.py")).expect("the directory is writable");
        let found = directories_on_the_way(&at("app/worker.py"));
        let found: Vec<_> = found.iter().map(|path| path.canonicalize().expect("the path exists")).collect();
        let root = dir.path().canonicalize().expect("the path exists");
        assert_eq!(found, ["app", "links", "real"].map(|name| root.join(name)));
        symlink("loop.py", at("app/loop.py")).expect("the directory is writable");
        assert!(directories_on_the_way(&at("app/loop.py")).len() > 1, "it ends");
    }
}
