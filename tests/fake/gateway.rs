//! A gateway in front of a fake pool: what HTTP callers get, without Python.

use actix_pyproc::error::{ArgumentError, ArgumentErrorKind};
use actix_pyproc::http::Gateway;
use actix_pyproc::testing::FakePool;
use actix_pyproc::{CallError, Pool, Reply};
use actix_web::http::StatusCode;
use actix_web::{App, test};
use serde_json::{Value, json};

fn pool() -> Pool {
    let pool = FakePool::new(|call| async move {
        match call.function() {
            "double" => Reply::from_json(&(call.argument::<i64>()? * 2)),
            "raises" => Err(CallError::raised("ValueError", "the value is negative")),
            _ => Err(CallError::invalid_argument([ArgumentError::new(
                "x",
                "missing",
                ArgumentErrorKind::Missing,
            )])),
        }
    });
    pool.functions(["double", "raises", "needs_x"]).start().expect("the configuration is valid")
}

/// What the gateway answers to a call.
async fn call(function: &str) -> (StatusCode, Value) {
    let app = test::init_service(App::new().configure(Gateway::new(pool()).routes())).await;
    let uri = format!("/call/{function}");
    let request = test::TestRequest::post().uri(&uri).insert_header(("host", "localhost")).set_json(21);
    let response = test::call_service(&app, request.to_request()).await;
    (response.status(), test::read_body_json(response).await)
}

#[actix::test]
async fn gateway_answers_what_the_closure_returns() {
    assert_eq!(call("double").await, (StatusCode::OK, json!(42)));
    let (status, problem) = call("raises").await;
    assert_eq!(
        (status, &problem["exception"]["type"]),
        (StatusCode::INTERNAL_SERVER_ERROR, &json!("ValueError")),
        "{problem}"
    );
    let (status, problem) = call("needs_x").await;
    assert_eq!(
        (status, &problem["errors"][0]["path"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("x")),
        "{problem}"
    );
    assert_eq!(call("nowhere").await.0, StatusCode::NOT_FOUND);
}
