//! Each row of the tables of arguments and results, through `pyproc call`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Ended, pyproc};
use crate::support::front_door::{Outcome, Row, all_rows};
use crate::support::{python_with_libraries, read};

/// Runs a row. Its worker has no other function, so that it starts quickly.
fn call(row: &Row, source: &Value, python: &Path, directory: &Path) -> Ended {
    let only = directory.join(format!("{}.json", row.id));
    fs::write(&only, json!({"rows": [source]}).to_string()).expect("the directory is writable");
    let mut args = vec![row.id.clone(), "--json".to_owned()];
    match (&row.bytes, &row.argument) {
        (Some(bytes), _) => {
            let path = directory.join(format!("{}.bytes", row.id));
            fs::write(&path, bytes).expect("the directory is writable");
            args.extend(["--bytes".to_owned(), path.to_str().expect("it is UTF-8").to_owned()]);
        }
        (None, Some(argument)) => args.push(argument.to_string()),
        (None, None) => {}
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    pyproc("call", "front_door.py", &args)
        .env_os("FRONT_DOOR_ROWS", only.as_os_str())
        .env_os("PYPROC_PYTHON", python.as_os_str())
        .run()
}

fn check(row: &Row, ended: Ended) {
    match &row.outcome {
        Outcome::Result(_) => {
            assert_eq!(ended.code, Some(0), "{}: {}", row.id, ended.stderr);
            let result = serde_json::from_slice(&ended.stdout);
            row.expects_result(&result.unwrap_or_else(|error| panic!("{}: {error}", row.id)));
        }
        Outcome::Errors(expected) => {
            assert_eq!((ended.code, &*ended.stdout), (Some(6), &b""[..]), "{}: {}", row.id, ended.stderr);
            let lines: Vec<&str> = ended.stderr.lines().filter_map(|line| line.strip_prefix("  ")).collect();
            let fits = |(path, _, message): &(String, String, String), line: &str| {
                line.strip_prefix(path.as_str()).is_some_and(|rest| rest.contains(message))
            };
            let all = expected.iter().zip(&lines).all(|(expected, line)| fits(expected, line));
            assert!(all && expected.len() == lines.len(), "{}: {expected:?}: {}", row.id, ended.stderr);
        }
        Outcome::Error(kind, text) => {
            let code = if kind == "exception" { 1 } else { 6 };
            assert_eq!(ended.code, Some(code), "{}: {}", row.id, ended.stderr);
            assert!(ended.stderr.contains(text), "{}: {text}: {}", row.id, ended.stderr);
        }
    }
}

/// Whether the interpreter has a library.
fn has(python: &Path, library: &str) -> bool {
    let code = format!("import sys, importlib.util as i; sys.exit(i.find_spec({library:?}) is None)");
    Command::new(python).args(["-c", &code]).status().expect("the interpreter runs").success()
}

#[test]
fn every_row_of_the_front_door_holds() {
    let python = python_with_libraries();
    let vectors: Value =
        serde_json::from_str(&read("tests/vectors/front_door.json")).expect("the vectors are JSON");
    let sources = vectors["rows"].as_array().expect("there are rows");
    let mut rows: Vec<_> = all_rows().into_iter().zip(sources).collect();
    let missing: Vec<String> = {
        let mut needed: Vec<_> = rows.iter().flat_map(|(row, _)| row.needs.clone()).collect();
        needed.sort();
        needed.dedup();
        needed.into_iter().filter(|library| !has(&python, library)).collect()
    };
    if !missing.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "these libraries are not installed: {missing:?}");
        eprintln!("SKIPPED: rows that need {missing:?}");
        rows.retain(|(row, _)| !row.needs.iter().any(|library| missing.contains(library)));
    }
    let directory = tempfile::tempdir().expect("a temporary directory can be created");
    // One command more than cores, because each of them waits for its processes now and then.
    let threads = thread::available_parallelism().map_or(1, usize::from) + 1;
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((row, source)) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(row, call(row, source, &python, directory.path()));
                }
            });
        }
    });
}
