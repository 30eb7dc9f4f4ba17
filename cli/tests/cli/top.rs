//! `pyproc top` as text, as JSON and in a terminal. The main item is [`serve`].

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Ended, Pyproc, Running, pyproc, until};

/// A gateway and its address.
fn serve(args: &[&str]) -> (Running, String) {
    let mut running =
        pyproc("serve", "functions.py", &["--listen", "127.0.0.1:0", "--workers", "2"]).args(args).start();
    let line = running.prints("listening on http://");
    let url = line.trim().trim_start_matches("listening on ").to_owned();
    (running, url)
}

fn end(gateway: Running) {
    gateway.signal(Signal::TERM);
    gateway.end().exits(0);
}

fn top(args: &[&str]) -> Ended {
    Pyproc::new().arg("top").args(args).run()
}

fn status_of(url: &str) -> Value {
    let ended = top(&["--json", url]).exits(0);
    assert_eq!(ended.stdout.iter().filter(|&&byte| byte == b'\n').count(), 1);
    serde_json::from_slice(&ended.stdout).expect("it is JSON")
}

fn text(args: &[&str]) -> String {
    let ended = top(args).exits(0);
    assert_eq!(ended.stderr, "");
    String::from_utf8(ended.stdout).expect("it is text")
}

#[test]
fn snapshot_tells_of_the_pool_and_of_a_worker_that_was_killed() {
    let (gateway, url) = serve(&[]);
    let status = status_of(&url);
    assert_eq!((&status["ready"], &status["serving"]), (&Value::Bool(true), &2.into()));
    let pid = status["slots"][1]["pid"].as_i64().expect("it serves");
    // Standard output is not a terminal, so `--once` is the default.
    for args in [&["--once", &url][..], &[&url]] {
        let shown = text(args);
        assert!(shown.starts_with("functions.py: ready, up "), "{shown}");
        assert!(shown.contains("2 of 2 workers serve") && shown.contains(&format!(" {pid} ")), "{shown}");
    }

    let process = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("it is a process id");
    kill_process(process, Signal::KILL).expect("it runs");
    let status = until("the gateway to report it and to recover", || {
        let status = status_of(&url);
        (status["incidents"][0]["pid"] == pid && status["serving"] == 2).then_some(status)
    });
    assert_eq!(status["incidents"][0]["what"], "killed by SIGKILL");
    let shown = text(&["--once", &url]);
    assert!(shown.contains(&format!("last crash: slot 1, process {pid}")), "{shown}");
    end(gateway);
}

#[test]
fn no_gateway_there_is_exit_code_6_and_says_so() {
    // Nothing listens on port 1.
    let url = "http://127.0.0.1:1";
    for args in [&["--once"][..], &["--json"], &[]] {
        let ended = Pyproc::new().arg("top").args(args).arg(url).run().exits(6);
        ended.reports_once(&[
            &format!("error: no gateway at {url}: "),
            "Connection refused",
            "`pyproc serve WORKER`",
        ]);
    }
    let (gateway, url) = serve(&[]);
    top(&["--once", &format!("{url}/elsewhere")])
        .exits(6)
        .reports_once(&["not a gateway with a live page (HTTP 404)"]);
    end(gateway);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for (args, expected) in [
        (&["https://127.0.0.1:1"][..], "no TLS"),
        (&["--once", "--json"], "cannot be used with"),
        (&["--token", "two\nlines"], "the token has characters that are not allowed"),
    ] {
        let ended = top(args).exits(2);
        assert!(ended.stderr.contains(expected), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn terminal_is_given_back_after_a_key_and_after_a_signal() {
    let (gateway, url) = serve(&[]);
    for (by, code) in [("q", 0), ("\u{3}", 0), ("SIGTERM", 143)] {
        let output = Command::new("python3")
            .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/terminal.py"), "ready", by])
            .args([env!("CARGO_BIN_EXE_pyproc"), "top", &url])
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .output()
            .expect("there is a Python");
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let expected =
            json!({"code": code, "was_raw": true, "is_as_before": true, "left": true, "cursor": true});
        assert_eq!(shown, expected, "{by:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    end(gateway);
}

#[test]
fn a_gateway_with_a_token_is_looked_at_with_it() {
    let mut gateway = pyproc("serve", "functions.py", &["--listen", "127.0.0.1:0", "--workers", "1"])
        .env("PYPROC_TOKEN", "secret")
        .start();
    let line = gateway.prints("listening on http://");
    let url = line.trim().trim_start_matches("listening on ").to_owned();
    let ended = Pyproc::new().arg("top").args(&["--json", &url]).run().exits(6);
    assert!(ended.stderr.contains("PYPROC_TOKEN"), "{}", ended.stderr);
    let ended = Pyproc::new().arg("top").args(&["--json", &url]).env("PYPROC_TOKEN", "secret").run().exits(0);
    let status: Value = serde_json::from_slice(&ended.stdout).expect("it is JSON");
    assert_eq!(status["serving"], 1);
    let address = format!("{url}/dashboard#token=secret");
    Pyproc::new().arg("top").args(&["--json", &address]).run().exits(0);
    end(gateway);
}
