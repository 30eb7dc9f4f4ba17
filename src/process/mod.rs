//! Python processes: start, talk, watch, end. The main structure is [`body::Body`], one running
//! process.

pub(crate) mod body;
pub(crate) mod child;
pub(crate) mod command;
pub(crate) mod connection;
pub(crate) mod handshake;
pub(crate) mod interpreter;
pub(crate) mod launch;
mod lines;
mod log;
mod memfd;
mod outbox;
mod output;
mod package;
pub(crate) mod proc;
mod spawner;
pub(crate) mod stop;
pub(crate) mod table;
