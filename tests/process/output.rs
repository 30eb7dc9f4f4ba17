//! Where the output of workers goes in a host without a `tracing` subscriber.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use actix_pyproc::{Pool, PoolConfig};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::host::{command, role};
use crate::support::fixture;

/// The command that runs a test of this file as a host.
fn host(test: &str, role: &str) -> Command {
    command(&[], module_path!(), test, role)
}

/// Calls `speak`; returns what its worker writes, as it should appear.
async fn speak() -> String {
    let pool = Pool::start(PoolConfig::new(fixture("prints_and_logs.py")).workers(1)).await;
    let pool = pool.expect("the pool starts");
    let reply = pool.request(actix_pyproc::Call::raw_json("speak", "null")).await.expect("it returns");
    pool.shutdown().await;
    let head = format!("[worker 0, pid {}]", reply.pid());
    format!(
        "{head} to standard output\n{head} \\u{{1b}}[31mto standard error\n\
         {head} warning: app: logged\n  in two lines\n"
    )
}

/// The lines in an order of their own: three pipes carry them.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[actix_rt::test]
async fn output_goes_to_the_hosts_standard_error() {
    let name = "output_goes_to_the_hosts_standard_error";
    if role().is_some() {
        let expected = speak().await;
        return print!("\n<<{expected}>>");
    }
    // The process exits at once after the shutdown, and still no line is missing.
    let output = host(name, "silent").output().expect("the binary exists");
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    let expected = stdout.split_once("<<").and_then(|(_, rest)| rest.split_once(">>")).expect("it ran").0;
    assert_eq!(sorted(&stderr), sorted(expected), "{stdout}");
}

/// A logger that keeps what is logged.
struct Logger(Mutex<Vec<String>>);

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.target().starts_with("pyproc::") {
            let line = format!("{} {} {}", record.target(), record.level(), record.args());
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    fn flush(&self) {}
}

#[actix_rt::test]
async fn output_goes_to_a_subscriber_or_a_logger_and_not_to_standard_error() {
    static LOGGER: Logger = Logger(Mutex::new(Vec::new()));
    let name = "output_goes_to_a_subscriber_or_a_logger_and_not_to_standard_error";
    match role().as_deref() {
        Some("logger") => {
            log::set_logger(&LOGGER).expect("it is the first");
            log::set_max_level(log::LevelFilter::Info);
            speak().await;
            let lines = LOGGER.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for (head, tail) in [
                ("pyproc::stdout INFO [worker 0, pid ", "] to standard output"),
                ("pyproc::stderr WARN [worker 0, pid ", "] \u{1b}[31mto standard error"),
                ("pyproc::log WARN [worker 0, pid ", "] app: logged\nin two lines"),
            ] {
                let matching = |line: &&String| line.starts_with(head) && line.ends_with(tail);
                assert_eq!(lines.iter().filter(matching).count(), 1, "{head}: {lines:?}");
            }
        }
        Some(_) => {
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(None::<Nothing>))
                .expect("it is the first");
            speak().await;
        }
        None => {
            for role in ["logger", "subscriber"] {
                let output = host(name, role).output().expect("the binary exists");
                let text = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success() && text.is_empty(), "{role}: {text}");
            }
        }
    }
}

/// A layer that is never there.
struct Nothing;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Nothing {}

#[actix_rt::test]
async fn standard_error_that_nobody_reads_or_that_is_closed_stops_neither_calls_nor_the_end() {
    let name = "standard_error_that_nobody_reads_or_that_is_closed_stops_neither_calls_nor_the_end";
    if role().is_some() {
        let pool = Pool::start(PoolConfig::new(fixture("prints_and_logs.py")).workers(1)).await;
        let pool = pool.expect("the pool starts");
        for _ in 0..2 {
            assert_eq!(pool.call::<i32>("flood", &()).await.expect("it returns"), 42);
        }
        return pool.shutdown().await;
    }
    for closed in [false, true] {
        let mut host = host(name, "flood");
        let mut host = host.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary exists");
        let stderr = host.stderr.take().filter(|_| !closed);
        let mut stdout = String::new();
        let mut pipe = host.stdout.take().expect("it is piped");
        let status = actix_rt::task::spawn_blocking(move || {
            pipe.read_to_string(&mut stdout).expect("it is text");
            (host.wait().expect("it is a child"), stdout)
        });
        let (status, stdout) =
            crate::support::capped("the host", status).await.expect("the thread did not panic");
        assert!(status.success() && stdout.contains("1 passed"), "closed: {closed}, {status}: {stdout}");
        drop(stderr);
    }
}
