//! `pyproc`: tries out, and drives, a Python worker from the command line.
//!
//! What a program reads goes to standard output, what people read to standard error. Each command
//! is one file.

mod commands;
mod console;
mod escape;
mod failure;
mod load;
mod options;
mod session;
mod signals;
mod target;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::{bench, call, chaos, check, completions, config, init, man, serve, top};
use crate::console::{Console, Overflow};
use crate::failure::Failure;

/// Tries out a Python worker.
#[derive(Parser)]
#[command(name = "pyproc", version, arg_required_else_help = true, after_help = EXIT_CODES)]
enum Command {
    Check(check::Args),
    Call(call::Args),
    Bench(bench::Args),
    Chaos(chaos::Args),
    Serve(serve::Args),
    Top(top::Args),
    Config(config::Args),
    Init(init::Args),
    Completions(completions::Args),
    Man(man::Args),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  it worked
  1  the function raised; its traceback is on standard error
  2  wrong usage: options, configuration, an argument that is no JSON
  3  the worker was lost while the call ran
  4  the deadline passed
  5  the pool could not start; the Python traceback is on standard error
  6  any other refusal: no such function, a value that cannot be encoded, too large, ...
  128 + N  signal N ended the command before the call had ended

SIGINT and SIGTERM let the running call end, within the drain timeout, then stop. A second one stops at once.";

fn main() -> ExitCode {
    let command = Command::parse();
    let console = Console::install(command.log(), command.several_workers(), command.overflow());
    // The workers are gone when the system is: dropping it kills what is left of them.
    let result = actix_rt::System::new().block_on(command.run());
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell(&console);
            failure.exit_code()
        }
    };
    console::flush();
    code
}

impl Command {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check(args) => check::run(args).await,
            Self::Call(args) => call::run(args).await,
            Self::Bench(args) => bench::run(args).await,
            Self::Chaos(args) => chaos::run(args).await,
            Self::Serve(args) => serve::run(args).await,
            Self::Top(args) => top::run(args).await,
            Self::Config(args) => config::run(&args),
            Self::Init(args) => init::run(&args),
            Self::Completions(args) => completions::run(&args),
            Self::Man(args) => man::run(&args),
        }
    }

    fn log(&self) -> Option<options::Log> {
        match self {
            Self::Check(args) => args.pool.log,
            Self::Call(args) => args.pool.log,
            Self::Bench(args) => args.pool.log,
            // That workers die is what was asked for.
            Self::Chaos(args) => args.pool.log.or(Some(options::Log::Error)),
            Self::Serve(args) => args.pool.log,
            Self::Config(args) => args.pool.log,
            Self::Top(_) => None,
            Self::Init(_) | Self::Completions(_) | Self::Man(_) => None,
        }
    }

    /// Whether lines of workers must say whose they are.
    fn several_workers(&self) -> bool {
        match self {
            Self::Check(_) | Self::Config(_) | Self::Init(_) | Self::Completions(_) | Self::Man(_) => false,
            Self::Top(_) => false,
            Self::Call(args) => args.pool.workers.is_some_and(|workers| workers > 1),
            Self::Bench(args) => args.pool.workers.is_none_or(|workers| workers > 1),
            Self::Chaos(args) => args.pool.workers.is_none_or(|workers| workers > 1),
            // A line of a log must say where it is from.
            Self::Serve(_) => true,
        }
    }

    /// A server must go on whatever its log does; of other commands all output is wanted.
    fn overflow(&self) -> Overflow {
        match self {
            Self::Serve(_) => Overflow::Drop,
            _ => Overflow::Wait,
        }
    }
}
