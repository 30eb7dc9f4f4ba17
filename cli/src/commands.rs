//! The commands of `pyproc`, one file each: its arguments and its `run`. The main item is
//! [`Command`].

mod bench;
mod call;
mod chaos;
mod check;
mod completions;
mod config;
mod init;
mod man;
mod serve;
mod top;

use clap::{CommandFactory as _, Parser};

use crate::console::Overflow;
use crate::failure::Failure;
use crate::options::PoolOptions;
use crate::verbosity::{LogFormat, Verbosity};

/// Run, call, serve and test Python workers
#[derive(Parser)]
#[command(name = "pyproc", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) enum Command {
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
  0  success
  1  the function raised; its traceback is on standard error
  2  wrong usage: options, configuration, or an argument that is not JSON
  3  the worker was lost while the call ran
  4  the deadline passed
  5  the pool could not start; the Python traceback is on standard error
  6  any other error: an argument that does not fit, an unknown function, a value that is too large, ...
  128 + N  signal N stopped the command before the call ended

SIGINT and SIGTERM let running calls finish, within the drain timeout, then stop. A second signal stops at once.";

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check(args) => check::run(args).await,
            Self::Call(args) => call::run(args).await,
            Self::Bench(args) => bench::run(args).await,
            Self::Chaos(args) => chaos::run(args).await,
            Self::Serve(args) => serve::run(args).await,
            Self::Top(args) => top::run(args).await,
            Self::Config(args) => config::run(&args),
            Self::Init(args) => init::run(&args),
            Self::Completions(args) => completions::run(&args, Self::command()),
            Self::Man(args) => man::run(&args, Self::command()),
        }
    }

    /// What `--log` says, or the command's own default.
    pub(crate) fn verbosity(&self) -> Option<Verbosity> {
        let given = self.pool().and_then(|pool| pool.log);
        match self {
            // Workers that die are expected here.
            Self::Chaos(_) => given.or(Some(Verbosity::Error)),
            _ => given,
        }
    }

    pub(crate) fn log_format(&self) -> LogFormat {
        self.pool().map_or(LogFormat::Text, |pool| pool.log_format)
    }

    /// Whether each line of a worker starts with the number of its slot.
    pub(crate) fn shows_slots(&self) -> bool {
        let workers = self.pool().and_then(|pool| pool.workers);
        match self {
            Self::Call(_) => workers.is_some_and(|workers| workers > 1),
            Self::Bench(_) | Self::Chaos(_) => workers.is_none_or(|workers| workers > 1),
            // Every line of a server's log must name its source.
            Self::Serve(_) => true,
            _ => false,
        }
    }

    /// A server must keep serving whatever happens to its log; all other output is wanted.
    pub(crate) fn overflow(&self) -> Overflow {
        match self {
            Self::Serve(_) => Overflow::Drop,
            _ => Overflow::Wait,
        }
    }

    fn pool(&self) -> Option<&PoolOptions> {
        match self {
            Self::Check(args) => Some(&args.pool),
            Self::Call(args) => Some(&args.call.pool),
            Self::Bench(args) => Some(&args.call.pool),
            Self::Chaos(args) => Some(&args.call.pool),
            Self::Serve(args) => Some(&args.pool),
            Self::Config(args) => Some(&args.pool),
            Self::Top(_) | Self::Init(_) | Self::Completions(_) | Self::Man(_) => None,
        }
    }
}
