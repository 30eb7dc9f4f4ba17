//! The gateway over real sockets, with real Python workers.

mod access;
mod bodies;
mod client;
mod lifetime;
mod log;
mod metrics;
mod outcomes;
#[path = "../support/mod.rs"]
mod support;
mod views;
