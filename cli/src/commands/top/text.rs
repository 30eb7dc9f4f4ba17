//! `--once`: one snapshot as plain text. The main item is [`text`].
//!
//! A column without any value is left out. The processor column is always left out, because a share
//! of a core takes two measurements.

use super::columns::{CALLS, CRASHES, Column, FAILURES, FUNCTIONS, LOG, NONE, WORKERS};
use super::details::{heading, started};
use super::format::{clean, count, duration, rate, span};
use super::model::Model;

/// How many lines of standard error are shown.
const STDERR_LINES: usize = 10;
/// How many lines of the workers are shown.
const LOG_LINES: usize = 10;

pub(super) fn text(model: &Model) -> String {
    let (about, status) = (&model.about, &model.status);
    let mut out = format!("{}: ", clean(&about.worker));
    match &status.reason {
        Some(reason) => out += &format!("not ready, {reason}"),
        None => out += "ready",
    }
    if let Some(ms) = status.uptime_ms {
        out += &format!(", up {}", span(ms));
    }
    out += &format!(", {} of {} workers serve, ", status.pool.serving, status.pool.slots.len());
    out += &format!("Python {}, pyproc {}\n", clean(&about.python), clean(&about.version));
    let some = |us: Option<u64>| us.map_or_else(|| NONE.to_owned(), duration);
    if let Some(last) = model.points.back() {
        out += &format!("{} calls/s, {} errors/s, ", rate(last.calls), rate(last.errors));
        out += &format!("p50 {}, p95 {}, p99 {}, ", some(last.p50), some(last.p95), some(last.p99));
        if let (Some(p50), Some(p99)) = (last.wait_p50, last.wait_p99) {
            out += &format!("queue wait p50 {}, p99 {}, ", duration(p50), duration(p99));
        }
    }
    let pool = &status.pool;
    let (in_flight, queued) = (pool.in_flight as u64, pool.queued as u64);
    out += &format!(
        "{} in flight, {} queued, restarts {}\n",
        count(in_flight),
        count(queued),
        count(pool.restarts)
    );
    table(&mut out, WORKERS, &pool.slots, model);
    table(&mut out, FUNCTIONS, &pool.functions, model);
    table(&mut out, FAILURES, &model.failures, model);
    table(&mut out, CALLS, &pool.oldest_calls, model);
    table(&mut out, CRASHES, &model.crashes, model);
    if let Some(last) = model.crashes.first().map(|crash| &crash.last) {
        out += &format!("\nlast crash: {}\n", heading(last));
        for call in &last.calls {
            out += &format!("    {}\n", started(call));
        }
        let stacks = last.stacks.iter().flat_map(|stacks| stacks.lines());
        let skipped = last.stderr.len().saturating_sub(STDERR_LINES);
        for line in stacks.chain(last.stderr.iter().skip(skipped).map(String::as_str)) {
            out += &format!("    {}\n", clean(line).replace('\n', " "));
        }
    }
    let skipped = model.log.len().saturating_sub(LOG_LINES);
    table(&mut out, LOG, model.log.range(skipped..), model);
    out
}

/// Appends a table whose columns are as wide as their cells; nothing if there are no rows.
fn table<'a, T: 'a>(
    out: &mut String,
    columns: &[Column<T>],
    rows: impl IntoIterator<Item = &'a T>,
    model: &Model,
) {
    let rows: Vec<&T> = rows.into_iter().collect();
    if rows.is_empty() {
        return;
    }
    out.push('\n');
    let mut lines = vec![String::new(); rows.len() + 1];
    for column in columns {
        let cells: Vec<String> =
            rows.iter().map(|row| clean(&(column.cell)(model, row)).replace('\n', " ")).collect();
        if cells.iter().all(|cell| cell == NONE) {
            continue;
        }
        let title = column.title(u16::MAX);
        let length = |text: &str| text.chars().count();
        let width = cells.iter().map(|cell| length(cell)).max().unwrap_or(0).max(length(title));
        for (line, cell) in
            lines.iter_mut().zip(std::iter::once(title).chain(cells.iter().map(String::as_str)))
        {
            let gap = if line.is_empty() { "" } else { "  " };
            *line += &match column.left {
                true => format!("{gap}{cell:<width$}"),
                false => format!("{gap}{cell:>width$}"),
            };
        }
    }
    for line in lines {
        *out += line.trim_end();
        out.push('\n');
    }
}
