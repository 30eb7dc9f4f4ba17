//! Python processes: start, talk, watch, end. The main structure is [`worker::WorkerProcess`].

mod child;
mod command;
pub(crate) mod connection;
pub(crate) mod cpu;
pub(crate) mod end;
mod handshake;
pub(crate) mod interpreter;
pub(crate) mod launch;
mod lines;
mod log;
mod memfd;
mod outbox;
mod output;
mod package;
pub(crate) mod proc;
mod reaper;
pub(crate) mod recent;
mod spawner;
pub(crate) mod table;
mod uncollected;
pub(crate) mod worker;
