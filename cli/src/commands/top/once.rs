//! `--once`: what is known, as plain text.
//!
//! A column without a value in any row is left out, as that of the processor is: its figures take
//! two looks.

use super::details::heading;
use super::model::Model;
use super::numbers::{clean, count, duration, rate, span};
use super::rows::{Column, FUNCTIONS, INCIDENTS, NONE, WORKERS};

/// How many lines of a worker's last words are shown.
const LAST_WORDS: usize = 10;

pub(super) fn text(model: &Model) -> String {
    let (about, status) = (&model.about, &model.status);
    let mut out = format!("{}: ", clean(&about.worker));
    match &status.reason {
        Some(reason) => out += &format!("not ready, {}", clean(reason)),
        None => out += "ready",
    }
    if let Some(ms) = status.uptime_ms {
        out += &format!(", up {}", span(ms));
    }
    out += &format!(", {} of {} workers serve, ", status.serving, status.slots.len());
    out += &format!("Python {}, pyproc {}\n", clean(&about.python), clean(&about.version));
    let some = |us: Option<u64>| us.map_or_else(|| NONE.to_owned(), duration);
    if let Some(last) = model.points.back() {
        out += &format!("{} calls/s, {} errors/s, ", rate(last.calls), rate(last.errors));
        out += &format!("p50 {}, p95 {}, p99 {}, ", some(last.p50), some(last.p95), some(last.p99));
    }
    let (in_flight, queued, restarts) = (status.in_flight, status.queued, status.restarts);
    out +=
        &format!("{} in flight, {} queued, restarts {}\n", count(in_flight), count(queued), count(restarts));
    table(&mut out, WORKERS, &status.slots, model);
    table(&mut out, FUNCTIONS, &status.functions, model);
    table(&mut out, INCIDENTS, &model.incidents, model);
    if let Some(last) = model.incidents.first() {
        out += &format!("\nlast incident: {}\n", heading(last));
        let stacks = last.stacks.iter().flat_map(|stacks| stacks.lines());
        let skipped = last.stderr.len().saturating_sub(LAST_WORDS);
        for line in stacks.chain(last.stderr.iter().skip(skipped).map(String::as_str)) {
            out += &format!("    {}\n", clean(line).replace('\n', " "));
        }
    }
    out
}

/// A table whose columns are as wide as what is in them; none without rows.
fn table<T>(out: &mut String, columns: &[Column<T>], rows: &[T], model: &Model) {
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
