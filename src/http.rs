//! The pool over HTTP: handlers to mount in an actix-web application. The main structure is
//! [`Gateway`].
//!
//! | request | gives |
//! | --- | --- |
//! | `POST /call/{function}` | what the function returns; the body is its argument |
//! | `GET /docs` | a page about the functions, with a form to call them |
//! | `GET /openapi.json` | OpenAPI 3.1, made from the Python signatures and type hints; also `/functions` |
//! | `GET /live` | 200 while the process answers and the pool is not broken for good, else 503 |
//! | `GET /ready` | 200 while calls are admitted and a worker serves, else 503 |
//! | `GET /metrics` | the pool's metrics in Prometheus' text format |
//! | `GET /dashboard` | a live page |
//! | `GET /` | links to these |
//!
//! Each request has an id ([`Gateway::access_log`]). `HEAD` answers as `GET` does, without a body.
//! `docs/gateway.md` describes the headers, the status codes, and who may send which request.

mod access_log;
mod admission;
mod body;
mod call;
mod control;
mod dashboard;
mod docs;
mod feed;
mod gateway;
mod host;
mod metrics;
mod monitor;
mod openapi;
mod origin;
pub mod page;
mod probes;
mod problem;
mod request_id;
mod routes;
mod secret;
mod status;

pub use control::ControlAction;
pub use gateway::Gateway;
pub use routes::routes;
