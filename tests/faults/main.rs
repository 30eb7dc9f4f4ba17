//! Faults: the outcome of each one, and the consistency of outcomes under many random ones.
//!
//! The tests run one at a time, because they count what is left in this process.

mod soak;
#[path = "../support/mod.rs"]
mod support;
mod table;
