//! Tests of the command line: the built binary with a real Python. The main structure is
//! [`harness::Pyproc`].

mod call;
mod chaos;
mod check;
#[path = "../../../tests/http/client.rs"]
#[allow(dead_code, reason = "the tests of the handlers use the rest")]
mod client;
mod console;
mod debugger;
mod front_door;
mod gateway;
mod harness;
mod init;
mod serve;
mod settings;
mod signals;
#[path = "../../../tests/support/mod.rs"]
mod support;
mod top;
mod values;
