//! Tests that run one at a time, in a process without other tests: they count its children,
//! descriptors and mappings, measure how fast it reacts, or install a `tracing` subscriber, which
//! misses events while another thread makes the same ones. [`support::leaks::alone`] runs them.

#[path = "../process/driver.rs"]
mod driver;
mod observe;
mod processes;
mod recovery;
mod shutdown;
mod stacks;
#[path = "../support/mod.rs"]
mod support;
mod walls;
