//! A host that is killed leaves no process. The test is alone in its binary, because it counts the
//! children of its process.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::{Command, Stdio};

use serde_json::json;
use support::leaks::alone;
use support::processes::lives;
use support::{fixture, lines, scratch, until};

#[test]
fn a_host_that_is_killed_takes_its_workers_and_what_they_have_started_whatever_they_do() {
    for how in ["asleep", "in c", "stopped", "deaf"] {
        alone(async {
            let dir = scratch();
            let log = dir.path().join("pids");
            let argument = json!({"log": log, "how": how}).to_string();
            let mut host = Command::new(env!("CARGO_BIN_EXE_pyproc"))
                .arg("call")
                .arg(fixture("breeds.py"))
                .args(["work", &argument, "--timeout", "600000"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the binary was built");
            until("the worker has started a child", || log.exists()).await;
            let pids: Vec<u32> = lines(&log).iter().map(|pid| pid.parse().expect("a number")).collect();
            assert!(pids.len() == 2 && pids.iter().all(|&pid| lives(pid)));
            host.kill().expect("it is our child");
            host.wait().expect("it is our child");
            for pid in pids {
                until(&format!("the end of {pid} ({how})"), || !lives(pid)).await;
            }
        });
    }
}
