//! `pyproc chaos`: every call gets an answer, and nothing leaks. The main item is [`storm`].

use serde_json::{Value, json};

use crate::harness::{Ended, pyproc};

fn chaos(args: &[&str]) -> Ended {
    pyproc("chaos", "contract.py", args).run()
}

fn report(ended: &Ended) -> Value {
    let text = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).expect("the output is one JSON object")
}

fn sum(map: &Value) -> u64 {
    map.as_object().expect("the value is an object").values().filter_map(Value::as_u64).sum()
}

/// A run with more than 20 faults and 3 restarts, which takes longer on a busy machine.
fn storm() -> (Ended, Value) {
    let fixed = [
        "predict",
        r#"{"value": 42}"#,
        "--workers=2",
        "--concurrency=16",
        "--every=60",
        "--faults=kill,stop,exit,exit_mid_reply,close,garbage,wrong_reply,pause:20",
        "--seed=7",
        "--json",
    ];
    for seconds in ["--seconds=3", "--seconds=9", "--seconds=27"] {
        let ended = chaos(&[&fixed[..], &[seconds]].concat()).exits(0);
        let report = report(&ended);
        if sum(&report["faults"]) > 20 && report["restarts"].as_u64() > Some(3) {
            return (ended, report);
        }
    }
    panic!("too few faults were injected");
}

#[test]
fn a_storm_of_faults_leaves_no_call_unanswered_and_nothing_behind() {
    let (ended, report) = storm();
    for key in ["unanswered", "leaked_processes", "leaked_fds"] {
        assert_eq!(report[key], json!(0), "{key} in {report}");
    }
    for key in [
        "calls",
        "ok",
        "rps",
        "p50_us",
        "p95_us",
        "p99_us",
        "max_us",
        "seconds",
        "recovery_p50_ms",
        "recovery_max_ms",
    ] {
        assert!(report[key].as_f64().is_some_and(|number| number > 0.0), "{key} in {report}");
    }
    assert_eq!(report["calls"], json!(report["ok"].as_u64().expect("a number") + sum(&report["errors"])));
    let faults: Vec<_> = report["faults"].as_object().expect("the value is an object").keys().collect();
    assert_eq!(
        faults,
        ["close", "exit", "exit_mid_reply", "garbage", "kill", "pause", "stop", "wrong_reply"]
    );
    assert!(ended.stderr.contains("seed 7"), "{}", ended.stderr);
}

#[test]
fn a_function_that_fails_without_faults_and_a_fault_that_does_not_exist_are_told_before_the_storm() {
    chaos(&["raises", r#""no such value""#, "--seconds=60"]).exits(1).prints("");
    let ended = chaos(&["predict", "--faults=kill,thunder"]).exits(2).prints("");
    assert!(ended.stderr.contains("no fault \"thunder\"; there are kill, stop"), "{}", ended.stderr);
}

#[test]
fn an_error_that_no_fault_brings_about_is_told_and_ends_with_6() {
    let path = std::env::temp_dir().join(format!("pyproc-chaos-{}", std::process::id()));
    let argument = json!({"path": path, "name": "a"}).to_string();
    let ended = chaos(&["fails_after_the_first", &argument, "--seconds=0.2", "--json"]).exits(6);
    std::fs::remove_file(&path).expect("the worker created the file");
    assert!(report(&ended)["errors"]["exception"].as_u64() > Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("calls ended with exception, which no fault causes"), "{}", ended.stderr);
}
