//! A handler of actix-web, tested with a fake pool.

use actix_pyproc::testing::FakePool;
use actix_pyproc::{Call, CallError, Pool, PoolConfig, Reply};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, test, web};
use serde_json::{Value, json};
use std::future::pending;
use std::time::Duration;

/// The handler to be tested.
async fn predict(pool: web::Data<Pool>, body: web::Json<Value>) -> HttpResponse {
    let reply = match Call::json("predict", &body) {
        Ok(call) => pool.request(call).await,
        Err(error) => Err(error),
    };
    match reply.and_then(|reply| reply.json::<Value>()) {
        Ok(result) => HttpResponse::Ok().json(json!({"prediction": result})),
        Err(CallError::Exception { message, .. }) => HttpResponse::BadRequest().body(message.to_string()),
        Err(CallError::DeadlineExceeded { .. }) => HttpResponse::GatewayTimeout().finish(),
        Err(error) if error.is_retryable() => HttpResponse::ServiceUnavailable().finish(),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

/// What the handler answers with this pool.
async fn answer(pool: Pool) -> (StatusCode, String) {
    let app = App::new().app_data(web::Data::new(pool)).route("/predict", web::post().to(predict));
    let app = test::init_service(app).await;
    let request = test::TestRequest::post().uri("/predict").set_json(json!({"value": 21})).to_request();
    let response: ServiceResponse = test::call_service(&app, request).await;
    let status = response.status();
    let body = test::read_body(response).await;
    (status, String::from_utf8(body.to_vec()).expect("it is text"))
}

#[actix::test]
async fn result_of_the_function_is_the_prediction() {
    let pool = Pool::fake(|call| async move {
        assert_eq!((call.function(), call.argument::<Value>()?), ("predict", json!({"value": 21})));
        Reply::from_json(&42)
    });
    assert_eq!(answer(pool).await, (StatusCode::OK, json!({"prediction": 42}).to_string()));
}

#[actix::test]
async fn each_outcome_has_its_status() {
    let raises = Pool::fake(|_| async { Err(CallError::raised("ValueError", "the value is negative")) });
    assert_eq!(answer(raises).await, (StatusCode::BAD_REQUEST, "the value is negative".into()));
    let lost =
        Pool::fake(|_| async { Err(CallError::worker_lost(actix_pyproc::error::Exit::by_signal(11))) });
    assert_eq!(answer(lost).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    let config = PoolConfig::default().call_timeout(Duration::from_millis(50));
    let hangs = FakePool::new(|_| pending()).config(config).start().expect("the configuration is valid");
    assert_eq!(answer(hangs).await.0, StatusCode::GATEWAY_TIMEOUT);
    let config = PoolConfig::default().workers(1).max_concurrent(1).max_queue(1);
    let busy = FakePool::new(|_| pending()).config(config).start().expect("the configuration is valid");
    let calls = [busy.request(Call::empty("f")), busy.request(Call::empty("f"))];
    assert_eq!(answer(busy).await.0, StatusCode::SERVICE_UNAVAILABLE);
    drop(calls);
}
