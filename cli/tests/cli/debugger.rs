//! `pyproc call --pdb`, and `breakpoint()` without it.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{pyproc, worker};
use crate::support::root;

/// The exit code, standard output, and what the terminal showed of `pyproc call --pdb`, after these
/// answers: a text to wait for, and keys.
fn answered(args: &[&str], steps: &[(&str, &str)]) -> (i64, String, String) {
    let directory = tempfile::tempdir().expect("a temporary directory can be created");
    let output = directory.path().join("output");
    let mut terminal = Command::new("python3")
        .arg(root().join("cli/tests/cli/debugger.py"))
        .arg(&output)
        .args([env!("CARGO_BIN_EXE_pyproc"), "call", "--pdb"])
        .arg(worker("stops.py"))
        .args(args)
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tests need a Python");
    let mut stdin = terminal.stdin.take().expect("the stream is piped");
    stdin.write_all(json!(steps).to_string().as_bytes()).expect("the script reads its steps");
    drop(stdin);
    let ended = terminal.wait_with_output().expect("the script ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let ended: Value = serde_json::from_slice(&ended.stdout).expect("the output is JSON");
    let stdout = fs::read_to_string(output).expect("the result is UTF-8");
    let drawn = ended["drawn"].as_str().unwrap_or_default().to_owned();
    (ended["code"].as_i64().expect("the command exited"), stdout, drawn)
}

#[test]
fn breakpoint_stops_in_the_function_and_its_user_goes_on() {
    for function in ["doubled", "traced"] {
        let steps = [("(Pdb) ", "p y\n"), ("42", "y = 5\n"), ("(Pdb) ", "n\n"), ("(Pdb) ", "c\n")];
        let (code, stdout, drawn) = answered(&[function, "21"], &steps);
        assert_eq!((code, &*stdout), (0, "5\n"), "{drawn}");
    }
}

#[test]
fn stepping_out_of_the_function_ends_the_call() {
    // Before Python 3.13, the first stop is at the next line.
    let steps = [("(Pdb) ", "n\n"); 3];
    let (code, stdout, drawn) = answered(&["doubled", "21"], &steps);
    assert_eq!((code, &*stdout), (0, "42\n"), "{drawn}");
    assert!(!drawn.contains("pyproc_worker/"), "{drawn}");
}

#[test]
fn debugger_opens_where_the_function_raised() {
    let steps = [("(Pdb) ", "p wrong\n"), ("5", "q\n")];
    let (code, stdout, drawn) = answered(&["raises", "4"], &steps);
    assert_eq!((code, &*stdout), (1, ""), "{drawn}");
    assert!(drawn.contains("KeyError: 5") && drawn.contains("in raises"), "{drawn}");
}

#[test]
fn leaving_the_debugger_ends_the_call() {
    let (code, stdout, drawn) = answered(&["doubled", "21"], &[("(Pdb) ", "q\n")]);
    assert_eq!((code, &*stdout), (1, ""), "{drawn}");
    assert!(drawn.contains("bdb.BdbQuit"), "{drawn}");
}

#[test]
fn function_can_ask_its_user() {
    let (code, stdout, drawn) = answered(&["asks"], &[("name? ", "ada\n")]);
    assert_eq!((code, &*stdout), (0, "\"ada\"\n"), "{drawn}");
}

#[test]
fn ctrl_c_opens_the_debugger_in_a_function_that_runs() {
    let steps = [("ready", "\x03"), ("(Pdb) ", "p ready\n"), ("'ready'", "q\n")];
    let (code, stdout, drawn) = answered(&["waits"], &steps);
    assert_eq!((code, &*stdout), (1, ""), "{drawn}");
    assert!(drawn.contains("KeyboardInterrupt"), "{drawn}");
}

#[test]
fn breakpoint_without_a_terminal_is_an_error_that_says_what_to_do() {
    let ended = pyproc("call", "stops.py", &["doubled", "21"]).run().exits(1);
    let refused = "error: the function raised RuntimeError: breakpoint() needs a terminal, which a worker does not have";
    ended.reports_once(&[&format!("{refused}: debug the call with `pyproc call --pdb stops.py FUNCTION`")]);
    let ended = pyproc("call", "stops.py", &["traced", "21"]).run().exits(1);
    let refused =
        "error: the function raised bdb.BdbQuit: pdb needs a terminal, which a worker does not have";
    assert!(ended.stderr.contains(refused), "{}", ended.stderr);
    let ended = pyproc("call", "stops.py", &["doubled", "21"]).env("PYTHONBREAKPOINT", "0").run();
    ended.exits(0).prints("42\n");
}
