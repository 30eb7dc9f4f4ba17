//! The end of the host: nothing that it started is left.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::{Command, Stdio};

use serde_json::json;
use support::leaks::alone;
use support::processes::lives;
use support::{fixture, lines, until};

#[test]
fn a_host_that_is_killed_takes_its_workers_and_what_they_have_started_whatever_they_do() {
    for how in ["asleep", "in c", "stopped", "deaf"] {
        alone(async {
            let dir = tempfile::TempDir::new().expect("there is room for a file");
            let log = dir.path().join("pids");
            let argument = json!({"log": log, "how": how}).to_string();
            let mut host = Command::new(env!("CARGO_BIN_EXE_pyproc"))
                .arg("call")
                .arg(fixture("breeds.py"))
                .args(["work", &argument, "--timeout", "600000"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it can be started");
            until("it has bred", || log.exists()).await;
            let pids: Vec<u32> = lines(&log).iter().map(|pid| pid.parse().expect("a number")).collect();
            assert!(pids.len() == 2 && pids.iter().all(|&pid| lives(pid)));
            host.kill().expect("it is ours");
            host.wait().expect("it is ours");
            for pid in pids {
                until(&format!("{pid}, {how}, is gone"), || !lives(pid)).await;
            }
        });
    }
}
