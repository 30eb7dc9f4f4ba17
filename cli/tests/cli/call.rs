//! `pyproc call`: the outcomes of a call. The main item is [`crate::harness::pyproc`].

use std::fs;

use crate::harness::{Pyproc, pyproc, worker};

#[test]
fn result_is_json_on_standard_output_and_nothing_else_is_said() {
    let ended = pyproc("call", "functions.py", &["predict", r#"{"value": 21}"#]).run();
    let ended = ended.exits(0).prints("{\"result\":42}\n");
    assert_eq!(ended.stderr, "");
}

#[test]
fn module_is_called_in_place_of_a_file() {
    let module =
        |args| Pyproc::new().args(&["call", "-m", "package.module"]).args(args).cwd(worker("")).run();
    module(&["name"]).exits(0).prints("[\"__main__\",\"package\"]\n");
    let ended = Pyproc::new().args(&["call", "name", "null", "-m", "package.module"]).cwd(worker("")).run();
    ended.exits(0).prints("[\"__main__\",\"package\"]\n");
    module(&["nothing", "1"]).exits(6).reports_once(&["the worker exposes name"]);
}

#[test]
fn exception_is_exit_code_1_with_type_message_and_traceback() {
    let ended = pyproc("call", "raises.py", &["order", "\"tea\""]).run().exits(1);
    ended.reports_once(&[
        "KeyError: 'tea'",
        "The above exception was the direct cause",
        "raises.py\", line 13, in order",
        "error: the function raised __main__.OutOfStock: no tea left",
    ]);
    let ended = pyproc("call", "raises.py", &["leave"]).run().exits(1);
    ended.reports_once(&["error: the function raised SystemExit: 3"]);
}

#[test]
fn worker_that_dies_in_a_call_is_exit_code_3_with_its_last_words() {
    for args in [&["killed"][..], &["killed", "--log", "off"]] {
        let ended = pyproc("call", "dies.py", args).run().exits(3);
        ended.reports_once(&[
            "the last words",
            "error: failed to finish the call: its worker was killed by SIGKILL",
        ]);
    }
    pyproc("call", "dies.py", &["exits"])
        .run()
        .exits(3)
        .reports_once(&["error: failed to finish the call: its worker exited with status 7"]);
}

#[test]
fn deadline_is_exit_code_4_whether_the_function_can_be_interrupted_or_not() {
    for (fixture, call) in [("functions.py", &["rest", "3600"][..]), ("never_ends.py", &["stuck"])] {
        let ended = pyproc("call", fixture, &[call, &["--timeout", "300"]].concat()).run().exits(4);
        ended.reports_once(&["error: failed to finish the call: the deadline passed while it ran"]);
    }
}

#[test]
fn unknown_function_is_exit_code_6_with_the_names_there_are() {
    let ended = pyproc("call", "cannot_be_encoded.py", &["nope"]).run().exits(6);
    ended.reports_once(&["unknown function \"nope\"; the worker exposes an_object, not_a_number, fine"]);
}

#[test]
fn value_that_cannot_be_encoded_is_exit_code_6_and_named() {
    let ended = pyproc("call", "cannot_be_encoded.py", &["an_object"]).run().exits(6);
    ended.reports_once(&["error: failed to encode the result: result is of type object"]);
    let ended = pyproc("call", "cannot_be_encoded.py", &["not_a_number"]).run().exits(6);
    ended.reports_once(&["error: failed to encode the result: result is nan"]);
}

#[test]
fn value_above_max_frame_is_exit_code_6() {
    let long = format!("{:?}", "x".repeat(5000));
    let ended = pyproc("call", "functions.py", &["identity", &long]).env("PYPROC_MAX_FRAME", "4096").run();
    ended.exits(6).reports_once(&["and the limit is 4096"]);
}

#[test]
fn prints_of_100_mb_at_the_start_and_in_a_call_change_nothing() {
    let shown = pyproc("call", "prints_100_mb.py", &["answer"]).run().exits(0).prints("42\n");
    assert!(shown.stderr.len() > 200_000_000, "the output is complete: {}", shown.stderr.len());
    let hidden =
        pyproc("call", "prints_100_mb.py", &["answer", "--log", "warn"]).run().exits(0).prints("42\n");
    assert_eq!(hidden.stderr, "");
}

#[test]
fn what_the_worker_prints_is_on_standard_error_as_its_level_is() {
    let stderr = |args: &[&str]| {
        let ended = pyproc("call", "functions.py", &["say", "\"hello\""]).args(args).run();
        ended.exits(0).prints("null\n").stderr
    };
    assert_eq!(stderr(&[]), "hello\nhello\n");
    assert_eq!(stderr(&["--log", "warn"]), "hello\n");
    assert_eq!(stderr(&["--log", "error"]), "");
    let text = stderr(&["--log", "info", "--workers", "2"]);
    assert!(text.contains("info: worker started slot=1") && text.contains("] hello\n"), "{text}");
}

#[test]
fn flags_count_before_variables_and_those_before_the_file() {
    let directory = tempfile::tempdir().expect("a temporary directory can be created");
    let config = directory.path().join("pool.toml");
    fs::write(&config, "worker = \"other.py\"\n[env]\nA = \"file\"\nB = \"file\"\n")
        .expect("the directory is writable");
    let call = |name: &str, args: &[&str]| {
        let name = format!("{name:?}");
        pyproc("call", "functions.py", &["environment", &name, "--config"]).arg(&config).args(args)
    };
    let variable = |run: Pyproc| run.env("PYPROC_ENV", r#"{"A": "variable"}"#).run().exits(0);
    call("A", &[]).run().exits(0).prints("\"file\"\n");
    variable(call("A", &[])).prints("\"variable\"\n");
    variable(call("A", &["--env", "A=flag", "--env", "C=c"])).prints("\"flag\"\n");
}

#[test]
fn number_of_the_worker_stands_for_slot_in_its_variables() {
    let args = ["environment", "\"DEVICE\"", "--env", "DEVICE=cuda:{slot}"];
    pyproc("call", "functions.py", &args).run().exits(0).prints("\"cuda:0\"\n");
}

#[test]
fn lists_of_processes_show_the_script_and_the_slot_of_a_worker() {
    let expected = r#"["functions.py:0",["-X","pyproc: functions.py slot 0"],true]"#;
    pyproc("call", "functions.py", &["titles"]).run().exits(0).prints(&format!("{expected}\n"));
}

#[test]
fn argument_that_does_not_fit_is_exit_code_6_with_a_line_for_each_place() {
    let ended = pyproc("call", "warned.py", &["fine", "x=ada", "y=1"]).run().exits(6).prints("");
    let expected = "error: the argument does not fit the function, which did not run:\n  \
        x: expected an int, not a str\n  \
        y: expected a str, not an int\n";
    assert_eq!(ended.stderr, expected);
    let ended = pyproc("call", "warned.py", &["fine"]).run().exits(6);
    ended.reports_once(&["\n  x: missing"]);
}
