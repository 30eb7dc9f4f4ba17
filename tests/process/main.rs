//! One worker process at a time, without the actors: how it starts, serves calls and ends.

mod calls;
mod driver;
mod end;
mod hard_to_end;
mod host;
mod hosts;
mod output;
mod start;
#[path = "../support/mod.rs"]
mod support;
