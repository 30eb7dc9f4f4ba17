//! The metrics of a pool. The main structure is [`Family`].
//!
//! They are made from a [`PoolStatus`] when a metrics system asks for them; a call records nothing
//! here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_pyproc_actors::router::Distribution;

use super::pool::{AdmissionState, FunctionRow, PoolStatus};
use super::slot::SlotRow;

/// A pool at one moment, with what identifies its metrics.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// The label `pool`.
    pub(crate) name: String,
    /// The version of the interpreter.
    pub(crate) python: String,
    pub(crate) status: PoolStatus,
}

/// All samples of one name.
pub(crate) struct Family<'a> {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) samples: Samples<'a>,
}

pub(crate) enum Samples<'a> {
    Counters(Vec<(Labels<'a>, u64)>),
    /// Counters of seconds.
    Seconds(Vec<(Labels<'a>, f64)>),
    Gauges(Vec<(Labels<'a>, f64)>),
    /// Durations.
    Histograms(Vec<(Labels<'a>, &'a Distribution)>),
}

pub(crate) type Labels<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// All metrics of some pools. Each name has one family, with the samples of all pools.
pub(crate) fn families(pools: &[Measured]) -> Vec<Family<'_>> {
    let mut merged: Vec<Family<'_>> = Vec::new();
    for pool in pools {
        let mut families = of_pool(pool);
        families.iter_mut().for_each(|family| family.samples.label("pool", &pool.name));
        match merged.is_empty() {
            true => merged = families,
            false => merged.iter_mut().zip(families).for_each(|(all, more)| all.samples.extend(more.samples)),
        }
    }
    merged
}

/// The metrics of one pool, in the same order for every pool.
fn of_pool(pool: &Measured) -> Vec<Family<'_>> {
    let mut families = vec![build_info(pool)];
    families.extend(calls(&pool.status));
    families.extend(self::pool(&pool.status));
    families.extend(workers(&pool.status));
    families
}

fn build_info(pool: &Measured) -> Family<'_> {
    let labels = vec![("version", env!("CARGO_PKG_VERSION").into()), ("python", (&pool.python).into())];
    Family {
        name: "pyproc_build_info",
        help: "1; its labels are the versions of actix-pyproc and of the interpreter",
        samples: Samples::Gauges(vec![(labels, 1.0)]),
    }
}

impl<'a> Samples<'a> {
    /// Adds a label to each sample, before the others.
    fn label(&mut self, name: &'static str, value: &'a str) {
        fn add<'a, T>(samples: &mut [(Labels<'a>, T)], name: &'static str, value: &'a str) {
            samples.iter_mut().for_each(|(labels, _)| labels.insert(0, (name, value.into())));
        }
        match self {
            Self::Counters(samples) => add(samples, name, value),
            Self::Seconds(samples) | Self::Gauges(samples) => add(samples, name, value),
            Self::Histograms(samples) => add(samples, name, value),
        }
    }

    /// Adds the samples of the same family of another pool.
    fn extend(&mut self, more: Self) {
        match (self, more) {
            (Self::Counters(all), Self::Counters(more)) => all.extend(more),
            (Self::Seconds(all), Self::Seconds(more)) | (Self::Gauges(all), Self::Gauges(more)) => {
                all.extend(more);
            }
            (Self::Histograms(all), Self::Histograms(more)) => all.extend(more),
            _ => unreachable!("a family has the same kind in every pool"),
        }
    }
}

fn calls(status: &PoolStatus) -> Vec<Family<'_>> {
    let waits = status.functions.iter();
    let waits = waits.map(|row| (vec![("function", (&row.function).into())], &row.queue_waits));
    vec![
        Family {
            name: "pyproc_calls_total",
            help: "Calls that have ended, by function and outcome",
            samples: Samples::Counters(outcomes(status)),
        },
        Family {
            name: "pyproc_call_duration_seconds",
            help: "From admission to answer, by function and outcome",
            samples: Samples::Histograms(status.functions.iter().flat_map(durations).collect()),
        },
        Family {
            name: "pyproc_queue_wait_seconds",
            help: "From admission to the dispatch to a worker",
            samples: Samples::Histograms(waits.collect()),
        },
    ]
}

/// The durations of a function's calls, by the outcomes that occurred.
fn durations(row: &FunctionRow) -> impl Iterator<Item = (Labels<'_>, &Distribution)> {
    let errors = row.error_latencies.iter().map(|(kind, latencies)| (&**kind, latencies));
    let returned = std::iter::once(("ok", &row.latencies)).filter(|(_, latencies)| latencies.count() > 0);
    let outcomes = returned.chain(errors);
    outcomes.map(|(outcome, latencies)| (call_labels(&row.function, outcome), latencies))
}

/// How many calls ended in which way, by function.
fn outcomes(status: &PoolStatus) -> Vec<(Labels<'_>, u64)> {
    let mut outcomes = Vec::new();
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for FunctionRow { function, calls, .. } in &status.functions {
        outcomes.push((call_labels(function, "ok"), calls.ok));
        outcomes.push((call_labels(function, "abandoned"), calls.abandoned));
        for (kind, count) in &calls.errors {
            outcomes.push((call_labels(function, kind), *count));
            *counted.entry(kind).or_default() += count;
        }
    }
    // Calls whose function is not known. Names of functions that do not exist are not labels,
    // because a client could create any number of time series.
    for (kind, count) in &status.calls.errors {
        let rest = count.saturating_sub(counted.get(kind.as_ref()).copied().unwrap_or(0));
        if rest > 0 {
            outcomes.push((call_labels("", kind), rest));
        }
    }
    outcomes
}

fn call_labels<'a>(function: &'a str, outcome: &'a str) -> Labels<'a> {
    vec![("function", function.into()), ("outcome", outcome.into())]
}

fn pool(status: &PoolStatus) -> Vec<Family<'_>> {
    let counter =
        |name, help, value| Family { name, help, samples: Samples::Counters(vec![(Vec::new(), value)]) };
    let gauge =
        |name, help, value| Family { name, help, samples: Samples::Gauges(vec![(Vec::new(), value)]) };
    let restarts = status.restarts_by_cause.iter();
    let restarts = restarts.map(|(cause, count)| (vec![("cause", cause.to_string().into())], *count));
    vec![
        gauge("pyproc_queue_length", "Calls that wait for a worker", count(status.queued)),
        gauge("pyproc_in_flight", "Calls that workers have", count(status.in_flight)),
        counter("pyproc_requeued_total", "Calls that were requeued before they had started", status.requeued),
        gauge("pyproc_workers", "Slots of the pool", count(status.slots.len())),
        gauge("pyproc_workers_serving", "Slots that serve", count(status.serving)),
        counter("pyproc_worker_starts_total", "Processes that became ready", status.starts),
        counter(
            "pyproc_worker_start_failures_total",
            "Processes that failed to start",
            status.start_failures,
        ),
        Family {
            name: "pyproc_worker_restarts_total",
            help: "Processes that were replaced, by cause",
            samples: Samples::Counters(restarts.collect()),
        },
        gauge(
            "pyproc_breaker_state",
            "0 closed, 1 half-open: one start is tried, 2 open: no worker serves and calls are refused",
            match status.admission {
                AdmissionState::HalfOpen => 1.0,
                AdmissionState::Unavailable => 2.0,
                AdmissionState::Open | AdmissionState::ShuttingDown | AdmissionState::Unknown => 0.0,
            },
        ),
    ]
}

fn workers(status: &PoolStatus) -> Vec<Family<'_>> {
    let gauges = |name, help, of: fn(&SlotRow) -> Option<f64>| {
        let rows = status.slots.iter();
        let samples = rows.filter_map(|row| Some((vec![("slot", row.slot.to_string().into())], of(row)?)));
        Family { name, help, samples: Samples::Gauges(samples.collect()) }
    };
    vec![
        gauges("pyproc_worker_up", "Whether the slot serves", |row| {
            Some(f64::from(u8::from(row.pid.is_some())))
        }),
        gauges("pyproc_worker_in_flight", "Calls that the worker has", |row| Some(f64::from(row.in_flight))),
        gauges("pyproc_worker_resident_bytes", "Resident memory of the worker", |row| {
            row.rss_bytes.map(number)
        }),
        Family {
            name: "pyproc_worker_cpu_seconds_total",
            help: "Processor time that the processes of the slot have used",
            samples: Samples::Seconds(status.slots.iter().map(cpu_seconds).collect()),
        },
    ]
}

fn cpu_seconds(row: &SlotRow) -> (Labels<'_>, f64) {
    (vec![("slot", row.slot.to_string().into())], number(row.cpu_total_ms) / 1000.0)
}

fn count(count: usize) -> f64 {
    number(count as u64)
}

#[expect(clippy::cast_precision_loss, reason = "metrics systems store floating-point numbers")]
fn number(number: u64) -> f64 {
    number as f64
}
