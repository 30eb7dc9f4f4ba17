//! `pyproc`: runs, calls, serves and tests a Python worker from the command line. The main item is
//! [`Command`].
//!
//! Standard output has what programs read, standard error what people read.

mod argument;
mod call_args;
mod commands;
mod console;
mod duration;
mod escape;
mod failure;
mod figures;
mod load;
mod named;
mod options;
mod report;
mod session;
mod signals;
mod verbosity;

use std::process::ExitCode;

use clap::Parser as _;

use crate::commands::Command;
use crate::console::Console;
use crate::report::report;

fn main() -> ExitCode {
    let command = Command::parse();
    let console = Console::install(
        command.verbosity(),
        command.log_format(),
        command.shows_slots(),
        command.overflow(),
    );
    // Dropping the system kills the workers that are still running.
    let result = actix_rt::System::new().block_on(command.run());
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure, &console);
            failure.exit_code()
        }
    };
    console::flush();
    code
}
