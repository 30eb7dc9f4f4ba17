//! `pyproc check`: the functions of a worker, and why a worker does not start.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Pyproc, pyproc, worker};

#[test]
fn functions_are_listed_with_signature_and_first_doc_line() {
    let ended = pyproc("check", "functions.py", &[]).run().exits(0);
    let stdout = String::from_utf8(ended.stdout).expect("the output is UTF-8");
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[0], "predict(req: dict) -> dict                Doubles the value.");
    assert_eq!(lines[1], "async later(seconds: float = 0.0) -> str  Returns after a delay.");
    assert_eq!(lines[2], "identity(value=None)");
    assert_eq!(ended.stderr, format!("{} functions, Python {}\n", lines.len(), python_version()));
}

#[test]
fn json_is_one_object_on_one_line() {
    let ended = pyproc("check", "package/module.py", &["--json"]).run().exits(0);
    let function = json!({"name": "name", "signature": "()", "doc": null, "kind": "sync", "warnings": []});
    let expected = json!({"python": python_version(), "functions": [function]});
    assert_eq!(ended.stdout.iter().filter(|&&byte| byte == b'\n').count(), 1);
    assert_eq!(serde_json::from_slice::<Value>(&ended.stdout).expect("the output is JSON"), expected);
}

#[test]
fn what_the_worker_warns_of_goes_to_standard_error_and_to_json() {
    let ended = pyproc("check", "warned.py", &[]).run().exits(0);
    let warnings: Vec<&str> =
        ended.stderr.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
    assert_eq!(warnings, ["made: the result (Thing) cannot be sent"]);
    let ended = pyproc("check", "warned.py", &["--json"]).run().exits(0);
    let report: Value = serde_json::from_slice(&ended.stdout).expect("the output is JSON");
    assert_eq!(report["functions"][0]["warnings"], json!(["the result (Thing) cannot be sent"]));
    assert_eq!(report["functions"][1]["warnings"], json!([]));
}

#[test]
fn module_is_checked_in_place_of_a_file() {
    let ended = Pyproc::new().args(&["check", "-m", "package.module"]).cwd(worker("")).run();
    ended.exits(0).prints("name()\n");
}

#[test]
fn worker_that_does_not_start_is_exit_code_5_and_its_reason_is_told_once_and_soon() {
    let failed = "error: failed to start the worker: ";
    let rows: [(&str, &[&str]); 6] = [
        (
            "syntax_error.py",
            &["def broken(:", "syntax_error.py\", line 1", "error: failed to start the worker: SyntaxError"],
        ),
        ("import_error.py", &["Traceback (most recent call last)", "import_error.py\", line 1", failed]),
        ("exits_at_once.py", &["no licence", "exited with status 4 before it was ready"]),
        ("leaves_at_start.py", &["leaves_at_start.py\", line 3", failed]),
        ("exposes_nothing.py", &[failed]),
        ("is_nowhere.py", &["error: failed to find the worker script", "is_nowhere.py"]),
    ];
    for (fixture, expected) in rows {
        // What the console hides is printed at the end.
        for args in [&[][..], &["--log", "off"]] {
            // Far below the start timeout.
            let begun = Instant::now();
            pyproc("check", fixture, args).run().exits(5).reports_once(expected);
            assert!(begun.elapsed() < Duration::from_secs(10), "{fixture} took {:?}", begun.elapsed());
        }
    }
}

#[test]
fn worker_that_hangs_at_start_is_told_with_where_it_hangs() {
    // On a busy machine a short limit may pass before the worker reaches the place where it hangs.
    let (ended, limit) = [("700", "700ms"), ("4000", "4s"), ("20000", "20s")]
        .into_iter()
        .map(|(limit, text)| (pyproc("check", "hangs_at_start.py", &["--start-timeout", limit]).run(), text))
        .find(|(ended, _)| ended.stderr.contains("loading"))
        .expect("the worker reaches the place where it hangs");
    let ended = ended.exits(5);
    ended.reports_once(&[
        "loading",
        "in load_the_model",
        &format!("error: failed to start the worker: it was not ready within {limit}"),
        "hint: a longer `start_timeout` (--start-timeout)",
    ]);
}

#[test]
fn interpreter_that_is_none_is_exit_code_5() {
    for (python, expected) in [
        ("/is/nowhere", "error: failed to find a Python interpreter: /is/nowhere"),
        ("is-nowhere", "error: failed to find a Python interpreter: no is-nowhere in PATH"),
        ("/bin/true", "error: failed to use \"/bin/true\" as a Python interpreter"),
    ] {
        pyproc("check", "functions.py", &["--python", python]).run().exits(5).reports_once(&[expected]);
        pyproc("call", "functions.py", &["where"])
            .env("PYPROC_PYTHON", python)
            .run()
            .exits(5)
            .reports_once(&[expected]);
    }
}

#[test]
fn wrong_usage_is_exit_code_2_before_anything_is_started() {
    let missing = ["--python", "/is/nowhere"];
    let both = ["-m", "package.module"];
    for (args, expected) in [
        (&["check"][..], "WORKER"),
        (&["check", "worker.py", both[0], both[1]], "cannot be used with"),
        (&["check", "worker.py", "--env", "NAME"], "expected NAME=VALUE"),
        (&["check", "worker.py", "--workers", "0", "--config", "/is/nowhere.toml"], "/is/nowhere.toml"),
        (&["call", "worker.py"], "FUNCTION is missing"),
        (&["call", "-m", "package.module", "name", "1", "2"], "more than one argument"),
        (&["call", "worker.py", "f", "1", "--bytes", "/dev/null"], "more than one argument"),
        (&["call", "worker.py", "f", "1", "--timeout", "0"], "--timeout"),
        (&["call", "worker.py", "f", "1", "--workers", "0"], "workers"),
        (&["call", "worker.py", "f", "1", "--select", "random"], "least-loaded"),
        (&["call", "worker.py", "f", "1", "--out", "/is/nowhere"], "failed to open /is/nowhere for writing"),
        (&["call", "worker.py", "f", "--bytes", "/is/nowhere"], "failed to read /is/nowhere"),
        (&["call", "worker.py", "f", "{"], "the argument is not JSON"),
        (&["call", "worker.py", "f", "x=1", "{}"], "either JSON or parameters by name"),
        (&["call", "worker.py", "f", "x=1", "--bytes", "/dev/null"], "more than one argument"),
        (&["call", "worker.py", "f", "x=1", "x=2"], "x is given twice"),
        (&["bench", "worker.py", "f", "x:=ada"], "the value of the parameter x is not JSON"),
        (
            &["chaos", "worker.py", "f", "x=@/is/nowhere"],
            "failed to read \"/is/nowhere\" for the parameter x",
        ),
        (&["bench", "worker.py", "f", "--seconds", "none"], "expected a duration above zero"),
    ] {
        let ended = Pyproc::new().args(args).args(&missing).run().exits(2).prints("");
        assert!(ended.stderr.contains(expected), "{args:?}: {}", ended.stderr);
    }
    let ended = pyproc("check", "functions.py", &missing).env("PYPROC_WORKERS", "many").run().exits(2);
    assert!(ended.stderr.contains("PYPROC_WORKERS"), "{}", ended.stderr);
}

fn python_version() -> String {
    let code = "import platform; print(platform.python_version())";
    let output = std::process::Command::new("python3").args(["-c", code]).output();
    let output = output.expect("the tests need a Python").stdout;
    String::from_utf8(output).expect("a version is UTF-8").trim().to_owned()
}
