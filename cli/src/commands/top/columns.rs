//! The columns of the tables. The main structure is [`Column`].

use actix_pyproc::status::{
    CallRow, Crash, FailureRow, FunctionRow, LatencyStatus, LineSource, LogLine, SlotRow,
};

use super::format::{bytes, clock, count, duration, short, span};
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
    number("wait", 6, 90, |_, row: &FunctionRow| quantile(&row.calls.queue_wait, |wait| wait.p50_us))
        .long("wait p50"),
    number("w99", 6, 90, |_, row: &FunctionRow| quantile(&row.calls.queue_wait, |wait| wait.p99_us))
        .long("wait p99"),
];

pub(super) const FAILURES: &[Column<FailureRow>] = &[
    words("function", 14, 0, |_, row| row.function.clone()),
    words("error", 17, 0, |_, row| error_name(row)),
    number("count", 7, 0, |_, row| short(row.count)),
    number("ago", 7, 70, |model, row| span(model.age_ms(row.at_unix_ms))),
    words("last message", 0, 0, |_, row| row.message.clone()),
];

pub(super) const CALLS: &[Column<CallRow>] = &[
    words("function", 0, 0, |_, call| call.function.clone()),
    words("state", 9, 0, |_, call| call.stage.to_string()),
    number("slot", 4, 0, |_, call| some(call.slot, |slot| slot.to_string())),
    number("age", 7, 0, |_, call| milliseconds(call.age_ms)),
    number("runs for", 8, 0, |_, call| some(call.running_ms, milliseconds)),
    number("deadline", 8, 0, |_, call| some(call.left_ms, milliseconds)),
];

pub(super) const CRASHES: &[Column<Crash>] = &[
    number("ago", 7, 0, |model, crash| span(model.age_ms(crash.last.at_unix_ms))),
    number("times", 5, 0, |_, crash| count(crash.count)),
    words("slots", 5, 0, |_, crash| slots(crash)),
    words("cause", 13, 0, |_, crash| crash.last.cause.to_string().replace('_', " ")),
    words("ran", 16, 70, |_, crash| functions(crash)),
    number("lost", 5, 100, |_, crash| count(crash.last.lost_calls as u64)),
    number("requeued", 8, 100, |_, crash| count(crash.last.requeued as u64)),
    words("what happened", 0, 0, |_, crash| crash.last.what.clone()),
];

pub(super) const LOG: &[Column<LogLine>] = &[
    words("time", 8, 0, |_, line| clock(line.at_unix_ms)[..8].to_owned()),
    number("slot", 4, 0, |_, line| line.slot.to_string()),
    words("level", 6, 0, |_, line| level(line)),
    words("text", 0, 0, |_, line| text(line)),
];

/// The type of the exceptions, or the kind of the errors.
pub(super) fn error_name(row: &FailureRow) -> String {
    match &row.type_name {
        Some(name) => name.strip_prefix("__main__.").unwrap_or(name).to_owned(),
        None if row.kind == "exception" => "other exceptions".to_owned(),
        None => row.kind.replace('_', " "),
    }
}

pub(super) fn milliseconds(ms: u64) -> String {
    duration(ms.saturating_mul(1000))
}

pub(super) fn slots(crash: &Crash) -> String {
    crash.slots.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The functions that ran in most of the crashes, the most frequent first.
pub(super) fn functions(crash: &Crash) -> String {
    let mut functions: Vec<_> = crash.functions.iter().collect();
    functions.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    functions.into_iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

pub(super) fn level(line: &LogLine) -> String {
    match line.source {
        LineSource::Stdout => "stdout".to_owned(),
        LineSource::Stderr => "stderr".to_owned(),
        _ => line.level.clone(),
    }
}

pub(super) fn text(line: &LogLine) -> String {
    if line.logger.is_empty() { line.text.clone() } else { format!("{}: {}", line.logger, line.text) }
}

pub(super) fn quantile(latency: &LatencyStatus, of: impl FnOnce(&LatencyStatus) -> u64) -> String {
    some((latency.count > 0).then(|| of(latency)), duration)
}

/// The text in a pane without rows.
pub(super) const fn empty(pane: Pane, tracebacks: bool) -> &'static str {
    match pane {
        Pane::Workers => "There are no workers.",
        Pane::Functions => "No function was called yet.",
        Pane::Errors => "No call has failed.",
        Pane::Calls => "No call waits or runs.",
        Pane::Crashes => "No worker has crashed, been killed or failed to start.",
        Pane::Log if tracebacks => "No worker has written anything.",
        Pane::Log => "What workers write is shown only with `pyproc serve --tracebacks`.",
    }
}
