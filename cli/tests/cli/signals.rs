//! SIGINT and SIGTERM drain, then stop; a second signal stops at once. The harness checks that no
//! process is left.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::pyproc;

const WAITING: &str = "a second signal stops at once";

#[test]
fn call_that_runs_when_a_signal_comes_still_gives_its_result() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut running = pyproc("call", "functions.py", &["rest", "1"]).start();
        running.reports("resting");
        running.signal(signal);
        let ended = running.end().exits(0).prints("\"rested\"\n");
        assert!(ended.stderr.contains(WAITING), "{}", ended.stderr);
    }
}

#[test]
fn second_signal_stops_at_once_what_no_signal_can_interrupt() {
    for (second, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        // The test fails if the command waits for either of these.
        let patient = pyproc("call", "never_ends.py", &["stuck"]).env("PYPROC_DRAIN_TIMEOUT", "50s");
        let mut running = patient.env("PYPROC_STOP_GRACE", "50s").start();
        running.reports("processes");
        running.signal(Signal::INT);
        running.reports(WAITING);
        let sent = Instant::now();
        running.signal(second);
        running.end().exits(code).reports_once(&["stopped by"]);
        assert!(sent.elapsed() < Duration::from_secs(10), "{:?}", sent.elapsed());
    }
}

#[test]
fn call_that_does_not_end_within_the_drain_timeout_is_stopped() {
    let mut running =
        pyproc("call", "functions.py", &["rest", "3600"]).env("PYPROC_DRAIN_TIMEOUT", "200ms").start();
    running.reports("resting");
    running.signal(Signal::TERM);
    running.end().exits(143).reports_once(&["SIGTERM: waiting up to 200ms", "stopped by SIGTERM"]);
}

#[test]
fn start_that_hangs_is_stopped_by_the_first_signal() {
    for command in ["check", "call"] {
        let mut running =
            pyproc(command, "hangs_at_start.py", &["f"][..usize::from(command == "call")]).start();
        running.reports("loading");
        running.signal(Signal::INT);
        running.end().exits(130).reports_once(&["stopped by SIGINT"]);
    }
}

#[test]
fn command_that_is_killed_leaves_no_worker_behind() {
    let mut running = pyproc("call", "functions.py", &["rest", "3600"]).start();
    running.reports("resting");
    running.signal(Signal::KILL);
    assert_eq!(running.end().code, None);
}
