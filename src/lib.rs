//! A supervised pool of Python processes inside an actix application. The main structure is
//! [`Pool`].
//!
//! A Supervisor actor owns one actor per Python process, a Router actor gives each [`Call`] to one
//! of them, and a process that crashes, hangs or grows is replaced. Every call ends exactly once:
//! in a [`Reply`], or in a [`CallError`] that says what happened and whether the function ran.
//!
//! ```no_run
//! use actix_pyproc::{Pool, PoolConfig};
//! use serde_json::{json, Value};
//!
//! #[actix::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let pool = Pool::start(PoolConfig::new("worker.py").workers(4)).await?;
//!     let out: Value = pool.call("predict", &json!({"value": 42})).await?;
//!     println!("{out}");
//!     pool.shutdown().await;
//!     Ok(())
//! }
//! ```
//!
//! [The guide](guide/index.html) has a chapter for each task.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `http` | HTTP handlers for the pool's functions, to mount in an actix-web application |
//! | `metrics` | the pool's metrics through the `metrics` facade |
//! | `fault-injection` | injected faults, for tests of applications that use a pool |
//! | `testing` | fake pools, replies and errors, for tests without Python |
//!
//! No feature is on by default. The command line, `pyproc`, is the package `pyproc-cli`.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(hidden)]
pub mod backend;
pub mod call;
pub mod config;
pub mod error;
#[cfg(feature = "fault-injection")]
pub mod fault;
#[cfg(all(any(doc, doctest), feature = "http", feature = "fault-injection", feature = "testing"))]
pub mod guide;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod pool;
mod process;
pub mod status;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
pub mod typed;
#[doc(hidden)]
pub mod wire;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use call::{Call, Reply};
pub use config::PoolConfig;
pub use error::{CallError, StartError};
pub use pool::{Pool, WorkerEvent};
pub use status::PoolStatus;
#[doc(hidden)]
pub use typed::private as __typed;
pub use wire::Codec;
