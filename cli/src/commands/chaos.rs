//! `pyproc chaos`: the load of `bench` under injected faults, and a check of the pool's guarantees.
//! The main items are [`run`] and [`Report`].

mod leaks;
mod watch;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::time::Duration;

use actix_pyproc::config::{ConfigLayers, ConfigOrigin};
use actix_pyproc::error::ConfigError;
use actix_pyproc::fault::{FaultInjector, FaultKind, StopFaults};
use actix_pyproc::{Call, PoolConfig};
use serde::Serialize;

use self::leaks::Baseline;
use self::watch::{Observations, Watch};
use crate::call_args::CallArgs;
use crate::console::{note, print_json, stdout};
use crate::duration;
use crate::failure::Failure;
use crate::figures::Figures;
use crate::load::{Limit, Load};
use crate::session::Session;
use crate::signals::{Signals, StopSignal};

/// How long to wait for the last calls, in addition to their deadline and the kill of a stuck
/// worker.
const PATIENCE: Duration = Duration::from_secs(5);
/// The default deadline of a call: a call whose worker is stopped should end within the run.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const KILL_GRACE: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_millis(100);

/// The errors that faults may cause.
const EXPECTED: [&str; 5] = ["worker_lost", "deadline_exceeded", "quarantined", "overloaded", "unavailable"];

/// Call one function under load while faults are injected, and check that every call ends
#[derive(clap::Args)]
#[command(override_usage = "pyproc chaos [OPTIONS] WORKER FUNCTION [JSON | NAME=VALUE...]\n       \
    pyproc chaos [OPTIONS] -m MODULE FUNCTION [JSON | NAME=VALUE...]")]
#[command(after_help = "\
Exits with 0 if every call got an answer, every error is of a kind that faults may cause, and no process and no descriptor
leaked; otherwise with 6. Workers are replaced without limit, unless the configuration sets one.")]
pub(crate) struct Args {
    /// How many callers, each of which makes one call after the other
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,
    /// How long to call: 10s, 500ms; a bare number is seconds
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::seconds)]
    seconds: Duration,
    /// Which faults to inject, each equally often; a time or a size comes after a colon:
    /// pause:200ms, memory:64
    #[arg(
        long,
        value_name = "FAULT,...",
        value_delimiter = ',',
        default_value = "kill,pause,exit,exit_mid_reply,close,garbage,truncated,oversize,wrong_reply,old_reply,duplicate_reply"
    )]
    faults: Vec<FaultKind>,
    /// The time from one fault to the next: 250ms, 1s; a bare number is milliseconds
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = duration::positive)]
    every: Duration,
    /// The same seed gives the same faults in the same order [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON object on one line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) call: CallArgs,
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

/// The results of the run, before the pool stops.
struct Run {
    figures: Figures,
    faults: BTreeMap<&'static str, u64>,
    observations: Observations,
    unanswered: u64,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let target = args.call.target::<Args>("chaos")?;
    let call = target.repeatable_call(args.call.pool.codec)?;
    let config = for_chaos(&args.call.pool.layers(target.script.as_deref(), defaults())?)?;
    // The first use of signals opens descriptors that stay open; they must not count as leaks.
    drop(Signals::listen()?);
    let baseline = Baseline::take()?;
    let mut session = Session::start(config).await?;
    // A function that fails without faults cannot show what faults do.
    session.pool.request(call.clone()).await?;
    let (run, signal) = run_with_faults(&mut session, &call, &args).await?;
    session.stop().await;
    let (leaked_processes, leaked_fds) = baseline.leaks(&run.observations.pids).await?;
    let report = Report {
        figures: run.figures,
        faults: run.faults,
        recovery_p50_ms: run.observations.recovery(0.5),
        recovery_max_ms: run.observations.recovery(1.0),
        leaked_processes,
        leaked_fds,
        unanswered: run.unanswered,
    };
    if args.json {
        print_json(&report)?;
    } else {
        report.print_table()?;
    }
    match signal {
        Some(signal) => Err(Failure::Signal(signal)),
        None => report.check(),
    }
}

/// Defaults for a run in which workers die all the time. They are the lowest layer: any value that
/// is set overrides them, even one that equals the usual default.
fn defaults() -> PoolConfig {
    let mut config = PoolConfig::default().kill_grace(KILL_GRACE).call_timeout(CALL_TIMEOUT);
    config.restart.max = MAX_DELAY;
    config.restart.max_restarts = u32::MAX;
    config.restart.max_start_failures = u32::MAX;
    config
}

/// The validated configuration of the run.
fn for_chaos(layers: &ConfigLayers) -> Result<PoolConfig, ConfigError> {
    let mut config = layers.config().clone();
    if layers.origin("restart.max") == ConfigOrigin::Default {
        // The first delay that is set may exceed the longest delay of these defaults.
        config.restart.max = config.restart.max.max(config.restart.initial);
    }
    config.validate()?;
    Ok(config)
}

/// Makes calls while faults are injected, then waits until the last call has its answer.
async fn run_with_faults(
    session: &mut Session,
    call: &Call,
    args: &Args,
) -> Result<(Run, Option<StopSignal>), Failure> {
    let pool = session.pool.clone();
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    note(format_args!("seed {seed}"));
    let watch = Watch::start(&pool).await;
    let callers = usize::try_from(args.concurrency).expect("a u32 fits a usize");
    let mut load = Load::start(&pool, call, callers, Limit::Time(args.seconds));
    let injector =
        FaultInjector::new(pool.addr(), args.faults.iter().copied()).every(args.every).seed(seed).start();
    let work = async {
        let last = pool.config().call_timeout.unwrap_or(CALL_TIMEOUT) + pool.config().kill_grace + PATIENCE;
        // Faults stop when the callers stop.
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
            Err(_) => load.read(|tally| (Figures::new(tally, restarts), tally.calls - tally.answered())),
        };
        Run { figures, faults, observations: watch.observations().await, unanswered }
    };
    session.run(work).await
}

impl Report {
    /// Fails if the pool broke a guarantee.
    fn check(&self) -> Result<(), Failure> {
        let unexpected = self.figures.errors.keys().find(|kind| !EXPECTED.contains(kind));
        let broken = match (self.unanswered, unexpected, self.leaked_processes, self.leaked_fds) {
            (0, None, 0, 0) => return Ok(()),
            (unanswered @ 1.., ..) => format!("{unanswered} calls got no answer"),
            (_, Some(kind), ..) => format!("calls ended with {kind}, which no fault causes"),
            (_, _, processes @ 1.., _) => format!("{processes} processes leaked"),
            (.., fds) => format!("{fds} descriptors leaked"),
        };
        Err(Failure::Broken(broken))
    }

    fn print_table(&self) -> io::Result<()> {
        self.figures.print_table()?;
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

    use actix_pyproc::PoolConfig;
    use actix_pyproc::config::ConfigLayers;

    use super::{CALL_TIMEOUT, KILL_GRACE, MAX_DELAY, defaults, for_chaos};

    /// The configuration of a run with this TOML.
    fn with(text: &str) -> PoolConfig {
        let layers = ConfigLayers::new(defaults()).toml(text, None).expect("the TOML is valid");
        for_chaos(&layers).expect("the configuration is valid")
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
        assert_eq!(config.restart.max_start_failures, u32::MAX, "the TOML does not set it");

        let config = with("[restart]\ninitial = \"2s\"");
        assert_eq!(config.restart.max, Duration::from_secs(2));
    }
}
