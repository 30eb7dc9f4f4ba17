//! Everything that is known about one row. The main structure is [`Details`].

use actix_pyproc::status::{
    CallRow, Crash, FailureRow, FunctionRow, Incident, LatencyStatus, LogLine, SlotRow,
};

use super::columns::{error_name, functions, level, milliseconds, slots, text};
use super::format::{bytes, clean, clock, count, duration, plural, span};
use super::model::Model;
use super::view::Subject;

#[derive(Debug)]
pub(super) struct Details {
    pub(super) title: String,
    pub(super) parts: Vec<Part>,
}

/// Lines with a heading.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) head: Option<&'static str>,
    pub(super) lines: Vec<String>,
}

pub(super) fn of(subject: &Subject, model: &Model) -> Details {
    let gone = |title| Details { title, parts: vec![part(None, ["It no longer exists.".to_owned()])] };
    match subject {
        Subject::Slot(number) => match model.status.pool.slots.iter().find(|slot| slot.slot == *number) {
            Some(slot) => of_slot(slot),
            None => gone(format!("Slot {number}")),
        },
        Subject::Function(name) => match model.status.pool.functions.iter().find(|row| row.function == *name)
        {
            Some(row) => of_function(row, model),
            None => gone(clean(name)),
        },
        Subject::Failure(function, kind, type_name) => {
            let same =
                |row: &&FailureRow| (&row.function, &row.kind, &row.type_name) == (function, kind, type_name);
            match model.failures.iter().find(same) {
                Some(row) => of_failure(row, model),
                None => gone(clean(function)),
            }
        }
        Subject::Crash(crash) => of_crash(crash, model),
        Subject::Line(line) => of_line(line),
    }
}

fn of_slot(slot: &SlotRow) -> Details {
    let mut lines = vec![format!("state       {}", slot.state)];
    lines.extend(slot.pid.map(|pid| format!("process     {pid}")));
    lines.extend(slot.generation.map(|generation| format!("generation  {generation}")));
    lines.extend(slot.uptime_ms.map(|ms| format!("up          {}", span(ms))));
    lines.extend(slot.rss_bytes.map(|rss| format!("memory      {}", bytes(rss))));
    lines.extend(slot.cpu_ms.map(|ms| format!("cpu time    {}", duration(ms.saturating_mul(1000)))));
    lines.push(format!(
        "calls       {} ended, {} in flight",
        count(slot.calls),
        count(slot.in_flight.into())
    ));
    lines.push(format!("restarts    {}", count(slot.restarts)));
    let mut parts = vec![part(None, lines)];
    parts.extend(slot.last_exit.as_ref().map(|exit| part(Some("How the last process ended"), [clean(exit)])));
    parts.extend(stderr(&slot.last_stderr));
    Details { title: format!("Slot {}", slot.slot), parts }
}

fn of_function(row: &FunctionRow, model: &Model) -> Details {
    let mut lines = vec![format!("returned   {}", count(row.calls.ok))];
    lines
        .extend(row.calls.errors.iter().map(|(kind, errors)| format!("{}  {}", clean(kind), count(*errors))));
    lines.push(format!("abandoned  {}", count(row.calls.abandoned)));
    let mut parts = vec![part(None, lines)];
    let failures = model.failures.iter().filter(|failure| failure.function == row.function);
    let failures: Vec<_> = failures.map(|failure| summary(failure, model)).collect();
    if !failures.is_empty() {
        parts.push(part(Some("Why its calls fail"), failures));
    }
    for (head, latency) in [
        ("From admission to answer, since the start", &row.calls.latency),
        ("Of that, before the dispatch to a worker", &row.calls.queue_wait),
    ] {
        if latency.count > 0 {
            parts.push(part(Some(head), quantiles(latency)));
        }
    }
    Details { title: clean(&row.function), parts }
}

fn quantiles(latency: &LatencyStatus) -> [String; 4] {
    let rows =
        [("p50", latency.p50_us), ("p95", latency.p95_us), ("p99", latency.p99_us), ("max", latency.max_us)];
    rows.map(|(name, us)| format!("{name}  {:>7}", duration(us)))
}

/// The errors of one type, on one line.
fn summary(row: &FailureRow, model: &Model) -> String {
    let (name, times) = (error_name(row), plural(row.count, "time"));
    let ago = span(model.age_ms(row.at_unix_ms));
    clean(&format!("{name}, {times}, last {ago} ago: {}", row.message)).replace('\n', " ")
}

fn of_failure(row: &FailureRow, model: &Model) -> Details {
    let ago = span(model.age_ms(row.at_unix_ms));
    let last = format!("{}, the last at {}, {ago} ago", plural(row.count, "time"), clock(row.at_unix_ms));
    let lines = |text: &str| clean(text.trim_end()).lines().map(ToOwned::to_owned).collect::<Vec<_>>();
    let mut parts = vec![part(None, [last]), part(Some("Last message"), lines(&row.message))];
    if let Some(traceback) = &row.traceback {
        parts.push(part(Some("Last traceback"), lines(traceback)));
    } else if row.kind == "exception" && !model.about.tracebacks {
        let hidden = "Its traceback is shown only with `pyproc serve --tracebacks`.";
        parts.push(part(None, [hidden.to_owned()]));
    }
    Details { title: clean(&format!("{}: {}", row.function, error_name(row))).replace('\n', " "), parts }
}

fn of_line(line: &LogLine) -> Details {
    let from = format!(
        "{}, slot {}, process {}, {}",
        clock(line.at_unix_ms),
        line.slot,
        line.pid,
        clean(&level(line))
    );
    let parts = vec![part(None, clean(&text(line)).lines().map(ToOwned::to_owned))];
    Details { title: from, parts }
}

fn of_crash(crash: &Crash, model: &Model) -> Details {
    let mut details = of_incident(&crash.last, model);
    if crash.count > 1 {
        let since = clock(crash.first_unix_ms);
        let mut lines =
            vec![format!("{} since {since}, in slots {}", plural(crash.count, "time"), slots(crash))];
        if !crash.functions.is_empty() {
            lines.push(clean(&format!("ran: {}", functions(crash))).replace('\n', " "));
        }
        lines.push("The last one:".to_owned());
        details.parts.insert(0, part(None, lines));
    }
    details
}

/// A call that had started when its process ended.
pub(super) fn started(call: &CallRow) -> String {
    let ran = match call.running_ms {
        Some(ms) => format!("had run for {}", milliseconds(ms)),
        None => "had ended, its reply was not sent".to_owned(),
    };
    clean(&format!("{}  {ran}", call.function)).replace('\n', " ")
}

fn of_incident(incident: &Incident, model: &Model) -> Details {
    let ago = span(model.age_ms(incident.at_unix_ms));
    let lines = [heading(incident), format!("at {}, {ago} ago", clock(incident.at_unix_ms))];
    let mut parts = vec![part(None, lines)];
    if !incident.calls.is_empty() {
        parts.push(part(Some("Calls that had started"), incident.calls.iter().map(started)));
    }
    if let Some(stacks) = &incident.stacks {
        parts.push(part(Some("Where it was"), clean(stacks.trim_end()).lines().map(ToOwned::to_owned)));
    }
    match stderr(&incident.stderr) {
        Some(stderr) => parts.push(stderr),
        None if !model.about.tracebacks => {
            let hidden = "Its standard error is shown only with `pyproc serve --tracebacks`.";
            parts.push(part(None, [hidden.to_owned()]));
        }
        None => parts.push(part(None, ["It wrote nothing to standard error.".to_owned()])),
    }
    Details {
        title: format!("{}: {}", incident.cause.to_string().replace('_', " "), clean(&incident.what)),
        parts,
    }
}

/// Which process it was, and what happened to its calls.
pub(super) fn heading(incident: &Incident) -> String {
    let mut text = format!("slot {}", incident.slot);
    if let Some(pid) = incident.pid {
        text += &format!(", process {pid}");
    }
    if incident.lost_calls > 0 {
        text += &format!(", {} lost", plural(incident.lost_calls as u64, "running call"));
    }
    if incident.requeued > 0 {
        text += &format!(", {} requeued", plural(incident.requeued as u64, "waiting call"));
    }
    text
}

fn stderr(lines: &[String]) -> Option<Part> {
    let lines = || lines.iter().map(|line| clean(line).replace('\n', " "));
    (lines().len() > 0).then(|| part(Some("Last lines of standard error"), lines()))
}

fn part(head: Option<&'static str>, lines: impl IntoIterator<Item = String>) -> Part {
    Part { head, lines: lines.into_iter().collect() }
}
