//! Tests that run one at a time, in a process without other tests: they count its children,
//! descriptors and mappings, or measure how fast it reacts. [`support::leaks::alone`] runs them.

#[path = "../process/driver.rs"]
mod driver;
mod processes;
mod recovery;
mod shutdown;
#[path = "../support/mod.rs"]
mod support;
mod walls;
