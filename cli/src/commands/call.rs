//! `pyproc call`: one call of one function. The main item is [`run`].

mod debugger;
mod output;

use std::path::PathBuf;

use actix_pyproc::{Call, CallError, Reply};

use self::output::Output;
use crate::argument::Argument;
use crate::call_args::{CallArgs, too_many};
use crate::failure::Failure;
use crate::session::Session;

/// Call one function, and print its result as JSON
#[derive(clap::Args)]
#[command(override_usage = "pyproc call [OPTIONS] WORKER FUNCTION [JSON | NAME=VALUE...]\n       \
    pyproc call [OPTIONS] -m MODULE FUNCTION [JSON | NAME=VALUE...]")]
pub(crate) struct Args {
    /// Send the raw bytes of a file as the argument; `-` is standard input
    #[arg(long, value_name = "FILE")]
    bytes: Option<PathBuf>,
    /// Write the raw bytes of the result to a file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print a result of raw bytes as JSON too: as a string if it is UTF-8, else as an array of
    /// numbers
    #[arg(long, conflicts_with = "out")]
    json: bool,
    /// Give the function the terminal: breakpoint(), pdb.set_trace() and input() work, an exception
    /// opens the debugger where it was raised, and there are no time limits
    #[arg(long, conflicts_with_all = ["timeout", "start_timeout", "workers"])]
    pdb: bool,
    #[command(flatten)]
    pub(crate) call: CallArgs,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let target = args.call.target::<Args>("call")?;
    if args.bytes.is_some() && !target.argument.is_empty() {
        too_many::<Args>("call");
    }
    let pool = &args.call.pool;
    let argument = match &args.bytes {
        Some(path) => Argument::bytes(path)?,
        None => target.argument(pool.codec)?,
    };
    let call = argument.into_call(target.function)?;
    let mut config = pool.config_for_one(target.script.as_deref())?;
    if args.pdb {
        debugger::prepare(&mut config)?;
    }
    let output = Output::open(args.out.as_deref(), args.json)?;
    let mut session = match args.pdb {
        true => Session::start_beside_terminal(config).await?,
        false => Session::start(config).await?,
    };
    let result = one_call(&mut session, call).await;
    if result.is_err() {
        output.discard();
    }
    // Print the result before the workers stop, which may take a while.
    let written = result.and_then(|reply| output.write(&reply));
    if !matches!(written, Err(Failure::Signal(_))) {
        session.stop().await;
    }
    written
}

async fn one_call(session: &mut Session, call: Call) -> Result<Reply, Failure> {
    let pool = session.pool.clone();
    let (result, signal) = session.run(pool.request(call)).await?;
    match (result, signal) {
        // The signal is the reason why the call has no result.
        (
            Err(CallError::WorkerLost { .. } | CallError::ShuttingDown | CallError::DeadlineExceeded { .. }),
            Some(signal),
        ) => Err(Failure::Signal(signal)),
        (result, _) => Ok(result?),
    }
}
