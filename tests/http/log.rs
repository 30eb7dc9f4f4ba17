//! The access log, and the ids of requests.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, Once};
use std::time::Duration;

use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::client::{Served, post, send, serve};
use crate::support::{capped, worker};

type Fields = BTreeMap<&'static str, Value>;

/// The events of the access logs of all tests of this binary.
static LOGGED: Mutex<Vec<Fields>> = Mutex::new(Vec::new());

struct AccessLog;

struct Recorded<'a>(&'a mut Fields);

impl Visit for Recorded<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name(), value.into());
    }
}

impl<S: Subscriber> Layer<S> for AccessLog {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "pyproc::access"
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Recorded(&mut fields));
        LOGGED.lock().expect("no thread panicked").push(fields);
    }
}

/// A gateway with an access log.
async fn logging(fixture: &str) -> Served {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(AccessLog);
        tracing::subscriber::set_global_default(subscriber).expect("no other test installs one");
    });
    serve(worker(fixture), |gateway| gateway.access_log(true).token("secret")).await
}

const TOKEN: (&str, &str) = ("Authorization", "Bearer secret");

/// The events of the request with this id.
fn events(id: &str) -> Vec<Fields> {
    let logged = LOGGED.lock().expect("no thread panicked");
    logged.iter().filter(|fields| fields["request_id"] == id).cloned().collect()
}

/// The only event of a request, without what differs from run to run.
fn event(id: &str) -> Value {
    let [mut fields] = <[Fields; 1]>::try_from(events(id)).expect("a request is logged once");
    let remote = fields.remove("remote").expect("the client has an address");
    assert!(remote.as_str().is_some_and(|remote| remote.starts_with("127.0.0.1:")), "{remote}");
    assert!(fields.remove("duration_us").is_some_and(|duration| duration.is_u64()));
    json!(fields)
}

#[actix_rt::test]
async fn each_request_is_logged_once_with_its_outcome() {
    let served = logging("gateway.py").await;
    let json_body = ("Content-Type", "application/json");
    let call = |path: &'static str, id: &'static str, headers: &'static [(&str, &str)]| {
        let headers = [headers, &[json_body, ("X-Request-Id", id)]].concat();
        async move { post(served.address, path, &headers, b"[1]").await }
    };
    let answer = call("/call/pid", "log-ok", &[TOKEN]).await;
    assert_eq!((answer.status, answer.headers["x-request-id"].as_str()), (200, "log-ok"));
    assert_eq!(
        event("log-ok"),
        json!({
            "message": "request", "method": "POST", "path": "/call/pid", "function": "pid", "status": 200,
            "outcome": "ok", "bytes_in": 3, "bytes_out": answer.body.len(), "request_id": "log-ok",
        })
    );

    let answer = call("/call/no%20such%0Aone", "log-unknown", &[TOKEN]).await;
    answer.is_problem(404, "unknown_function");
    let logged = event("log-unknown");
    assert_eq!(
        (&logged["path"], &logged["function"]),
        (&json!("/call/no%20such%0Aone"), &json!("no such\none"))
    );

    call("/call/metadata", "log-refused", &[]).await.is_problem(401, "unauthorized");
    let logged = event("log-refused");
    assert_eq!((&logged["status"], &logged["outcome"]), (&json!(401), &json!("unauthorized")));
    assert_eq!((&logged["bytes_in"], logged.get("function")), (&json!(0), None), "the body was not read");

    for (path, status, outcome) in
        [("/live", 200, "ok"), ("/metrics", 200, "ok"), ("/call/pid", 405, "method_not_allowed")]
    {
        let id = format!("log-get{}", path.replace('/', "-"));
        let answer = served.get_with(path, &[TOKEN, ("X-Request-Id", &id)]).await;
        assert_eq!((answer.status, &answer.headers["x-request-id"]), (status, &id));
        let logged = event(&id);
        assert_eq!((&logged["path"], &logged["status"]), (&json!(path), &json!(status)));
        assert_eq!((&logged["method"], &logged["outcome"]), (&json!("GET"), &json!(outcome)));
        assert_eq!(logged["bytes_out"], json!(answer.body.len()));
    }
    served.stop().await;
}

#[actix_rt::test]
async fn a_request_whose_client_disconnects_is_logged_as_abandoned() {
    let served = logging("contract.py").await;
    let dir = tempfile::TempDir::new().expect("there is room");
    let argument = json!({"path": dir.path().join("started"), "seconds": 60}).to_string().into_bytes();
    let headers = [TOKEN, ("Content-Type", "application/json"), ("X-Request-Id", "log-gone")];
    let connection = send(served.address, "POST", "/call/touch_and_sleep", &headers, &argument).await;
    capped("the call", async {
        while served.pool.status().await.in_flight == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    drop(connection);
    capped("the end of the call", async {
        while events("log-gone").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let logged = event("log-gone");
    assert_eq!((&logged["status"], &logged["outcome"]), (&json!(499), &json!("abandoned")));
    assert_eq!(
        (&logged["function"], &logged["bytes_in"]),
        (&json!("touch_and_sleep"), &json!(argument.len()))
    );
    served.stop().await;
}

#[actix_rt::test]
async fn the_id_of_a_request_reaches_its_function_and_comes_back() {
    let served = serve(worker("gateway.py"), |gateway| gateway).await;
    let answer = served.call_with("metadata", json!(null), &[("X-Request-Id", "7f-3")]).await;
    assert_eq!(answer.json(), json!({"x-request-id": "7f-3"}));
    assert_eq!(answer.headers["x-request-id"], "7f-3");

    // So do problems.
    let answer = served.call_with("no-such", json!(null), &[("X-Request-Id", "7f-4")]).await;
    answer.is_problem(404, "unknown_function");
    assert_eq!(answer.headers["x-request-id"], "7f-4");
    let headers = [("Sec-Fetch-Site", "cross-site"), ("X-Request-Id", "7f-5")];
    let answer = served.call_with("metadata", json!(null), &headers).await;
    answer.is_problem(403, "origin_not_allowed");
    assert_eq!(answer.headers["x-request-id"], "7f-5");

    // Without a log no id is generated, and one that is not fit for logs is ignored.
    for headers in [&[][..], &[("X-Request-Id", "two words")]] {
        let answer = served.call_with("metadata", json!(null), headers).await;
        assert_eq!((answer.json(), answer.headers.get("x-request-id")), (json!({}), None));
    }
    served.stop().await;
}

#[actix_rt::test]
async fn with_a_log_every_call_has_its_id_and_without_one_nothing_is_logged() {
    let served = logging("gateway.py").await;
    let answer = served.call_with("metadata", json!(null), &[TOKEN]).await;
    let id = &answer.headers["x-request-id"];
    assert_eq!(answer.json(), json!({"x-request-id": id}));
    assert_eq!((event(id)["outcome"].as_str(), id.len()), (Some("ok"), 32));
    // An id that is not fit for logs is replaced.
    let answer = served.call_with("metadata", json!(null), &[TOKEN, ("X-Request-Id", "two words")]).await;
    let id = &answer.headers["x-request-id"];
    assert_eq!((answer.json(), id.len()), (json!({"x-request-id": id}), 32));
    served.stop().await;

    let silent = serve(worker("gateway.py"), |gateway| gateway).await;
    assert_eq!(silent.call_with("metadata", json!(null), &[("X-Request-Id", "log-off")]).await.status, 200);
    assert_eq!(events("log-off"), [] as [Fields; 0]);
    silent.stop().await;
}
