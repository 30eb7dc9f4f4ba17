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
//! A handler that takes `web::Data<Pool>` takes a fake pool too; [the guide][guide] has a test of
//! one.
//!
//! [guide]: https://docs.rs/actix-pyproc/latest/actix_pyproc/guide/test/index.html
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
