//! Tests of code that uses a pool, without Python (feature `testing`). The main structure is
//! [`FakePool`].
//!
//! [`Pool::fake`](crate::Pool::fake) takes a closure that stands for the Python functions, and
//! returns a [`Pool`](crate::Pool) for the code to be tested:
//!
//! ```
//! use actix_pyproc::{CallError, Pool, Reply};
//! use serde_json::{json, Value};
//!
//! /// The code to be tested.
//! async fn price(pool: &Pool, item: &str) -> Result<f64, CallError> {
//!     pool.call("price", &json!({"item": item})).await
//! }
//!
//! # async fn test() {
//! let pool = Pool::fake(|call| async move {
//!     let argument: Value = call.argument()?;
//!     match (call.function(), argument["item"].as_str()) {
//!         ("price", Some("apple")) => Reply::from_json(&0.5),
//!         (_, item) => Err(CallError::raised("KeyError", format!("{item:?}"))),
//!     }
//! });
//! assert_eq!(price(&pool, "apple").await.expect("there are apples"), 0.5);
//! let error = price(&pool, "pear").await.expect_err("there are no pears");
//! assert!(matches!(error, CallError::Exception { .. }), "{error:?}");
//! # }
//! # futures::executor::block_on(test());
//! ```
//!
//! Enable the feature for tests only:
//!
//! ```toml
//! [dependencies]
//! actix-pyproc = "0.1"
//!
//! [dev-dependencies]
//! actix-pyproc = { version = "0.1", features = ["testing"] }
//! ```
//!
//! # Handlers of actix-web
//!
//! A handler that takes `web::Data<Pool>` takes a fake pool too:
//!
#![cfg_attr(feature = "http", doc = "```")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! use actix_pyproc::{Pool, Reply};
//! use actix_web::{App, HttpResponse, test, web};
//! use serde_json::{Value, json};
//!
//! async fn predict(pool: web::Data<Pool>, body: web::Json<Value>) -> HttpResponse {
//!     match pool.call::<Value>("predict", &body).await {
//!         Ok(result) => HttpResponse::Ok().json(result),
//!         Err(_) => HttpResponse::BadGateway().finish(),
//!     }
//! }
//!
//! #[actix::test]
//! async fn predict_returns_what_the_model_returns() { let pool = Pool::fake(|_| async {
//! Reply::from_json(&json!({"label": "cat"})) }); let app =
//! App::new().app_data(web::Data::new(pool)).route("/predict", web::post().to(predict)); let app =
//! test::init_service(app).await; let request =
//! test::TestRequest::post().uri("/predict").set_json(json!([1, 2])).to_request(); let answer:
//! Value = test::call_and_read_body_json(&app, request).await; assert_eq!(answer, json!({"label":
//! "cat"})); }
//! ```
//!
//! # Typed calls
//!
//! [`Pool::typed`](crate::Pool::typed) makes the handle of [`functions!`](crate::functions) from a
//! fake pool. There are no signatures to check, so it succeeds; with [`FakePool::functions`] it
//! checks the names.
//!
//! # Errors
//!
//! The closure returns the [`CallError`](crate::CallError) that the code is to handle. Most
//! variants are built by their fields: `CallError::DeadlineExceeded { started: true }`. The others
//! have constructors: [`raised`](crate::CallError::raised),
//! [`worker_lost`](crate::CallError::worker_lost),
//! [`invalid_argument`](crate::CallError::invalid_argument),
//! [`unknown_function`](crate::CallError::unknown_function), and for an
//! [`Exit`](crate::error::Exit) [`by_signal`](crate::error::Exit::by_signal) and
//! [`with_code`](crate::error::Exit::with_code). Errors of the pool itself need no closure that
//! returns them: a `max_queue` of 1 gives `Overloaded`, a future that never ends gives
//! `DeadlineExceeded`, and a shutdown gives `ShuttingDown`.

mod pool;

pub use pool::FakePool;
