//! The command line as its users meet it: the built binary, on real Python.

mod call;
mod chaos;
mod check;
mod console;
mod harness;
mod serve;
mod settings;
mod signals;
mod top;
mod values;
