//! The pool over HTTP: handlers to mount in an actix-web application. The main structure is [`Gateway`].
//!
//! | request | gives |
//! | --- | --- |
//! | `POST /call/{function}` | what the function returns; the body is its argument |
//! | `GET /functions` | OpenAPI 3.1, made from the Python signatures and type hints |
//! | `GET /live` | 200 while the process answers |
//! | `GET /ready` | 200 while calls are taken and a worker serves, else 503 |
//! | `GET /metrics` | the pool's figures in Prometheus' text format |
//! | `GET /dashboard` | a live page |
//!
//! `docs/gateway.md` tells of the headers and of the outcomes' status codes.

mod annotation;
mod call;
mod control;
mod dashboard;
mod gateway;
mod health;
mod monitor;
mod openapi;
mod problem;
mod prometheus;

pub use gateway::{routes, Gateway};
