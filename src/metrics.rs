//! The pool's figures, by their names in a metrics system. The main structure is `Family`.
//!
//! They are made from a [`PoolStatus`] when somebody asks for them; a call records nothing here.

use std::borrow::Cow;

use actix_pyproc_actors::router::Distribution;

use crate::PoolStatus;

#[cfg(feature = "metrics")]
mod publisher;

#[cfg(feature = "metrics")]
pub use publisher::Publisher;

/// All samples of one name.
pub(crate) struct Family<'a> {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) samples: Samples<'a>,
}

pub(crate) enum Samples<'a> {
    Counters(Vec<(Labels<'a>, u64)>),
    Gauges(Vec<(Labels<'a>, f64)>),
    /// Durations.
    Histograms(Vec<(Labels<'a>, &'a Distribution)>),
}

pub(crate) type Labels<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// All figures of a pool.
pub(crate) fn families(status: &PoolStatus) -> Vec<Family<'_>> {
    let mut families = calls(status);
    families.extend(pool(status));
    families.extend(workers(status));
    families
}

fn calls(status: &PoolStatus) -> Vec<Family<'_>> {
    let mut outcomes = Vec::new();
    let mut told = std::collections::BTreeMap::new();
    for row in &status.functions {
        let labels =
            |outcome| vec![("function", row.function.as_str().into()), ("outcome", Cow::Borrowed(outcome))];
        outcomes.push((labels("ok"), row.ok));
        outcomes.push((labels("abandoned"), row.abandoned));
        for (kind, count) in &row.errors {
            outcomes.push((labels(kind), *count));
            *told.entry(kind).or_insert(0) += count;
        }
    }
    // Names that do not exist are not told, lest a client makes as many time series as it likes.
    for (kind, count) in &status.errors {
        let untold = count - told.get(kind).copied().unwrap_or(0).min(*count);
        if untold > 0 {
            outcomes.push((vec![("function", "".into()), ("outcome", Cow::Borrowed(kind.as_ref()))], untold));
        }
    }
    let by_function = |of: fn(&crate::FunctionRow) -> &Distribution| {
        let rows = status.functions.iter();
        Samples::Histograms(
            rows.map(|row| (vec![("function", row.function.as_str().into())], of(row))).collect(),
        )
    };
    vec![
        Family {
            name: "pyproc_calls_total",
            help: "Calls that have ended, by function and outcome",
            samples: Samples::Counters(outcomes),
        },
        Family {
            name: "pyproc_call_duration_seconds",
            help: "From admission to answer, of calls that returned",
            samples: by_function(|row| &row.latencies),
        },
        Family {
            name: "pyproc_queue_wait_seconds",
            help: "From admission to the hand-over to a worker",
            samples: by_function(|row| &row.queue_waits),
        },
    ]
}

fn pool(status: &PoolStatus) -> Vec<Family<'_>> {
    let counter =
        |name, help, value| Family { name, help, samples: Samples::Counters(vec![(Vec::new(), value)]) };
    let gauge =
        |name, help, value| Family { name, help, samples: Samples::Gauges(vec![(Vec::new(), value)]) };
    let restarts = status.restarts_by_cause.iter();
    let restarts = restarts.map(|(cause, count)| (vec![("cause", Cow::Borrowed(*cause))], *count)).collect();
    vec![
        gauge("pyproc_queue_length", "Calls that wait for a worker", count(status.queued)),
        gauge("pyproc_in_flight", "Calls that are with workers", count(status.in_flight)),
        counter(
            "pyproc_requeued_total",
            "Calls given to another worker before they had started",
            status.requeued,
        ),
        gauge("pyproc_workers", "Slots of the pool", count(status.slots.len())),
        gauge("pyproc_workers_serving", "Slots that serve", count(status.serving)),
        counter("pyproc_worker_starts_total", "Processes that became ready", status.starts),
        counter(
            "pyproc_worker_start_failures_total",
            "Processes that did not become ready",
            status.start_failures,
        ),
        Family {
            name: "pyproc_worker_restarts_total",
            help: "Processes that were replaced, by cause",
            samples: Samples::Counters(restarts),
        },
        gauge(
            "pyproc_breaker_state",
            "0 closed, 1 half-open: one start is tried, 2 open: no worker serves and calls are refused",
            match status.admission {
                "half_open" => 1.0,
                "unavailable" => 2.0,
                _ => 0.0,
            },
        ),
    ]
}

fn workers(status: &PoolStatus) -> Vec<Family<'_>> {
    let gauges = |name, help, of: fn(&crate::SlotRow) -> Option<f64>| {
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
        gauges("pyproc_worker_cpu_seconds", "Processor time that the worker's process has used", |row| {
            row.cpu_ms.map(|ms| number(ms) / 1000.0)
        }),
    ]
}

fn count(count: usize) -> f64 {
    number(count as u64)
}

#[expect(clippy::cast_precision_loss, reason = "a metrics system has no other numbers")]
fn number(number: u64) -> f64 {
    number as f64
}
