//! `pyproc bench`: calls per second, and the latency of a call. The main item is [`run`].

mod bar;

use std::time::Duration;

use actix_pyproc::{Call, CallError, Pool, PoolConfig};

use crate::call_args::CallArgs;
use crate::console::print_json;
use crate::duration::seconds;
use crate::failure::Failure;
use crate::figures::Figures;
use crate::load::{Limit, Load, Tally};
use crate::session::Session;

/// How often the bar is redrawn.
const TICK: Duration = Duration::from_millis(100);

/// Call one function as fast as it answers, and measure throughput and latency
#[derive(clap::Args)]
#[command(override_usage = "pyproc bench [OPTIONS] WORKER FUNCTION [JSON | NAME=VALUE...]\n       \
    pyproc bench [OPTIONS] -m MODULE FUNCTION [JSON | NAME=VALUE...]")]
pub(crate) struct Args {
    /// How many callers, each of which makes one call after the other
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,
    /// How long to call: 10s, 500ms; a bare number is seconds [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = seconds, conflicts_with = "calls")]
    seconds: Option<Duration>,
    /// How many calls to make
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    calls: Option<u64>,
    /// How many calls to make before the measurement starts
    #[arg(long, value_name = "N", default_value_t = 1000)]
    warmup_calls: u64,
    /// Print one JSON object on one line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) call: CallArgs,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let target = args.call.target::<Args>("bench")?;
    let call = target.repeatable_call(args.call.pool.codec)?;
    let config = args.call.pool.config(target.script.as_deref(), PoolConfig::default())?;
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
    let figures = Figures::new(&tally, restarts);
    if args.json {
        print_json(&figures)?;
    } else {
        figures.print_table()?;
    }
    match (signal, tally.last_error) {
        (Some(signal), _) => Err(Failure::Signal(signal)),
        (None, Some(error)) if tally.ok == 0 => Err(error.into()),
        (None, _) => Ok(()),
    }
}

/// Fails if the worker does not expose the function: a million such calls would measure nothing.
fn check(pool: &Pool, call: &Call) -> Result<(), Failure> {
    let functions = pool.functions();
    if functions.iter().any(|function| function.name == call.function()) {
        return Ok(());
    }
    let known = functions.iter().map(|function| function.name.clone()).collect();
    Err(CallError::UnknownFunction { function: call.function().into(), known }.into())
}

/// Puts the pool under load, with a progress bar on a terminal.
async fn load(pool: &Pool, call: &Call, args: &Args, limit: Limit, label: &'static str) -> Tally {
    let callers = usize::try_from(args.concurrency).expect("a u32 fits a usize");
    let mut load = Load::start(pool, call, callers, limit);
    let Some(bar) = bar::bar(label) else { return load.finish().await };
    let mut ticks = actix_rt::time::interval(TICK);
    let tally = loop {
        bar.set_prefix(load.read(|tally| format!("{:.0} calls/s", tally.rate())));
        bar.set_position((load.progress() * bar::STEPS as f64) as u64);
        if load.is_finished() {
            break load.finish().await;
        }
        ticks.tick().await;
    };
    bar.finish_and_clear();
    tally
}
