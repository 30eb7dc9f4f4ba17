//! The whole pool on real Python: what its callers get, and how it starts, changes and ends.

mod contract;
mod front_door;
mod interrupts;
mod lifecycle;
mod outcomes;
mod status;
#[path = "../support/mod.rs"]
mod support;
mod typed;
