//! The command line as its users meet it: the built binary, on real Python.

mod call;
#[cfg(feature = "fault-injection")]
mod chaos;
mod check;
mod console;
mod harness;
#[cfg(feature = "serve")]
mod serve;
mod settings;
mod signals;
#[cfg(all(feature = "serve", feature = "top"))]
mod top;
mod values;
