//! `pyproc call`: one call of one function.

pub(crate) mod argument;
mod output;

use std::ffi::OsString;
use std::path::PathBuf;

use actix_pyproc::{Call, CallError, Reply};

use crate::failure::Failure;
use crate::options::PoolOptions;
use crate::session::Session;
use crate::target::{Target, too_many};
use argument::Argument;
use output::Output;

/// Call one function, and print its result as JSON
#[derive(clap::Args)]
#[command(override_usage = "pyproc call [OPTIONS] WORKER FUNCTION [JSON]\n       \
    pyproc call [OPTIONS] -m MODULE FUNCTION [JSON]")]
pub(crate) struct Args {
    /// The Python file (not with -m), the name of the function, and its argument as JSON: `-` reads
    /// that from standard input, none is null
    #[arg(value_name = "WORKER FUNCTION JSON", num_args = 1..=3, required = true, allow_negative_numbers = true)]
    words: Vec<OsString>,
    /// Send the raw bytes of a file as the argument; `-` is standard input
    #[arg(long, value_name = "FILE")]
    bytes: Option<PathBuf>,
    /// Write the result's raw bytes to a file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print a result of raw bytes as JSON too: as a string if it is UTF-8, else as an array of
    /// numbers
    #[arg(long, conflicts_with = "out")]
    json: bool,
    #[command(flatten)]
    pub(crate) pool: PoolOptions,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let target = Target::sort(&args.words, args.pool.module.is_some(), "call")?;
    if args.bytes.is_some() && target.argument.is_some() {
        too_many("call");
    }
    let argument = match (&args.bytes, &target.argument) {
        (Some(path), _) => Argument::bytes(path)?,
        (None, Some(json)) => Argument::json(json, args.pool.codec)?,
        (None, None) => Argument::json("null", args.pool.codec)?,
    };
    let call = argument.into_call(target.function)?;
    let config = args.pool.config_for_one(target.script.as_deref())?;
    let output = Output::open(args.out.as_deref(), args.json)?;
    let mut session = Session::start(config).await?;
    let result = one_call(&mut session, call).await;
    if result.is_err() {
        output.discard();
    }
    // The result is worth having even if the workers take their time to stop.
    let told = result.and_then(|reply| output.write(&reply));
    if !matches!(told, Err(Failure::Signal(_))) {
        session.stop().await;
    }
    told
}

async fn one_call(session: &mut Session, call: Call) -> Result<Reply, Failure> {
    let pool = session.pool.clone();
    let (result, signal) = session.run(pool.request(call)).await?;
    match (result, signal) {
        // That the call did not end is the signal's doing.
        (
            Err(CallError::WorkerLost { .. } | CallError::ShuttingDown | CallError::DeadlineExceeded { .. }),
            Some(signal),
        ) => Err(Failure::Signal(signal)),
        (result, _) => Ok(result?),
    }
}
