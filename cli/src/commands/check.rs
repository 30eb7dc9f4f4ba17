//! `pyproc check`: starts one worker and lists the functions that it exposes.

use std::io::{self, Write as _};
use std::path::PathBuf;

use actix_pyproc::pool::{FunctionInfo, FunctionKind};
use serde::Serialize;

use crate::console::{self, note, stdout};
use crate::escape;
use crate::failure::Failure;
use crate::options::PoolOptions;
use crate::session::Session;

/// Signatures up to this width are aligned.
const ALIGNED: usize = 48;

/// Start one worker, list the functions that it exposes, and stop
#[derive(clap::Args)]
#[command(override_usage = "pyproc check [OPTIONS] WORKER\n       pyproc check [OPTIONS] -m MODULE")]
pub(crate) struct Args {
    /// The Python file that the worker runs
    #[arg(value_name = "WORKER", required_unless_present = "module", conflicts_with = "module")]
    worker: Option<PathBuf>,
    /// Print one JSON object on one line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) pool: PoolOptions,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    python: &'a str,
    functions: Vec<Function<'a>>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    signature: &'a str,
    doc: Option<&'a str>,
    kind: FunctionKind,
    warnings: &'a [String],
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let mut config = args.pool.config_for_one(args.worker.as_deref())?;
    // All workers expose the same functions, so one is enough.
    (config.workers, config.min_ready) = (1, 0);
    let session = Session::start(config).await?;
    let (python, functions) = (session.pool.python_version(), session.pool.functions());
    for function in &*functions {
        for warning in &function.warnings {
            note(format_args!("warning: {}: {warning}", function.name));
        }
    }
    let printed = if args.json { print_json(python, &functions) } else { print_lines(python, &functions) };
    session.stop().await;
    Ok(printed?)
}

fn print_json(python: &str, functions: &[FunctionInfo]) -> io::Result<()> {
    let functions = (functions.iter())
        .map(|function| Function {
            name: &function.name,
            signature: &function.signature,
            doc: function.summary(),
            kind: function.kind,
            warnings: &function.warnings,
        })
        .collect();
    console::print_json(&Report { python, functions })
}

fn print_lines(python: &str, functions: &[FunctionInfo]) -> io::Result<()> {
    let heads: Vec<String> = functions.iter().map(head).collect();
    let width = heads.iter().map(|head| head.chars().count()).filter(|&width| width <= ALIGNED).max();
    let width = width.unwrap_or_default();
    let mut out = stdout();
    for (head, function) in heads.iter().zip(functions) {
        match function.summary() {
            Some(doc) => writeln!(out, "{head:width$}  {}", escape::line(doc))?,
            None => writeln!(out, "{head}")?,
        }
    }
    match functions.len() {
        0 => note("warning: the worker exposes no function; mark one with @expose"),
        1 => note(format_args!("1 function, Python {python}")),
        count => note(format_args!("{count} functions, Python {python}")),
    }
    Ok(())
}

fn head(function: &FunctionInfo) -> String {
    let FunctionInfo { name, signature, kind, .. } = function;
    let kind = match kind {
        FunctionKind::Sync => "",
        FunctionKind::Async => "async ",
    };
    // The text of a default value can contain line breaks, but a program reads one line per
    // function.
    escape::line(format_args!("{kind}{name}{signature}"))
}
