//! `pyproc serve` as a process: its output, its end, and reloads of changed code. The main
//! structure is [`Gateway`].

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Answer, exchange, post, send};
use crate::harness::{Ended, Pyproc, Running};
use crate::support::{capped, fixture, lines, scratch, until};

/// A gateway process.
struct Gateway {
    running: Running,
    address: SocketAddr,
}

impl Gateway {
    fn start(script: &Path, args: &[&str]) -> Self {
        Self::start_with(script, args, &[])
    }

    fn start_with(script: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let command =
            Pyproc::new().arg("serve").arg(script).args(&["--listen", "127.0.0.1:0", "--workers", "2"]);
        let command = variables.iter().fold(command, |command, (name, value)| command.env(name, value));
        let mut running = command.args(args).start();
        let line = running.prints("\n");
        let address = line.trim().strip_prefix("listening on http://").and_then(|text| text.parse().ok());
        Self { running, address: address.unwrap_or_else(|| panic!("it printed {line:?}")) }
    }

    fn contract(args: &[&str]) -> Self {
        Self::start(&fixture("contract.py"), args)
    }

    fn reports(&mut self, text: &str) -> String {
        self.running.reports(text)
    }

    async fn call(&self, function: &str, argument: serde_json::Value) -> Answer {
        let headers = [("Content-Type", "application/json")];
        post(self.address, &format!("/call/{function}"), &headers, argument.to_string().as_bytes()).await
    }

    /// Waits for its end and checks that standard output has only the address.
    fn ends(self, code: i32) -> Ended {
        let line = format!("listening on http://{}\n", self.address);
        self.running.end().exits(code).prints(&line)
    }
}

/// A client that makes calls until the gateway rejects them; returns the number of replies.
async fn client(address: SocketAddr, path: std::path::PathBuf, name: usize) -> usize {
    let (mut ok, mut stream) = (0, None);
    for call in 0.. {
        let mut connection: TcpStream = match stream.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(_) => return ok,
            },
        };
        let body = json!({"path": path, "name": format!("{name}-{call}")}).to_string();
        let request = format!(
            "POST /call/ran HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if connection.write_all(request.as_bytes()).await.is_err() {
            return ok;
        }
        let mut chunk = vec![0; 4096];
        let read = connection.read(&mut chunk).await.unwrap_or(0);
        let answer = String::from_utf8_lossy(&chunk[..read]).into_owned();
        match answer.get(9..12) {
            Some("200") => ok += 1,
            Some("503") | None => return ok,
            Some(_) => panic!("{answer}"),
        }
        if !answer.to_ascii_lowercase().contains("connection: close") {
            stream = Some(connection);
        }
    }
    ok
}

#[actix_rt::test]
async fn sigterm_under_load_loses_no_call_and_exits_with_0() {
    let (gateway, dir) = (Gateway::contract(&[]), scratch());
    let path = dir.path().join("ran");
    let clients: Vec<_> =
        (0..16).map(|name| actix_rt::spawn(client(gateway.address, path.clone(), name))).collect();
    until("calls run", || lines(&path).len() > 200).await;
    gateway.running.signal(Signal::TERM);
    let mut answered = 0;
    for client in clients {
        answered += capped("a client", client).await.expect("the task did not panic");
    }
    gateway.ends(0);
    let ran = lines(&path);
    let unique: std::collections::BTreeSet<_> = ran.iter().collect();
    assert_eq!(unique.len(), ran.len(), "no call ran twice");
    assert_eq!(answered, ran.len(), "each call that ran was answered");
}

#[actix_rt::test]
async fn a_call_that_runs_at_sigint_is_answered_and_readiness_is_gone_before() {
    let (mut gateway, dir) = (Gateway::contract(&[]), scratch());
    let busy = dir.path().join("busy");
    let argument = json!({"path": busy, "seconds": 1}).to_string();
    let headers = [("Content-Type", "application/json")];
    let mut running =
        send(gateway.address, "POST", "/call/touch_and_sleep", &headers, argument.as_bytes()).await;
    until("the call runs", || busy.exists()).await;
    gateway.running.signal(Signal::INT);
    gateway.reports("a second signal stops at once");
    assert_eq!(exchange(gateway.address, "GET", "/ready", &[], b"").await.status, 503);
    let mut answer = String::new();
    capped("the answer", running.read_to_string(&mut answer)).await.expect("the response is complete");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    gateway.ends(0);
}

#[actix_rt::test]
async fn a_second_signal_stops_at_once() {
    let (mut gateway, dir) = (Gateway::contract(&[]), scratch());
    let busy = dir.path().join("busy");
    let argument = json!({"path": busy, "seconds": 60}).to_string();
    let headers = [("Content-Type", "application/json")];
    let _running =
        send(gateway.address, "POST", "/call/touch_and_sleep", &headers, argument.as_bytes()).await;
    until("the call runs", || busy.exists()).await;
    gateway.running.signal(Signal::TERM);
    gateway.reports("a second signal stops at once");
    gateway.running.signal(Signal::TERM);
    gateway.ends(143);
}

#[actix_rt::test]
async fn code_that_changes_is_read_anew_and_code_that_does_not_start_is_not_used() {
    let dir = scratch();
    let (script, helper) = (dir.path().join("worker.py"), dir.path().join("helper.py"));
    fs::write(&helper, "VERSION = 1\n").expect("the disk has room");
    let code = "from helper import VERSION\nfrom pyproc_worker import expose\n@expose\ndef version():\n    return VERSION\n";
    fs::write(&script, code).expect("the disk has room");
    let mut gateway = Gateway::start(&script, &["--reload"]);
    gateway.reports("watching");
    assert_eq!(gateway.call("version", json!(null)).await.json(), json!(1));

    // The length changes too, because Python caches compiled code by time and length.
    fs::write(&helper, "VERSION = 22\n").expect("the disk has room");
    gateway.reports("reloaded");
    assert_eq!(gateway.call("version", json!(null)).await.json(), json!(22));

    fs::write(&helper, "raise RuntimeError('it is broken')\n").expect("the disk has room");
    gateway.reports("the old workers keep serving");
    gateway.reports("it is broken");
    assert_eq!(gateway.call("version", json!(null)).await.json(), json!(22));

    fs::write(&helper, "VERSION = 'mended'\n").expect("the disk has room");
    capped("the mended code", async {
        while gateway.call("version", json!(null)).await.json() != json!("mended") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    gateway.running.signal(Signal::TERM);
    gateway.ends(0);
}

const SECRETS: [(&str, &str); 2] =
    [("PYPROC_TOKEN", "readers-secret"), ("PYPROC_CONTROL_TOKEN", "operators-secret")];

/// A worker that returns its environment and its command line.
fn telltale(dir: &Path) -> std::path::PathBuf {
    let script = dir.join("worker.py");
    let code = "import os\nfrom pyproc_worker import expose\n@expose\ndef what_i_know():\n    \
                return [dict(os.environ), open('/proc/self/cmdline').read(), open('/proc/self/environ').read()]\n";
    fs::write(&script, code).expect("the disk has room");
    script
}

#[actix_rt::test]
async fn tokens_are_asked_for_and_neither_workers_nor_logs_have_them() {
    let dir = scratch();
    let args = ["--allow-control", "--log", "trace"];
    let mut gateway = Gateway::start_with(&telltale(dir.path()), &args, &SECRETS);
    let ask = |path: &'static str, token: &'static str| {
        let address = gateway.address;
        async move { post(address, path, &[("Authorization", token)], b"").await }
    };
    for wrong in ["", "Bearer wrong", "readers-secret"] {
        ask("/call/what_i_know", wrong).await.is_problem(401, "unauthorized");
    }
    for right in ["Bearer readers-secret", "Bearer operators-secret"] {
        let answer = ask("/call/what_i_know", right).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.text().contains("-secret"), "{}", answer.text());
    }
    ask("/dashboard/control", "Bearer readers-secret").await.is_problem(401, "unauthorized");
    ask("/dashboard/control", "Bearer operators-secret").await.is_problem(400, "bad_order");
    gateway.reports("live page with controls");
    gateway.running.signal(Signal::TERM);
    gateway.reports("waiting up to");
    let said = gateway.ends(0).stderr;
    assert!(!said.contains("-secret"), "{said}");
}

#[actix_rt::test]
async fn a_token_that_nobody_gave_is_made_and_printed_once() {
    let dir = scratch();
    let mut gateway = Gateway::start_with(&telltale(dir.path()), &["--token"], &[]);
    let said = gateway.reports("token for Authorization: Bearer: ");
    let token =
        said.lines().find_map(|line| line.split_once("Bearer: ")).expect("the token is printed").1.to_owned();
    post(gateway.address, "/call/what_i_know", &[], b"").await.is_problem(401, "unauthorized");
    let bearer = format!("Bearer {token}");
    let answer = post(gateway.address, "/call/what_i_know", &[("Authorization", &bearer)], b"").await;
    assert_eq!((answer.status, answer.text().contains(&token)), (200, false));
    gateway.running.signal(Signal::TERM);
    assert_eq!(gateway.ends(0).stderr.matches(&token).count(), 1);
}

#[test]
fn config_does_not_show_tokens() {
    let command = Pyproc::new().args(&["config", "worker.py", "--json"]);
    let command = SECRETS.iter().fold(command, |command, (name, value)| command.env(name, value));
    let ended = command.run().exits(0);
    assert!(!String::from_utf8_lossy(&ended.stdout).contains("secret"));
}

#[actix_rt::test]
async fn flags_of_serve_reach_the_gateway() {
    let dir = scratch();
    let args = [
        "--allow-host",
        "models.example",
        "--allow-origin",
        "https://app.example",
        "--min-timeout",
        "30s",
        "--body-timeout",
        "10s",
        "--body-limit",
        "1000",
        "--bodies-limit",
        "1000",
        "--no-dashboard",
    ];
    let gateway = Gateway::start_with(&telltale(dir.path()), &args, &[]);
    let page = [("Host", "models.example"), ("Origin", "https://app.example"), ("X-Pyproc-Timeout-Ms", "1")];
    assert_eq!(post(gateway.address, "/call/what_i_know", &page, b"").await.status, 200);
    let other = [("Host", "other.example")];
    post(gateway.address, "/call/what_i_know", &other, b"").await.is_problem(421, "host_not_allowed");
    let long = [("Content-Type", "application/octet-stream")];
    let told = post(gateway.address, "/call/what_i_know", &long, &[b'x'; 1001]).await;
    told.is_problem(413, "payload_too_large");
    exchange(gateway.address, "GET", "/dashboard", &[], b"").await.is_problem(404, "dashboard_off");
}

#[actix_rt::test]
async fn the_access_log_is_a_line_for_each_request() {
    let mut gateway = Gateway::contract(&["--access-log"]);
    let headers = [("Content-Type", "application/json"), ("X-Request-Id", "4711")];
    post(gateway.address, "/call/predict", &headers, br#"{"value": 2}"#).await;
    let reported = gateway.reports("request_id=4711 remote=127.0.0.1:");
    let line = reported.lines().find(|line| line.contains("4711")).expect("it was reported");
    let head =
        "info: request method=POST path=/call/predict function=predict status=200 outcome=ok duration_us=";
    assert!(line.starts_with(head) && line.contains(" bytes_in=12 bytes_out=12 "), "{line}");

    // The name of a function, which the client chooses, passes for no other field and no other
    // line.
    post(gateway.address, "/call/f%20status=200%0Ainfo:", &[("X-Request-Id", "4712")], b"").await;
    let reported = gateway.reports("request_id=4712");
    assert!(reported.contains(r#" function="f status=200\ninfo:" status=404 "#), "{reported}");

    let mut silent = Gateway::contract(&["--access-log", "--log", "warn"]);
    post(silent.address, "/call/predict", &headers, br#"{"value": 2}"#).await;
    silent.running.signal(Signal::TERM);
    silent.reports("a second signal stops at once");
    let ended = silent.ends(0);
    assert!(!ended.stderr.contains("4711"), "{}", ended.stderr);
}

#[actix_rt::test]
async fn a_port_that_is_taken_is_told_at_once() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound").to_string();
    let ended =
        Pyproc::new().arg("serve").arg(fixture("contract.py")).args(&["--listen", &address]).run().exits(6);
    let ended = ended.prints("");
    assert!(ended.stderr.contains(&format!("failed to listen on {address}")), "{}", ended.stderr);
}
