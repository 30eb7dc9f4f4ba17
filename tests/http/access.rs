//! Who may send which request to a gateway: its host, the origin of the page, the token, and what
//! it shows to whom.

use std::path::Path;

use actix_pyproc::PoolConfig;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Answer, Served, exchange, post, send, serve};
use crate::support::{capped, exists, lines, until, worker};

/// All paths to read, except the events, which do not end.
const READ: [&str; 15] = [
    "/",
    "/openapi.json",
    "/docs",
    "/docs/app.js",
    "/docs/schemas.js",
    "/docs/style.css",
    "/functions",
    "/live",
    "/ready",
    "/metrics",
    "/dashboard",
    "/dashboard/app.js",
    "/dashboard/charts.js",
    "/dashboard/numbers.js",
    "/dashboard/style.css",
];

const SECRET: &str = "words-of-the-worker";

/// A worker with functions that count their runs in a file, die after writing to standard error,
/// raise, or sleep.
fn script(dir: &Path) -> PoolConfig {
    let code = format!(
        "import os, sys\nfrom pyproc_worker import expose\n\
         @expose\ndef count():\n    with open({:?}, 'a') as file:\n        file.write('ran\\n')\n\
         @expose\ndef die():\n    print('{SECRET}', file=sys.stderr, flush=True)\n    os._exit(1)\n\
         @expose\ndef fail():\n    local_name = 1\n    raise ValueError('no')\n\
         @expose\ndef seconds(n):\n    import time\n    time.sleep(n)\n    return n\n",
        dir.join("runs")
    );
    let path = dir.join("worker.py");
    std::fs::write(&path, code).expect("there is room");
    PoolConfig::new(path).workers(1)
}

fn scratch() -> TempDir {
    TempDir::new().expect("there is room for a file")
}

/// In 0.1 a page of another origin could run a function without an argument, because such a request
/// needs no preflight.
#[actix_rt::test]
async fn a_page_of_another_origin_runs_nothing_and_reads_nothing() {
    let dir = scratch();
    let served = serve(script(dir.path()), |gateway| gateway.control("secret")).await;
    let pages: [&[(&str, &str)]; 6] = [
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "http://evil.example")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "http://localhost:1")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")],
        &[("Origin", "http://evil.example")],
        &[("Origin", "null")],
    ];
    for page in pages {
        for path in ["/call/count", "/dashboard/control"] {
            let problem = post(served.address, path, page, b"").await.is_problem(403, "origin_not_allowed");
            assert!(
                problem["detail"].as_str().is_some_and(|text| text.contains("another origin")),
                "{problem}"
            );
        }
    }
    for path in READ.iter().chain(&["/dashboard/events"]) {
        served.get_with(path, pages[1]).await.is_problem(403, "origin_not_allowed");
    }
    assert_eq!(lines(&dir.path().join("runs")).len(), 0);

    let own = [("Sec-Fetch-Site", "same-origin"), ("Origin", "http://localhost")];
    assert_eq!(post(served.address, "/call/count", &own, b"").await.status, 200);
    assert_eq!(post(served.address, "/call/count", &own[1..], b"").await.status, 200);
    assert_eq!(post(served.address, "/call/count", &[], b"").await.status, 200, "a program is not a page");
    assert_eq!(lines(&dir.path().join("runs")).len(), 3);
    // Somebody follows a link on another page.
    assert_eq!(served.get_with("/dashboard", pages[3]).await.status, 200);
    served.stop().await;
}

#[actix_rt::test]
async fn a_page_of_an_allowed_origin_may_call() {
    let dir = scratch();
    let served = serve(script(dir.path()), |gateway| gateway.allow_origin("https://app.example")).await;
    let page = |origin| [("Sec-Fetch-Site", "cross-site"), ("Origin", origin)];
    let answer = post(served.address, "/call/count", &page("https://app.example"), b"").await;
    assert_eq!(answer.status, 200);
    let answer = post(served.address, "/call/count", &page("https://other.example"), b"").await;
    answer.is_problem(403, "origin_not_allowed");
    served.stop().await;
}

#[actix_rt::test]
async fn a_refusal_by_the_head_comes_before_the_body() {
    let dir = scratch();
    let served = serve(script(dir.path()), |gateway| gateway.token("secret")).await;
    for (head, status) in [
        ("Host: localhost\r\nOrigin: http://evil.example", 403),
        ("Host: evil.example", 421),
        ("Host: localhost", 401),
    ] {
        let mut stream = tokio::net::TcpStream::connect(served.address).await.expect("it listens");
        let request = format!("POST /call/count HTTP/1.1\r\n{head}\r\nContent-Length: 1000000\r\n\r\n[");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = Vec::new();
        // The gateway does not read the rest of the body, so the connection may be reset.
        let _ = capped("the answer", stream.read_to_end(&mut answer)).await;
        assert_eq!(Answer::parse(&answer).status, status, "{head}");
    }
    served.stop().await;
}

/// In 0.1 a page that had pointed its own name at the gateway's address could read and call
/// everything.
#[actix_rt::test]
async fn a_host_that_is_not_the_gateways_is_refused_on_every_path() {
    let dir = scratch();
    let served = serve(script(dir.path()), |gateway| gateway.allow_host("models.example")).await;
    let evil = [("Host", "rebound.example:8000")];
    for path in READ.iter().chain(&["/dashboard/events"]) {
        let problem = served.get_with(path, &evil).await.is_problem(421, "host_not_allowed");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("rebound.example:8000") && detail.contains("--allow-host"), "{detail}");
        for host in ["localhost:1", "127.0.0.1", "[::1]:8000", "models.example:8443"] {
            let request = send(served.address, "HEAD", path, &[("Host", host)], b"").await;
            assert_eq!(finish(request).await.status, 200, "{path} {host}");
        }
    }
    for path in ["/call/count", "/dashboard/control", "/live"] {
        post(served.address, path, &evil, b"").await.is_problem(421, "host_not_allowed");
    }
    // One wrong host of two is enough for a refusal.
    let two = [("Host", "localhost"), ("Host", "rebound.example")];
    assert_ne!(post(served.address, "/call/count", &two, b"").await.status, 200);
    assert_eq!(lines(&dir.path().join("runs")).len(), 0);
    served.stop().await;
}

#[actix_rt::test]
async fn a_request_of_http_1_0_without_a_host_is_answered() {
    let dir = scratch();
    let served = serve(script(dir.path()), |gateway| gateway).await;
    let mut stream = tokio::net::TcpStream::connect(served.address).await.expect("it listens");
    stream.write_all(b"GET /live HTTP/1.0\r\n\r\n").await.expect("it reads");
    assert_eq!(finish(stream).await.status, 200);
    served.stop().await;
}

async fn finish(mut stream: tokio::net::TcpStream) -> Answer {
    let mut answer = Vec::new();
    capped("the answer", stream.read_to_end(&mut answer)).await.expect("it is complete");
    Answer::parse(&answer)
}

#[actix_rt::test]
async fn with_a_token_only_probes_and_the_empty_page_go_without_it() {
    let dir = scratch();
    let served = serve(script(dir.path()), |gateway| gateway.token("reader").control("operator")).await;
    for path in ["/functions", "/openapi.json", "/metrics", "/dashboard/events"] {
        for wrong in [None, Some(("Authorization", "Bearer reade")), Some(("Authorization", "Basic reader"))]
        {
            let headers: Vec<_> = wrong.into_iter().collect();
            let answer = served.get_with(path, &headers).await;
            answer.is_problem(401, "unauthorized");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
        for right in ["Bearer reader", "bearer operator"] {
            let request = send(served.address, "HEAD", path, &[("Authorization", right)], b"").await;
            assert_eq!(finish(request).await.status, 200, "{path}");
        }
    }
    post(served.address, "/call/count", &[], b"").await.is_problem(401, "unauthorized");
    assert_eq!(lines(&dir.path().join("runs")).len(), 0);
    let reader = [("Authorization", "Bearer reader")];
    assert_eq!(post(served.address, "/call/count", &reader, b"").await.status, 200);
    let order = json!({"action": "replace", "slot": 9}).to_string();
    post(served.address, "/dashboard/control", &reader, order.as_bytes())
        .await
        .is_problem(401, "unauthorized");
    let operator = [("Authorization", "Bearer operator")];
    let answer = post(served.address, "/dashboard/control", &operator, order.as_bytes()).await;
    answer.is_problem(409, "not_serving");

    assert_eq!(served.get("/live").await.json(), json!({"live": true}));
    assert_eq!(served.get("/ready").await.json(), json!({"ready": true}), "a probe learns nothing else");
    assert_eq!(served.get_with("/ready", &reader).await.json()["serving"], 1);
    for path in ["/", "/docs", "/dashboard"] {
        assert_eq!(served.get(path).await.status, 200);
    }
    let document = served.get_with("/functions", &reader).await.json();
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    assert!(!format!("{:?}", served.gateway).contains("reader"));
    assert!(!format!("{:?}", served.gateway).contains("operator"));
    served.stop().await;
}

/// Everything that a gateway shows after a crash and an exception.
async fn shown_after_a_crash(served: &Served) -> String {
    let mut shown = String::new();
    for function in ["die", "fail"] {
        shown.push_str(&post(served.address, &format!("/call/{function}"), &[], b"").await.text());
    }
    for path in READ {
        shown.push_str(&served.get(path).await.text());
    }
    let mut stream = send(served.address, "GET", "/dashboard/events", &[], b"").await;
    let mut events = String::new();
    capped("the incident", async {
        let mut chunk = vec![0; 1 << 16];
        while !events.contains("exited with status 1") || !events.contains("\"cause\":\"crashed\"") {
            let read = stream.read(&mut chunk).await.expect("the gateway runs");
            assert!(read > 0, "the events ended");
            events.push_str(&String::from_utf8_lossy(&chunk[..read]));
        }
    })
    .await;
    shown + &events
}

/// In 0.1 the live page showed the standard error and the stacks of workers, with or without
/// `--tracebacks`.
#[actix_rt::test]
async fn without_tracebacks_no_answer_and_no_page_has_what_workers_wrote_or_where_they_were() {
    for (tracebacks, expected) in [(false, false), (true, true)] {
        let dir = scratch();
        let served = serve(script(dir.path()), |gateway| gateway.tracebacks(tracebacks)).await;
        let shown = shown_after_a_crash(&served).await;
        assert_eq!(shown.contains(SECRET), expected, "{shown}");
        assert_eq!(shown.contains("local_name") || shown.contains("in fail"), expected, "{shown}");
        served.stop().await;
    }
}

#[actix_rt::test]
async fn a_live_page_that_is_off_is_not_there() {
    let served = serve(worker("contract.py"), |gateway| gateway.control("secret").dashboard(false)).await;
    for path in ["/dashboard", "/dashboard/app.js", "/dashboard/events"] {
        served.get(path).await.is_problem(404, "dashboard_off");
    }
    let operator = [("Authorization", "Bearer secret")];
    post(served.address, "/dashboard/control", &operator, b"{}").await.is_problem(404, "dashboard_off");
    assert_eq!(served.call("predict", json!({"value": 1})).await.status, 200);
    served.stop().await;
}

#[actix_rt::test]
async fn head_answers_as_get_does_without_a_body_and_other_methods_are_405() {
    let served = serve(worker("contract.py"), |gateway| gateway).await;
    for path in READ {
        let get = served.get(path).await;
        let head = exchange(served.address, "HEAD", path, &[], b"").await;
        assert_eq!((head.status, get.status, head.body.len()), (200, 200, 0), "{path}");
        assert_eq!(head.media(), get.media(), "{path}");
        // Metrics change between two requests.
        if path != "/metrics" {
            assert_eq!(head.headers["content-length"], get.body.len().to_string(), "{path}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = exchange(served.address, method, path, &[], b"").await;
            answer.is_problem(405, "method_not_allowed");
            assert_eq!(answer.headers["allow"], "GET, HEAD", "{method} {path}");
        }
    }
    let head = exchange(served.address, "HEAD", "/dashboard/events", &[], b"").await;
    assert_eq!((head.status, head.media()), (200, "text/event-stream"));
    for path in ["/call/echo", "/dashboard/control"] {
        for method in ["GET", "HEAD", "PUT", "OPTIONS"] {
            let answer = exchange(served.address, method, path, &[], b"").await;
            assert_eq!((answer.status, answer.headers["allow"].as_str()), (405, "POST"), "{method} {path}");
        }
    }
    served.stop().await;
}

#[actix_rt::test]
async fn a_deadline_of_a_client_is_raised_to_the_floor() {
    let dir = scratch();
    let floor = std::time::Duration::from_secs(60);
    let served = serve(script(dir.path()), |gateway| gateway.min_timeout(floor)).await;
    let answer = served.call_with("seconds", json!(0.2), &[("X-Pyproc-Timeout-Ms", "1")]).await;
    assert_eq!((answer.status, answer.json()), (200, json!(0.2)));
    served.stop().await;
}

/// In 0.1 the same key went to two workers, because Rust hashed a `str` and the gateway bytes.
#[actix_rt::test]
async fn a_key_leads_to_one_worker_from_rust_and_over_http() {
    let served = serve(worker("contract.py").workers(4), |gateway| gateway).await;
    let mut pids = std::collections::BTreeSet::new();
    for number in 0..12 {
        let key = format!("customer {number}");
        let over_http = served.call_with("pid", json!(null), &[("X-Pyproc-Affinity", &key)]).await.json();
        let call = actix_pyproc::Call::raw_json("pid", "null").affinity(&key);
        let from_rust = served.pool.request(call).await.expect("it succeeds");
        assert_eq!(over_http, json!(from_rust.pid()), "{key}");
        let over_http =
            served.call_with("pid", json!(null), &[("X-Pyproc-Affinity", &number.to_string())]).await.json();
        let call = actix_pyproc::Call::raw_json("pid", "null").affinity(number);
        assert_eq!(over_http, json!(served.pool.request(call).await.expect("it succeeds").pid()), "{number}");
        pids.insert(from_rust.pid());
    }
    assert!(pids.len() > 1, "keys are spread over the workers");
    served.stop().await;
}

#[actix_rt::test]
async fn options_of_a_clone_do_not_change_the_gateway_that_is_mounted() {
    let served = serve(worker("contract.py"), |gateway| gateway).await;
    let _other = served.gateway.clone().token("secret").tracebacks(true);
    assert_eq!(served.call("predict", json!({"value": 1})).await.status, 200);
    let pid = served.pool.status().await.slots[0].pid.expect("it serves");
    served.stop().await;
    until("the worker has ended", || !exists(pid)).await;
}
