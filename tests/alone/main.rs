//! Tests that run one at a time, in a process without other tests: they count its children,
//! descriptors and mappings, measure how fast it reacts, or install a `tracing` subscriber, whose
//! spans another thread can disable. [`support::leaks::alone`] runs them.

#[path = "../process/driver.rs"]
mod driver;
mod observe;
mod processes;
mod recovery;
mod shutdown;
#[path = "../support/mod.rs"]
mod support;
mod walls;
