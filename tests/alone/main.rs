//! Tests that share their process with no other test, because they count its children, descriptors
//! and mappings, or measure how fast it reacts. [`support::leaks::alone`] runs one at a time.

#[path = "../process/driver.rs"]
mod driver;
mod processes;
mod recovery;
mod shutdown;
#[path = "../support/mod.rs"]
mod support;
mod walls;
