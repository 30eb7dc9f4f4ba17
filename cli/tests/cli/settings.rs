//! The sources of settings, and what commands print of them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Pyproc, pyproc};

/// A configuration file with this text.
fn file(text: &str) -> (TempDir, std::path::PathBuf) {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let path = directory.path().join("pool.toml");
    fs::write(&path, text).expect("the directory is writable");
    (directory, path)
}

#[test]
fn call_and_check_start_one_worker_unless_a_number_is_set() {
    let started = |command: &str, args: &[&str], text: &str| {
        let (_directory, path) = file(text);
        let run = pyproc(command, "functions.py", args).arg("--config").arg(path).args(&["--log", "info"]);
        run.run().exits(0).stderr.matches("worker started slot=").count()
    };
    let call = ["identity", "1"];
    assert_eq!(started("call", &call, "max_queue = 7\nmin_ready = 2"), 1);
    assert_eq!(started("call", &call, "workers = 3"), 3);
    assert_eq!(started("call", &[call[0], call[1], "--workers", "2"], "workers = 3"), 2);
    assert_eq!(started("check", &[], "max_queue = 7\nmin_ready = 2"), 1);
    assert_eq!(started("check", &[], "workers = 3\nmin_ready = 3"), 1);
}

#[test]
fn tokens_of_the_gateway_are_neither_shown_nor_unknown_variables() {
    let secret = "hush-hush";
    for args in [&["config"][..], &["config", "--json"], &["config", "--workers", "many"]] {
        let run = Pyproc::new().args(args).env("PYPROC_TOKEN", secret).env("PYPROC_CONTROL_TOKEN", secret);
        let ended = run.run().exits(if args.len() == 3 { 2 } else { 0 });
        let stdout = String::from_utf8_lossy(&ended.stdout);
        assert!(!stdout.contains(secret) && !ended.stderr.contains(secret), "{stdout}{}", ended.stderr);
        assert!(!ended.stderr.contains("TOKEN"), "{}", ended.stderr);
    }
}

#[test]
fn path_that_is_not_utf8_is_told_escaped_or_works_and_never_panics() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let script = directory.path().join(OsStr::from_bytes(b"w\xff\x1b.py"));
    let missing = directory.path().join(OsStr::from_bytes(b"missing\xff\x1b.py"));
    fs::copy(crate::harness::worker("functions.py"), &script).expect("the directory is writable");
    for (command, args, codes) in [
        ("check", &[][..], &[0, 5][..]),
        ("call", &["identity", "1"], &[0, 5]),
        ("config", &["--json"], &[0]),
    ] {
        for path in [&script, &missing] {
            let ended = Pyproc::new().arg(command).arg(path).args(args).run();
            let code = ended.code.unwrap_or(-1);
            assert!(codes.contains(&code), "{command}: {code}: {}", ended.stderr);
            assert!(
                !ended.stderr.contains("panicked") && !ended.stderr.contains('\u{1b}'),
                "{}",
                ended.stderr
            );
            if code == 5 {
                assert!(ended.stderr.contains("error: failed to "), "{}", ended.stderr);
            }
        }
    }
    let named = Pyproc::new().arg("config").arg("--json").arg(&script).run().exits(0);
    let values: Value = serde_json::from_slice(&named.stdout).expect("it is JSON");
    assert!(values["worker"]["value"].as_str().is_some_and(|path| path.contains("w\u{fffd}")), "{values}");
}

#[test]
fn variable_that_is_not_utf8_is_a_path_or_an_error() {
    let with = |name: &str| {
        Pyproc::new().args(&["config", "--json"]).env_os(name, OsStr::from_bytes(b"/opt/\xff")).run()
    };
    for name in ["PYPROC_PYTHON", "PYPROC_CWD", "PYPROC_WORKER"] {
        let values: Value = serde_json::from_slice(&with(name).exits(0).stdout).expect("it is JSON");
        let key = name.trim_start_matches("PYPROC_").to_lowercase();
        let expected = json!({"value": "/opt/\u{fffd}", "source": format!("variable {name}")});
        assert_eq!(values[key], expected);
    }
    let problem = "error: invalid configuration: failed to read PYPROC_MAX_QUEUE: it is not UTF-8";
    with("PYPROC_MAX_QUEUE").exits(2).reports_once(&[problem]);
}

#[test]
fn durations_have_units_as_in_the_file_or_are_milliseconds() {
    for (text, expected) in [("5s", "5s"), ("250ms", "250ms"), ("250", "250ms"), ("none", "none")] {
        let ended = Pyproc::new().args(&["config", "--json", "--timeout", text]).run().exits(0);
        let values: Value = serde_json::from_slice(&ended.stdout).expect("the output is JSON");
        assert_eq!(values["call_timeout"], json!({"value": expected, "source": "flag --timeout"}));
    }
    for args in [["--timeout", "0"], ["--timeout", "soon"], ["--start-timeout", "none"]] {
        let ended = Pyproc::new().arg("config").args(&args).run().exits(2);
        assert!(
            ended.stderr.contains(args[0]) && ended.stderr.contains("expected a duration"),
            "{}",
            ended.stderr
        );
    }
}
