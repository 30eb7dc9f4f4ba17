//! Each invariant of `ARCHITECTURE.md` names what holds it, and its code map names what exists.

use std::fs;
use std::path::{Path, PathBuf};

use crate::semantics::{exists, named};
use crate::support::{read, root};

/// The files below `directory` with this extension, as paths from the root.
pub(crate) fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(root().join(&directory)).expect("the directory exists") {
            let entry = entry.expect("the directory can be read");
            let path = directory.join(entry.file_name());
            if entry.file_type().expect("the entry exists").is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "{directory} has no .{extension} file");
    found
}

/// The file without comments.
pub(crate) fn code(path: &Path) -> String {
    let text = read(path);
    text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect()
}

fn assert_none_has(files: Vec<PathBuf>, words: &[&str]) {
    for path in files {
        let code = code(&path);
        for word in words {
            assert!(!code.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn every_invariant_names_what_holds_it() {
    let page = read("ARCHITECTURE.md").replace("\n- ", "\n\n- ");
    let invariants: Vec<_> = page.split("\n\n").filter(|text| text.contains("**Invariant:**")).collect();
    assert!(invariants.len() >= 15, "{} invariants", invariants.len());
    for invariant in invariants {
        let invariant = invariant.replace('\n', " ");
        let (_, holders) =
            invariant.split_once("Held by ").unwrap_or_else(|| panic!("held by what? {invariant}"));
        let tests = named(holders);
        let quoted = holders.split('`').skip(1).step_by(2);
        let files: Vec<_> = quoted.filter(|text| text.contains('.') && !text.contains("::")).collect();
        files
            .iter()
            .for_each(|file| assert!(root().join(file).exists(), "{file} does not exist: {invariant}"));
        assert!(!tests.is_empty() || !files.is_empty(), "neither a test nor a file: {invariant}");
        tests.into_iter().for_each(exists);
    }
}

#[test]
fn the_code_map_names_what_exists() {
    let page = read("ARCHITECTURE.md");
    let map = page.split("## Code map").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = map.expect("there is a code map").lines().filter(|line| line.starts_with("| `"));
    for row in rows {
        let paths = row.split(" | ").next().unwrap_or_default().split('`').skip(1).step_by(2);
        for path in paths {
            let file = format!("{}.rs", path.trim_end_matches('/'));
            assert!(root().join(path).exists() || root().join(&file).exists(), "{path} does not exist");
        }
    }
}

#[test]
fn actors_know_no_processes_sockets_or_formats() {
    let foreign =
        ["std::process", "std::net", "std::os", "std::fs", "tokio::net", "tokio::process", "serde_json"];
    assert_none_has(files("actors/src", "rs"), &foreign);
}

#[test]
fn the_wire_does_no_io_and_processes_know_no_actors() {
    // The vectors are read by a test.
    let mut wire = files("src/wire", "rs");
    wire.retain(|path| !path.ends_with("vectors.rs"));
    assert_none_has(wire, &["tokio::", "std::net", "std::os::fd", "std::fs", "actix"]);
    assert_none_has(
        files("src/process", "rs"),
        &[
            "actix::",
            "actix_pyproc_actors::worker",
            "actix_pyproc_actors::router",
            "actix_pyproc_actors::supervisor",
            "actix_pyproc_actors::{",
        ],
    );
}

#[test]
fn unsafe_code_is_only_where_processes_are() {
    for directory in ["src", "actors/src", "cli/src"] {
        let mut files = files(directory, "rs");
        files.retain(|path| !path.starts_with("src/process"));
        assert_none_has(files, &["unsafe {", "unsafe fn", "unsafe impl", "expect(unsafe_code"]);
    }
}

#[test]
fn examples_and_the_command_line_use_no_hidden_module() {
    for directory in ["examples", "cli/src"] {
        assert_none_has(files(directory, "rs"), &["actix_pyproc::wire", "actix_pyproc::backend", "__typed"]);
    }
}

#[test]
fn workers_never_unpickle() {
    assert_none_has(
        files("python_workers/pyproc_worker", "py"),
        &["import pickle", "import marshal", "import dill"],
    );
}
