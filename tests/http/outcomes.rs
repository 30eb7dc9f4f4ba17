//! Each way in which a call can end, as an HTTP client sees it.

use std::time::Duration;

use actix_pyproc::PoolConfig;
use actix_pyproc::status::AdmissionState;
use actix_rt::time::sleep;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Served, exchange, post, send, serve};
use crate::support::{capped, lines, until, worker};

async fn contract() -> Served {
    serve(worker("contract.py"), |gateway| gateway).await
}

fn scratch() -> TempDir {
    TempDir::new().expect("there is room for a file")
}

#[actix_rt::test]
async fn a_reply_has_the_codec_of_the_call_or_is_bytes() {
    let served = contract().await;
    let answer = served.call("predict", json!({"value": 42})).await;
    assert_eq!((answer.status, answer.media()), (200, "application/json"));
    assert_eq!(answer.json(), json!({"result": 84}));

    for media in ["application/msgpack", "application/x-msgpack", "application/vnd.msgpack"] {
        let argument = rmp_serde::to_vec(&json!({"value": 4})).expect("it is MessagePack");
        let answer = post(served.address, "/call/predict", &[("Content-Type", media)], &argument).await;
        assert_eq!((answer.status, answer.media()), (200, "application/msgpack"));
        let reply: Value = rmp_serde::from_slice(&answer.body).expect("it is MessagePack");
        assert_eq!(reply, json!({"result": 8}));
    }

    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let answer =
        post(served.address, "/call/echo", &[("Content-Type", "application/octet-stream")], &bytes).await;
    assert_eq!((answer.status, answer.media()), (200, "application/octet-stream"));
    assert!(answer.body == bytes, "bytes come back unchanged");

    let answer = post(served.address, "/call/pid", &[], b"").await;
    assert_eq!(answer.status, 200, "no body is no argument");
    served.stop().await;
}

#[actix_rt::test]
async fn an_exception_is_500_and_its_traceback_is_told_only_where_that_is_wanted() {
    let served = contract().await;
    let problem = served.call("raises", json!("no such value")).await.is_problem(500, "exception");
    let bases = ["Exception", "BaseException"];
    let expected = json!({"type": "ValueError", "message": "no such value", "bases": bases});
    assert_eq!(problem["exception"], expected);
    assert_eq!((&problem["may_have_run"], &problem["retryable"]), (&json!(true), &json!(false)));
    served.stop().await;

    let served = serve(worker("contract.py"), |gateway| gateway.tracebacks(true)).await;
    let problem = served.call("raises", json!("no")).await.is_problem(500, "exception");
    assert_eq!(problem["exception"]["args"], json!(["no"]));
    let traceback = problem["exception"]["traceback"].as_str().expect("it is there");
    assert!(traceback.contains("in raises\n    raise ValueError(message)"), "{traceback}");
    served.stop().await;
}

#[actix_rt::test]
async fn requests_that_cannot_be_calls_are_refused_and_say_why() {
    let served = serve(worker("contract.py"), |gateway| gateway.body_limit(1000)).await;
    let problem = served.call("predicd", json!(1)).await.is_problem(404, "unknown_function");
    assert!(
        problem["functions"].as_array().is_some_and(|names| names.contains(&json!("predict"))),
        "{problem}"
    );
    served.call("an_object", json!(null)).await.is_problem(500, "encode");

    let json_type = [("Content-Type", "application/json")];
    post(served.address, "/call/echo", &json_type, b"{").await.is_problem(400, "decode");
    let answer = post(served.address, "/call/echo", &json_type, &[b'1'; 1001]).await;
    assert_eq!(answer.is_problem(413, "payload_too_large")["limit"], 1000);
    for headers in [&[("Content-Type", "application/x-www-form-urlencoded")][..], &[]] {
        let answer = post(served.address, "/call/echo", headers, b"{}").await;
        answer.is_problem(415, "unsupported_media_type");
    }
    served
        .call_with("echo", json!(1), &[("X-Pyproc-Timeout-Ms", "soon")])
        .await
        .is_problem(400, "bad_header");
    let answer = exchange(served.address, "GET", "/call/echo", &[], b"").await;
    answer.is_problem(405, "method_not_allowed");
    assert_eq!(answer.headers["allow"], "POST");
    served.stop().await;
}

#[actix_rt::test]
async fn a_chunked_body_without_a_length_is_limited_too() {
    let served = serve(worker("contract.py"), |gateway| gateway.body_limit(1000)).await;
    for (length, status) in [(900, 200), (1001, 413)] {
        let chunk = format!("{:x}\r\n{}\r\n", length / 3, "1".repeat(length / 3));
        let last = format!(
            "{:x}\r\n{}\r\n0\r\n\r\n",
            length - 2 * (length / 3),
            "1".repeat(length - 2 * (length / 3))
        );
        let request = format!(
            "POST /call/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunk}{chunk}{last}"
        );
        let answer = raw(&served, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    served.stop().await;
}

async fn raw(served: &Served, request: &[u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(served.address).await.expect("it listens");
    stream.write_all(request).await.expect("it reads");
    let mut answer = Vec::new();
    // The connection may be reset after the answer.
    let _ = capped("the answer", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[actix_rt::test]
async fn the_deadline_of_the_header_is_504_and_interrupts_the_call() {
    let (served, dir) = (contract().await, scratch());
    let path = dir.path().join("how");
    let argument = json!({"path": path, "seconds": 60});
    let answer = served.call_with("cleans_up", argument, &[("X-Pyproc-Timeout-Ms", "150")]).await;
    assert_eq!(answer.is_problem(504, "deadline_exceeded")["may_have_run"], true);
    until("the function was ended", || lines(&path).len() == 2).await;
    served.stop().await;
}

#[actix_rt::test]
async fn a_client_that_goes_away_interrupts_its_call() {
    let (served, dir) = (contract().await, scratch());
    let path = dir.path().join("how");
    let argument = json!({"path": path, "seconds": 60}).to_string();
    let headers = [("Content-Type", "application/json")];
    let stream = send(served.address, "POST", "/call/cleans_up", &headers, argument.as_bytes()).await;
    until("the call runs", || lines(&path).len() == 1).await;
    drop(stream);
    until("the function was ended", || lines(&path).len() == 2).await;
    assert_eq!(lines(&path), ["begun", "cancelled True"]);
    assert_eq!(served.pool.status().await.calls.abandoned, 1);
    served.stop().await;
}

#[actix_rt::test]
async fn beyond_the_queue_is_429_and_says_when_to_come_back() {
    let (served, dir) = (serve(worker("contract.py").max_queue(1), |gateway| gateway).await, scratch());
    let busy = dir.path().join("busy");
    let headers = [("Content-Type", "application/json")];
    let argument = json!({"path": busy, "seconds": 1}).to_string();
    let running = send(served.address, "POST", "/call/touch_and_sleep", &headers, argument.as_bytes()).await;
    until("the first call runs", || busy.exists()).await;
    let waiting = send(served.address, "POST", "/call/echo", &headers, b"1").await;
    capped("the second call waits", async {
        while served.pool.status().await.queued != 1 {
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    let answer = served.call("echo", json!(1)).await;
    let problem = answer.is_problem(429, "overloaded");
    assert_eq!((&problem["may_have_run"], &problem["retryable"]), (&json!(false), &json!(true)));
    assert!(answer.headers["retry-after"].parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    drop((running, waiting));
    served.stop().await;
}

#[actix_rt::test]
async fn a_worker_that_dies_is_502_and_a_call_that_kills_several_too() {
    let (served, dir) = (serve(worker("contract.py").max_attempts(2), |gateway| gateway).await, scratch());
    let path = dir.path().join("deaths");
    let argument = json!({"path": path, "how": "exit"});
    let problem = served.call("touch_and_die", argument.clone()).await.is_problem(502, "worker_lost");
    assert_eq!((&problem["exit"], &problem["stderr"]), (&json!("exited with status 3"), &Value::Null));
    let answer = served.call_with("touch_and_die", argument, &[("X-Pyproc-Idempotent", "1")]).await;
    assert_eq!(answer.is_problem(502, "quarantined")["attempts"], 2);
    assert_eq!(lines(&path).len(), 3);
    served.stop().await;
}

#[actix_rt::test]
async fn a_pool_that_cannot_start_workers_is_503_and_not_ready_but_live() {
    let dir = scratch();
    let (script, broken) = (dir.path().join("worker.py"), dir.path().join("broken"));
    let code = format!(
        "import os\nfrom pyproc_worker import expose\nif os.path.exists({broken:?}):\n    raise RuntimeError('broken')\n\
         @expose\ndef die(req):\n    os._exit(1)\n"
    );
    std::fs::write(&script, code).expect("there is room");
    let mut config = PoolConfig::new(&script).workers(1);
    config.restart.initial = Duration::from_millis(20);
    config.restart.max = Duration::from_millis(50);
    let served = serve(config, |gateway| gateway.tracebacks(true)).await;
    let ready = served.get("/ready").await;
    assert_eq!((ready.status, &ready.json()["serving"]), (200, &json!(1)));

    std::fs::write(&broken, "").expect("there is room");
    served.call("die", json!(1)).await.is_problem(502, "worker_lost");
    assert_eq!(served.get("/ready").await.status, 503, "no worker serves");
    capped("the breaker opens", async {
        while served.pool.status().await.admission == AdmissionState::Open {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let answer = served.call("die", json!(1)).await;
    let problem = answer.is_problem(503, "unavailable");
    assert!(
        problem["cause"]["traceback"].as_str().is_some_and(|text| text.contains("RuntimeError: broken")),
        "{problem}"
    );
    assert!(answer.headers.contains_key("retry-after"));
    let ready = served.get("/ready").await;
    assert_eq!((ready.status, &ready.json()["ready"]), (503, &json!(false)));
    assert_eq!(served.get("/live").await.status, 200);

    std::fs::remove_file(&broken).expect("it is there");
    served.stop().await;
}

#[actix_rt::test]
async fn a_pool_that_shuts_down_is_503_and_closes_its_connections() {
    let served = contract().await;
    served.gateway.set_draining();
    let ready = served.get("/ready").await;
    assert_eq!((ready.status, &ready.json()["reason"]), (503, &json!("draining")));
    let answer = served.call("predict", json!({"value": 1})).await;
    assert_eq!(
        (answer.status, answer.headers["connection"].as_str()),
        (200, "close"),
        "calls are still answered"
    );
    served.pool.shutdown().await;
    let answer = served.call("predict", json!({"value": 1})).await;
    answer.is_problem(503, "shutting_down");
    assert_eq!(answer.headers["connection"], "close");
    served.stop().await;
}
