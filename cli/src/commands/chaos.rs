//! `pyproc chaos`: the load of `bench` while faults are injected, and whether what the pool
//! promises held.

mod leaks;
mod watch;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::time::Duration;

use actix_pyproc::{
    Call, ConfigError, ConfigLayers, ConfigOrigin, FaultInjector, FaultKind, PoolConfig, StopFaults,
};
use serde::Serialize;

use crate::commands::bench::{self, Report as Figures};
use crate::commands::call::argument::Argument;
use crate::console::{note, stdout};
use crate::failure::Failure;
use crate::load::{Limit, Load};
use crate::options::PoolOptions;
use crate::session::Session;
use crate::signals::{Signal, Signals};
use crate::target::Target;
use leaks::Leaks;
use watch::{Seen, Watch};

/// How long the last calls are waited for, beyond their own deadline and the end of a worker that
/// is stuck.
const PATIENCE: Duration = Duration::from_secs(5);
/// The deadline of calls, unless one is set: a call whose worker is stopped should end within the
/// run.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const KILL_GRACE: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_millis(100);

/// How a call may end because of a fault. Any other end was not the fault's to bring about.
const EXPECTED: [&str; 5] = ["worker_lost", "deadline_exceeded", "quarantined", "overloaded", "unavailable"];

/// Call one function under load while faults are injected, and check that every call ends
#[derive(clap::Args)]
#[command(override_usage = "pyproc chaos [OPTIONS] WORKER FUNCTION [JSON]\n       \
    pyproc chaos [OPTIONS] -m MODULE FUNCTION [JSON]")]
#[command(after_help = "\
It ends with 0 if every call got an answer, no fault brought about an error that is not of its kind, and no process and no
descriptor was left; else with 6. Workers are replaced without limit, unless the configuration has limits of its own.")]
pub(crate) struct Args {
    /// The Python file (not with -m), the name of the function, and its argument as JSON: `-` reads
    /// that from standard input, none is null
    #[arg(value_name = "WORKER FUNCTION JSON", num_args = 1..=3, required = true, allow_negative_numbers = true)]
    words: Vec<OsString>,
    /// How many callers, each of which makes one call after the other
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,
    /// How long to call
    #[arg(long, value_name = "S", default_value = "10", value_parser = bench::seconds)]
    seconds: Duration,
    /// Which faults, each as often as the others; those with a time or a size take it after a
    /// colon: pause:200, memory:64
    #[arg(
        long,
        value_name = "FAULT,...",
        value_delimiter = ',',
        default_value = "kill,pause,exit,exit_mid_reply,close,garbage,truncated,oversize,wrong_reply,old_reply,duplicate_reply"
    )]
    faults: Vec<FaultKind>,
    /// The time from one fault to the next, in milliseconds
    #[arg(long, value_name = "MS", default_value = "100", value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// The same number gives the same faults in the same order [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON object on one line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) pool: PoolOptions,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    figures: Figures,
    faults: BTreeMap<&'static str, u64>,
    recovery_p50_ms: f64,
    recovery_max_ms: f64,
    leaked_processes: usize,
    leaked_fds: usize,
    unanswered: u64,
}

/// What the run itself brought, before the pool was stopped.
struct Run {
    figures: Figures,
    faults: BTreeMap<&'static str, u64>,
    seen: Seen,
    unanswered: u64,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let target = Target::sort(&args.words, args.pool.module.is_some(), "chaos")?;
    let argument = Argument::json(target.argument.as_deref().unwrap_or("null"), args.pool.codec)?;
    // The name lives as long as the command, and each call has its own copy of the reference.
    let function: &'static str = target.function.leak();
    let call = argument.into_call(function)?;
    let config = for_chaos(&args.pool.layers(target.script.as_deref(), defaults())?)?;
    // What a process opens once for its signals is no leak.
    drop(Signals::listen()?);
    let leaks = Leaks::before()?;
    let mut session = Session::start(config).await?;
    // A call that fails without any fault says nothing about faults.
    session.pool.request(call.clone()).await?;
    let (run, signal) = storm(&mut session, &call, &args).await?;
    session.stop().await;
    let (leaked_processes, leaked_fds) = leaks.after(&run.seen.pids).await?;
    let report = Report {
        figures: run.figures,
        faults: run.faults,
        recovery_p50_ms: run.seen.recovery(0.5),
        recovery_max_ms: run.seen.recovery(1.0),
        leaked_processes,
        leaked_fds,
        unanswered: run.unanswered,
    };
    if args.json {
        report.tell_json()?;
    } else {
        report.tell_table()?;
    }
    match signal {
        Some(signal) => Err(Failure::Signal(signal)),
        None => report.judge(),
    }
}

/// What suits a run in which workers die all the time: the lowest layer, so that whatever is set
/// counts before it, also a value that is the usual default.
fn defaults() -> PoolConfig {
    let mut config = PoolConfig::default().kill_grace(KILL_GRACE).call_timeout(CALL_TIMEOUT);
    config.restart.max = MAX_DELAY;
    config.restart.max_restarts = u32::MAX;
    config.restart.max_start_failures = u32::MAX;
    config
}

/// The configuration of the run, checked.
fn for_chaos(layers: &ConfigLayers) -> Result<PoolConfig, ConfigError> {
    let mut config = layers.config().clone();
    if layers.origin("restart.max") == ConfigOrigin::Default {
        // A first delay that is set may be above the longest one that suits the run.
        config.restart.max = config.restart.max.max(config.restart.initial);
    }
    config.validate()?;
    Ok(config)
}

/// Calls and faults side by side; then calls only, until the last one has its answer.
async fn storm(session: &mut Session, call: &Call, args: &Args) -> Result<(Run, Option<Signal>), Failure> {
    let pool = session.pool.clone();
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    note(format_args!("seed {seed}"));
    let watch = Watch::start(&pool).await;
    let every = Duration::from_millis(args.every);
    let callers = usize::try_from(args.concurrency).expect("a number of callers fits");
    let mut load = Load::start(&pool, call, callers, Limit::Time(args.seconds));
    let injector =
        FaultInjector::new(pool.addr(), args.faults.iter().copied()).every(every).seed(seed).start();
    let work = async {
        let last = pool.config().call_timeout.unwrap_or(CALL_TIMEOUT) + pool.config().kill_grace + PATIENCE;
        // Callers stop at the limit of the load, faults with them.
        let faults = async {
            actix_rt::time::sleep(args.seconds).await;
            injector.send(StopFaults).await.unwrap_or_default()
        };
        let answers = actix_rt::time::timeout(args.seconds + last, load.finish());
        let (answers, faults) = tokio::join!(answers, faults);
        let status = pool.status().await;
        let restarts = status.restarts + status.kills;
        let (figures, unanswered) = match answers {
            Ok(tally) => (Figures::new(&tally, restarts), tally.calls - tally.answered()),
            Err(_) => load.look(|tally| (Figures::new(tally, restarts), tally.calls - tally.answered())),
        };
        Run { figures, faults, seen: watch.seen().await, unanswered }
    };
    session.run(work).await
}

impl Report {
    /// Whether all that the pool promises held.
    fn judge(&self) -> Result<(), Failure> {
        let strange = self.figures.errors.keys().find(|kind| !EXPECTED.contains(kind));
        let broken = match (self.unanswered, strange, self.leaked_processes, self.leaked_fds) {
            (0, None, 0, 0) => return Ok(()),
            (unanswered @ 1.., ..) => format!("{unanswered} calls got no answer"),
            (_, Some(kind), ..) => format!("calls ended as {kind}, which no fault brings about"),
            (_, _, processes @ 1.., _) => format!("{processes} processes are left"),
            (.., fds) => format!("{fds} descriptors are left"),
        };
        Err(Failure::Broken(broken))
    }

    fn tell_json(&self) -> io::Result<()> {
        let mut out = serde_json::to_vec(self)?;
        out.push(b'\n');
        stdout().write_all(&out)
    }

    fn tell_table(&self) -> io::Result<()> {
        self.figures.tell_table()?;
        let mut out = stdout();
        for (kind, count) in &self.faults {
            writeln!(out, "fault {kind:<20} {count:>6}")?;
        }
        writeln!(out, "recovery p50               {:>6.0} ms", self.recovery_p50_ms)?;
        writeln!(out, "recovery max               {:>6.0} ms", self.recovery_max_ms)?;
        writeln!(out, "unanswered                 {:>6}", self.unanswered)?;
        writeln!(out, "processes left             {:>6}", self.leaked_processes)?;
        writeln!(out, "descriptors left           {:>6}", self.leaked_fds)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_pyproc::{ConfigLayers, PoolConfig};

    use super::{CALL_TIMEOUT, KILL_GRACE, MAX_DELAY, defaults, for_chaos};

    /// The configuration of a run for which this TOML is set.
    fn with(text: &str) -> PoolConfig {
        let layers = ConfigLayers::new(defaults()).toml(text, None).expect("it is a configuration");
        for_chaos(&layers).expect("it can be used")
    }

    #[test]
    fn what_is_set_counts_also_if_it_is_the_usual_default() {
        let usual = PoolConfig::default();
        let config = with("");
        assert_eq!((config.kill_grace, config.call_timeout), (KILL_GRACE, Some(CALL_TIMEOUT)));
        assert_eq!((config.restart.max, config.restart.max_restarts), (MAX_DELAY, u32::MAX));

        let config = with("kill_grace = \"1s\"\ncall_timeout = \"30s\"\n[restart]\nmax_restarts = 10");
        assert_eq!((config.kill_grace, config.call_timeout), (usual.kill_grace, usual.call_timeout));
        assert_eq!(config.restart.max_restarts, usual.restart.max_restarts);
        assert_eq!(config.restart.max_start_failures, u32::MAX, "it is not set");

        let config = with("[restart]\ninitial = \"2s\"");
        assert_eq!(config.restart.max, Duration::from_secs(2));
    }
}
