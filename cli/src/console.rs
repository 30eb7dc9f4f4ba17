//! Standard error, for people: the events of the pool and the output of its workers. The main
//! structure is [`Console`].
//!
//! Everything goes through a queue, because a write to a standard error that nobody reads blocks
//! forever.

mod json;
mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::panic;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use self::queue::Queue;
use crate::escape::{self, Breaks, Escape};
use crate::verbosity::{LogFormat, Verbosity};

/// The queue in front of standard error.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// How everything on standard error is written; text until it is set.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// How long a line may wait for room when no output should be lost.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a flush waits while the reader takes nothing.
const STUCK: Duration = Duration::from_secs(1);

/// How long a flush waits in all for a slow reader.
const SLOW: Duration = Duration::from_secs(10);

/// What happens to lines that come faster than standard error takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// They wait, unless nothing at all is read. For commands that serve no clients.
    Wait,
    /// They are dropped and counted.
    Drop,
}

/// Writes `tracing` events to standard error, with their level unless a worker printed them.
#[derive(Clone)]
pub(crate) struct Console(Arc<Shared>);

struct Shared {
    /// Which events of the pool are shown.
    pool: LevelFilter,
    /// Which output of the workers is shown.
    workers: LevelFilter,
    /// Which events of the server's start are shown. The command reports its failure itself.
    server_start: LevelFilter,
    /// Whether each line of a worker starts with the number of its slot.
    shows_slots: bool,
    /// The current line; kept to reuse its memory.
    line: Mutex<String>,
}

impl Console {
    /// Sends all events of the process to the console.
    pub(crate) fn install(
        verbosity: Option<Verbosity>,
        format: LogFormat,
        shows_slots: bool,
        overflow: Overflow,
    ) -> Self {
        FORMAT.get_or_init(|| format);
        let patience = match overflow {
            Overflow::Wait => PATIENCE,
            Overflow::Drop => Duration::ZERO,
        };
        start_queue(patience);
        panic::set_hook(Box::new(report_panic));
        let filter = |default| verbosity.map_or(default, Verbosity::filter);
        let console = Self(Arc::new(Shared {
            pool: filter(LevelFilter::WARN),
            workers: filter(LevelFilter::INFO),
            server_start: filter(LevelFilter::OFF),
            shows_slots,
            line: Mutex::default(),
        }));
        let subscriber = tracing_subscriber::registry().with(console.clone());
        tracing::subscriber::set_global_default(subscriber)
            .expect("the subscriber is set once, at the start");
        console
    }

    /// Whether the console shows what workers write to their standard error.
    pub(crate) fn shows_worker_stderr(&self) -> bool {
        self.0.workers >= Level::WARN
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Console {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level()
            <= match Source::of(metadata.target()) {
                Source::Pool => self.0.pool,
                Source::Access | Source::Printed | Source::Logged => self.0.workers,
                Source::ServerStart => self.0.server_start,
            }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.pool.max(self.0.workers))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if is_json()
            && let Some(span) = context.span(id)
        {
            let mut fields = json::Fields::default();
            fields.0.insert("name".to_owned(), span.name().into());
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        // In text mode, no span has fields.
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<json::Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let queue = queue();
        if queue.refuses_line() {
            return;
        }
        if is_json() {
            queue.push(&json_line(event, &context));
            return;
        }
        let mut line = self.0.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.clear();
        let metadata = event.metadata();
        let source = Source::of(metadata.target());
        if !matches!(source, Source::Printed) {
            line.push_str(match *metadata.level() {
                Level::ERROR => "error: ",
                Level::WARN => "warning: ",
                Level::INFO => "info: ",
                Level::DEBUG => "debug: ",
                Level::TRACE => "trace: ",
            });
        }
        let head = line.len();
        let mut fields = Fields { source, shows_slots: self.0.shows_slots, line: &mut line, head };
        event.record(&mut fields);
        line.push('\n');
        queue.push(&line);
    }
}

fn json_line<S: Subscriber + for<'a> LookupSpan<'a>>(event: &Event<'_>, context: &Context<'_, S>) -> String {
    let mut fields = json::Fields::default();
    event.record(&mut fields);
    let scope = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
    let spans = scope.filter_map(|span| span.extensions().get::<json::Fields>().cloned());
    let metadata = event.metadata();
    json::Entry::new(metadata.level(), metadata.target(), fields, spans.collect()).line()
}

fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// Where an event comes from.
#[derive(Clone, Copy)]
enum Source {
    /// A line that a worker printed.
    Printed,
    /// A record of Python's `logging`.
    Logged,
    /// A request to the gateway.
    Access,
    /// A thread of the server that does not start.
    ServerStart,
    /// The pool itself.
    Pool,
}

impl Source {
    fn of(target: &str) -> Self {
        match target {
            "pyproc::log" => Self::Logged,
            "pyproc::stdout" | "pyproc::stderr" => Self::Printed,
            "pyproc::access" => Self::Access,
            "actix_http::service" | "actix_http::h1::service" | "actix_server::worker" => Self::ServerStart,
            _ => Self::Pool,
        }
    }
}

/// Writes an event's message to the line, and its fields around it. The message is the first field
/// of an event.
struct Fields<'a> {
    source: Source,
    shows_slots: bool,
    line: &'a mut String,
    /// Where the message starts.
    head: usize,
}

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        match (field.name(), self.source) {
            ("message", _) => self.append(value),
            ("slot", Source::Printed | Source::Logged) if self.shows_slots => {
                let slot = format!("[{value}] ");
                self.line.insert_str(0, &slot);
                self.head += slot.len();
            }
            ("logger", Source::Logged) => {
                self.line.insert_str(self.head, &format!("{}: ", escape::line(value)));
            }
            (_, Source::Printed | Source::Logged) => {}
            (name, Source::Access | Source::ServerStart | Source::Pool) => {
                self.append(format_args!(" {name}={value}"))
            }
        }
    }

    fn append(&mut self, text: fmt::Arguments<'_>) {
        let mut escape = Escape::new(self.line, Breaks::Indented);
        escape.write_fmt(text).expect("writing to a string does not fail");
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // A client chooses the name of the function: it must not pass for other fields or lines.
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=');
        match self.source {
            Source::Access if value.contains(odd) => self.add(field, format_args!("{value:?}")),
            _ => self.add(field, format_args!("{value}")),
        }
    }
}

/// Prints a message to standard error, whatever `--log` is.
pub(crate) fn note(message: impl fmt::Display) {
    let text = match is_json() {
        true => json::Entry::message(&message.to_string()).line(),
        false => escape::block(message) + "\n",
    };
    queue().push_message(&text);
}

/// Prints text as it is, with control sequences and without a line break; it is dropped if there is
/// no room, or if each line must be JSON.
pub(crate) fn draw(text: &str) {
    if !is_json() {
        queue().push(text);
    }
}

/// The line that counts dropped lines.
fn dropped(count: u64) -> String {
    let text = match count {
        1 => "1 line of output was dropped: standard error is too slow".to_owned(),
        _ => format!("{count} lines of output were dropped: standard error is too slow"),
    };
    warning(&text, is_json())
}

fn warning(text: &str, json: bool) -> String {
    match json {
        true => json::Entry::of_program(&Level::WARN, text).line(),
        false => format!("warning: {text}\n"),
    }
}

/// Standard output. Earlier messages are flushed to standard error first, so that the order is
/// right when both go to one place.
pub(crate) fn stdout() -> io::StdoutLock<'static> {
    flush();
    io::stdout().lock()
}

/// Prints a value as JSON on one line of standard output.
pub(crate) fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stdout().write_all(&line)
}

/// Waits until everything so far is on standard error, but not for long if nobody reads it.
pub(crate) fn flush() {
    // Output that nobody reads is lost, as if its reader had closed the pipe.
    let _ = queue().flush(STUCK, SLOW);
}

fn queue() -> &'static Queue {
    start_queue(PATIENCE)
}

fn start_queue(patience: Duration) -> &'static Queue {
    QUEUE.get_or_init(|| {
        Queue::start(io::stderr(), patience, dropped).expect("the process can start a thread")
    })
}

/// Replaces the standard hook, which would block on standard error.
fn report_panic(info: &panic::PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    match backtrace.status() {
        BacktraceStatus::Captured => note(format_args!("thread '{name}': {info}\n{backtrace}")),
        _ => note(format_args!("thread '{name}': {info}")),
    }
    if name == "main" {
        // The process ends.
        flush();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::warning;

    #[test]
    fn warning_is_a_line_of_its_level_in_both_formats() {
        let text = "2 lines of output were dropped: standard error is too slow";
        assert_eq!(warning(text, false), format!("warning: {text}\n"));
        let line = warning(text, true);
        let entry: Value = serde_json::from_str(&line).expect("it is JSON");
        let found = (&entry["level"], &entry["target"], &entry["fields"]);
        assert_eq!(found, (&json!("WARN"), &json!("pyproc"), &json!({"message": text})));
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "{line}");
    }
}
