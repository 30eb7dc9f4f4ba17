//! The gateway over real sockets, with real Python behind it.
#![cfg(feature = "http")]

mod access;
mod bodies;
mod client;
mod lifetime;
mod outcomes;
#[cfg(feature = "serve")]
mod serve;
#[path = "../support/mod.rs"]
mod support;
mod views;
