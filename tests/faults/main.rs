//! Faults on demand: what each one does to a call, and what many at random do to the books.
//!
//! Each test runs alone, because it counts what is left in this process.

mod soak;
#[path = "../support/mod.rs"]
mod support;
mod table;
