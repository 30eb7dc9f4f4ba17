//! The columns of the tables. The main structure is [`Column`].

use actix_pyproc::status::{FunctionRow, Incident, LatencyStatus, SlotRow};

use super::format::{bytes, count, duration, short, span};
use super::model::Model;
use super::view::Pane;

/// A cell without a value.
pub(super) const NONE: &str = "–";

/// A column of a table whose row is a `T`.
pub(super) struct Column<T> {
    title: &'static str,
    /// Its title in a wide table.
    long: &'static str,
    /// How wide it is; 0 takes the rest of the table.
    width: u16,
    /// The narrowest table that shows it.
    pub(super) from: u16,
    pub(super) left: bool,
    pub(super) cell: fn(&Model, &T) -> String,
}

/// The narrowest table with long titles.
const LONG_FROM: u16 = 100;

impl<T> Column<T> {
    const fn long(mut self, title: &'static str) -> Self {
        self.long = title;
        self
    }

    /// Its title in a table of this width.
    pub(super) const fn title(&self, table: u16) -> &'static str {
        if table < LONG_FROM { self.title } else { self.long }
    }

    /// How wide it is in a table of this width; `None` takes the rest of the table.
    pub(super) fn width(&self, table: u16) -> Option<u16> {
        let title = u16::try_from(self.title(table).len()).unwrap_or(self.width);
        (self.width > 0).then(|| self.width.max(title))
    }
}

/// A column of numbers.
const fn number<T>(title: &'static str, width: u16, from: u16, cell: fn(&Model, &T) -> String) -> Column<T> {
    Column { title, long: title, width, from, left: false, cell }
}

/// A column of words.
const fn words<T>(title: &'static str, width: u16, from: u16, cell: fn(&Model, &T) -> String) -> Column<T> {
    Column { title, long: title, width, from, left: true, cell }
}

fn some<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), text)
}

pub(super) const WORKERS: &[Column<SlotRow>] = &[
    number("slot", 4, 0, |_, slot| slot.slot.to_string()),
    words("state", 9, 0, |_, slot| slot.state.to_string()),
    number("gen", 3, 70, |_, slot: &SlotRow| some(slot.generation, |generation| generation.to_string()))
        .long("generation"),
    number("pid", 7, 0, |_, slot| some(slot.pid, |pid| pid.to_string())),
    number("up", 7, 100, |_, slot| some(slot.uptime_ms, span)),
    number("rss", 7, 0, |_, slot| some(slot.rss_bytes, bytes)),
    number("cpu", 4, 0, |model, slot| some(model.cpu_percent(slot), |percent| format!("{percent}%"))),
    number("in-fl", 5, 70, |_, slot: &SlotRow| count(slot.in_flight.into())).long("in flight"),
    number("calls", 7, 70, |_, slot| short(slot.calls)),
    number("rst", 3, 70, |_, slot: &SlotRow| count(slot.restarts)).long("restarts"),
    words("last exit", 0, 0, |_, slot| some(slot.last_exit.clone(), |exit| exit)),
];

pub(super) const FUNCTIONS: &[Column<FunctionRow>] = &[
    words("function", 0, 0, |_, row| row.function.clone()),
    number("returned", 11, 0, |_, row| count(row.calls.ok)),
    number("failed", 9, 0, |_, row| count(row.calls.errors.values().sum())),
    number("abandoned", 9, 90, |_, row| count(row.calls.abandoned)),
    number("p50", 6, 0, |_, row| quantile(&row.calls.latency, |latency| latency.p50_us)),
    number("p95", 6, 70, |_, row| quantile(&row.calls.latency, |latency| latency.p95_us)),
    number("p99", 6, 0, |_, row| quantile(&row.calls.latency, |latency| latency.p99_us)),
    number("max", 6, 70, |_, row| quantile(&row.calls.latency, |latency| latency.max_us)),
];

pub(super) const INCIDENTS: &[Column<Incident>] = &[
    number("ago", 7, 0, |model, incident| span(model.age_ms(incident.at_unix_ms))),
    number("slot", 4, 0, |_, incident| incident.slot.to_string()),
    number("pid", 7, 70, |_, incident| some(incident.pid, |pid| pid.to_string())),
    words("cause", 13, 0, |_, incident| incident.cause.to_string().replace('_', " ")),
    number("lost", 5, 70, |_, incident| count(incident.lost_calls as u64)),
    number("requeued", 8, 90, |_, incident| count(incident.requeued as u64)),
    words("what happened", 0, 0, |_, incident| incident.what.clone()),
];

pub(super) fn quantile(latency: &LatencyStatus, of: impl FnOnce(&LatencyStatus) -> u64) -> String {
    some((latency.count > 0).then(|| of(latency)), duration)
}

/// The text in a pane without rows.
pub(super) const fn empty(pane: Pane) -> &'static str {
    match pane {
        Pane::Workers => "There are no workers.",
        Pane::Functions => "No function was called yet.",
        Pane::Incidents => "No worker has crashed, been killed or failed to start.",
    }
}
