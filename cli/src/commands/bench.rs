//! `pyproc bench`: how many calls a second, and how long each takes.

mod bar;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::time::Duration;

use actix_pyproc::{Call, CallError, Pool, PoolConfig};
use serde::Serialize;

use crate::commands::call::argument::Argument;
use crate::console::{note, stdout};
use crate::failure::Failure;
use crate::load::{Limit, Load, Tally};
use crate::options::PoolOptions;
use crate::session::Session;
use crate::target::Target;

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// Call one function as fast as it answers, and tell how fast that is
#[derive(clap::Args)]
#[command(override_usage = "pyproc bench [OPTIONS] WORKER FUNCTION [JSON]\n       \
    pyproc bench [OPTIONS] -m MODULE FUNCTION [JSON]")]
pub(crate) struct Args {
    /// The Python file (not with -m), the name of the function, and its argument as JSON: `-` reads
    /// that from standard input, none is null
    #[arg(value_name = "WORKER FUNCTION JSON", num_args = 1..=3, required = true, allow_negative_numbers = true)]
    words: Vec<OsString>,
    /// How many callers, each of which makes one call after the other
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,
    /// How long to call [default: 10]
    #[arg(long, value_name = "S", value_parser = seconds, conflicts_with = "calls")]
    seconds: Option<Duration>,
    /// How many calls to make
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    calls: Option<u64>,
    /// Calls to make before, which do not count
    #[arg(long, value_name = "N", default_value_t = 1000)]
    warmup_calls: u64,
    /// Print one JSON object on one line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) pool: PoolOptions,
}

/// What `--json` prints.
#[derive(Serialize)]
pub(crate) struct Report {
    calls: u64,
    ok: u64,
    pub(crate) errors: BTreeMap<&'static str, u64>,
    seconds: f64,
    rps: f64,
    p50_us: f64,
    p95_us: f64,
    p99_us: f64,
    max_us: f64,
    restarts: u64,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let target = Target::sort(&args.words, args.pool.module.is_some(), "bench")?;
    let argument = Argument::json(target.argument.as_deref().unwrap_or("null"), args.pool.codec)?;
    // The name lives as long as the command, and each call has its own copy of the reference.
    let function: &'static str = target.function.leak();
    let call = argument.into_call(function)?;
    let config = args.pool.config(target.script.as_deref(), PoolConfig::default())?;
    let mut session = Session::start(config).await?;
    let result = measure(&mut session, &call, &args).await;
    if !matches!(result, Err(Failure::Signal(_))) {
        session.stop().await;
    }
    result
}

async fn measure(session: &mut Session, call: &Call, args: &Args) -> Result<(), Failure> {
    let pool = session.pool.clone();
    check(&pool, call)?;
    let limit = match args.calls {
        Some(calls) => Limit::Calls(calls),
        None => Limit::Time(args.seconds.unwrap_or(Duration::from_secs(10))),
    };
    let work = async {
        if args.warmup_calls > 0 {
            load(&pool, call, args, Limit::Calls(args.warmup_calls), "warm-up").await;
        }
        let tally = load(&pool, call, args, limit, "calls").await;
        let status = pool.status().await;
        (tally, status.restarts + status.kills)
    };
    let ((tally, restarts), signal) = session.run(work).await?;
    let report = Report::new(&tally, restarts);
    let told = if args.json { report.tell_json() } else { report.tell_table() };
    told?;
    match (signal, tally.last_error) {
        (Some(signal), _) => Err(Failure::Signal(signal)),
        (None, Some(error)) if tally.ok == 0 => Err(error.into()),
        (None, _) => Ok(()),
    }
}

/// Whether there is such a function: to call another a million times tells nothing.
fn check(pool: &Pool, call: &Call) -> Result<(), Failure> {
    let functions = pool.functions();
    if functions.iter().any(|function| function.name == call.function()) {
        return Ok(());
    }
    let known = functions.iter().map(|function| function.name.clone()).collect();
    Err(CallError::UnknownFunction { function: call.function().into(), known }.into())
}

/// Puts the pool under load, with a bar on a terminal.
async fn load(pool: &Pool, call: &Call, args: &Args, limit: Limit, what: &'static str) -> Tally {
    let callers = usize::try_from(args.concurrency).expect("a number of callers fits");
    let mut load = Load::start(pool, call, callers, limit);
    let Some(bar) = bar::bar(what) else { return load.finish().await };
    let mut ticks = actix_rt::time::interval(TICK);
    let tally = loop {
        bar.set_prefix(load.look(|tally| format!("{:.0} calls/s", tally.rate())));
        bar.set_position((load.progress() * bar::STEPS as f64) as u64);
        if load.is_finished() {
            break load.finish().await;
        }
        ticks.tick().await;
    };
    bar.finish_and_clear();
    tally
}

impl Report {
    pub(crate) fn new(tally: &Tally, restarts: u64) -> Self {
        let tenths = |value: f64| (value * 10.0).round() / 10.0;
        let us = |quantile| tenths(tally.quantile_us(quantile));
        Self {
            calls: tally.answered(),
            ok: tally.ok,
            errors: tally.errors.clone(),
            seconds: (tally.elapsed.as_secs_f64() * 1e3).round() / 1e3,
            rps: tenths(tally.rate()),
            p50_us: us(0.50),
            p95_us: us(0.95),
            p99_us: us(0.99),
            max_us: us(1.0),
            restarts,
        }
    }

    fn tell_json(&self) -> io::Result<()> {
        let mut out = serde_json::to_vec(self)?;
        out.push(b'\n');
        stdout().write_all(&out)
    }

    pub(crate) fn tell_table(&self) -> io::Result<()> {
        let mut out = stdout();
        writeln!(out, "{:<10} {:>12.0}", "calls/s", self.rps)?;
        writeln!(out, "{:<10} {:>12} in {:.2} s", "calls", self.calls, self.seconds)?;
        for (name, us) in
            [("p50", self.p50_us), ("p95", self.p95_us), ("p99", self.p99_us), ("max", self.max_us)]
        {
            writeln!(out, "{name:<10} {us:>12.1} µs")?;
        }
        for (kind, count) in &self.errors {
            writeln!(out, "{kind:<10} {count:>12}")?;
        }
        if self.restarts > 0 {
            note(format_args!("{} workers died and were replaced", self.restarts));
        }
        Ok(())
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|seconds| !seconds.is_zero()).ok_or("a number of seconds above 0 is expected")
}
