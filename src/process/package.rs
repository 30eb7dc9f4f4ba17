//! The embedded Python package `pyproc_worker`. The main item is [`sources_json`].

use std::collections::BTreeMap;

macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../python_workers/", $name)))),*]
    };
}

/// The files with their paths in the package.
const SOURCES: &[(&str, &str)] = sources![
    "pyproc_worker/__init__.py",
    "pyproc_worker/_async_loop.py",
    "pyproc_worker/_bind.py",
    "pyproc_worker/_calls.py",
    "pyproc_worker/_channel.py",
    "pyproc_worker/_checked.py",
    "pyproc_worker/_codec.py",
    "pyproc_worker/_context.py",
    "pyproc_worker/_convert.py",
    "pyproc_worker/_default.py",
    "pyproc_worker/_definitions.py",
    "pyproc_worker/_describe.py",
    "pyproc_worker/_errors.py",
    "pyproc_worker/_faults.py",
    "pyproc_worker/_frames.py",
    "pyproc_worker/_greenlets.py",
    "pyproc_worker/_interrupt.py",
    "pyproc_worker/_json_libraries.py",
    "pyproc_worker/_libraries.py",
    "pyproc_worker/_load.py",
    "pyproc_worker/_logging.py",
    "pyproc_worker/_main.py",
    "pyproc_worker/_msgpack.py",
    "pyproc_worker/_named_tuples.py",
    "pyproc_worker/_names.py",
    "pyproc_worker/_records.py",
    "pyproc_worker/_refusal.py",
    "pyproc_worker/_registry.py",
    "pyproc_worker/_results.py",
    "pyproc_worker/_spread.py",
    "pyproc_worker/_sync_loop.py",
    "pyproc_worker/_terminal.py",
    "pyproc_worker/_threads.py",
    "pyproc_worker/_trace.py",
    "pyproc_worker/_types.py",
    "pyproc_worker/_worker.py",
];

/// The files as a JSON object, the input of the probe.
pub(super) fn sources_json() -> Vec<u8> {
    let sources: BTreeMap<_, _> = SOURCES.iter().copied().collect();
    serde_json::to_vec(&sources).expect("strings encode as JSON")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// What only tests of worker scripts need, which install the package.
    const NOT_EMBEDDED: [&str; 2] = ["_in_process.py", "testing.py"];

    #[test]
    fn list_of_files_is_the_directory() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("python_workers/pyproc_worker");
        let entries = std::fs::read_dir(directory).expect("the repository contains the package");
        let mut files: Vec<String> = entries
            .map(|entry| entry.expect("the directory is readable").file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".py") && !NOT_EMBEDDED.contains(&name.as_str()))
            .map(|name| format!("pyproc_worker/{name}"))
            .collect();
        files.sort();
        let listed: Vec<&str> = super::SOURCES.iter().map(|(name, _)| *name).collect();
        assert_eq!(listed, files);
    }
}
