//! The gateway over real sockets, with real Python workers.

mod access;
mod bodies;
mod client;
mod front_door;
mod lifetime;
mod log;
mod metrics;
mod outcomes;
#[path = "../support/mod.rs"]
mod support;
mod views;
