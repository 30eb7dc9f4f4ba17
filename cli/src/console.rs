//! Standard error: what the pool and its workers say, for people. The main structure is
//! [`Console`].
//!
//! All of it goes through a queue, because a write to a standard error that nobody reads never
//! returns.

mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{self, Write as _};
use std::io;
use std::panic;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use self::queue::Queue;
use crate::escape::{self, Breaks, Escape};
use crate::options::Log;

/// The way to standard error.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// How long a line may wait for room where no output should be lost.
const PATIENCE: Duration = Duration::from_millis(100);

/// When all must be written: how long nothing may be written before the rest is given up.
const STUCK: Duration = Duration::from_secs(1);

/// When all must be written: how long a reader that is slow may take.
const SLOW: Duration = Duration::from_secs(10);

/// What the targets of a worker's own words begin with: `pyproc::stdout`, `pyproc::stderr`,
/// `pyproc::log`.
const WORKER_TARGETS: &str = "pyproc::";

/// What becomes of lines that come faster than standard error takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// They wait, unless nothing at all is read: for commands that serve nobody else.
    Wait,
    /// They are dropped and counted.
    Drop,
}

/// Writes `tracing` events to standard error: what workers print without a level, the rest with its
/// level.
#[derive(Clone)]
pub(crate) struct Console(Arc<Shared>);

struct Shared {
    /// What is shown of the pool.
    pool: LevelFilter,
    /// What is shown of the workers' own words.
    workers: LevelFilter,
    /// Whether a worker's words begin with its number.
    tell_slot: bool,
    /// The line that is being put together, kept for its memory.
    line: Mutex<String>,
}

impl Console {
    /// Makes the console the place where all events of the process go.
    pub(crate) fn install(log: Option<Log>, tell_slot: bool, overflow: Overflow) -> Self {
        let patience = match overflow {
            Overflow::Wait => PATIENCE,
            Overflow::Drop => Duration::ZERO,
        };
        start_queue(patience);
        panic::set_hook(Box::new(note_panic));
        let (pool, workers) = match log {
            Some(log) => (log.filter(), log.filter()),
            None => (LevelFilter::WARN, LevelFilter::INFO),
        };
        let console = Self(Arc::new(Shared { pool, workers, tell_slot, line: Mutex::default() }));
        let subscriber = tracing_subscriber::registry().with(console.clone());
        tracing::subscriber::set_global_default(subscriber).expect("it is set once, at the start");
        console
    }

    /// Whether what workers write to their standard error was seen when it came.
    pub(crate) fn shows_worker_stderr(&self) -> bool {
        self.0.workers >= Level::WARN
    }
}

impl<S: Subscriber> Layer<S> for Console {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        match metadata.target().starts_with(WORKER_TARGETS) {
            true => *metadata.level() <= self.0.workers,
            false => *metadata.level() <= self.0.pool,
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.pool.max(self.0.workers))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let queue = queue();
        if queue.refuses_line() {
            return;
        }
        let mut line = self.0.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.clear();
        let metadata = event.metadata();
        let words = Words::of(metadata.target());
        if !matches!(words, Words::Printed) {
            line.push_str(match *metadata.level() {
                Level::ERROR => "error: ",
                Level::WARN => "warning: ",
                Level::INFO => "info: ",
                Level::DEBUG => "debug: ",
                Level::TRACE => "trace: ",
            });
        }
        let head = line.len();
        let mut fields = Fields { words, tell_slot: self.0.tell_slot, line: &mut line, head };
        event.record(&mut fields);
        line.push('\n');
        queue.push(&line);
    }
}

/// Whose words an event has.
#[derive(Clone, Copy)]
enum Words {
    /// A line that a worker printed.
    Printed,
    /// A record of Python's logging.
    Logged,
    /// The pool's.
    Pool,
}

impl Words {
    fn of(target: &str) -> Self {
        match target.strip_prefix(WORKER_TARGETS) {
            Some("log") => Self::Logged,
            Some(_) => Self::Printed,
            None => Self::Pool,
        }
    }
}

/// Puts an event's message into the line, and its fields around it. The message is the first field
/// of an event.
struct Fields<'a> {
    words: Words,
    tell_slot: bool,
    line: &'a mut String,
    /// Where the message begins.
    head: usize,
}

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        match (field.name(), self.words) {
            ("message", _) => self.append(value),
            ("slot", Words::Printed | Words::Logged) if self.tell_slot => {
                let slot = format!("[{value}] ");
                self.line.insert_str(0, &slot);
                self.head += slot.len();
            }
            ("logger", Words::Logged) => {
                self.line.insert_str(self.head, &format!("{}: ", escape::line(value)));
            }
            (_, Words::Printed | Words::Logged) => {}
            (name, Words::Pool) => self.append(format_args!(" {name}={value}")),
        }
    }

    fn append(&mut self, text: fmt::Arguments<'_>) {
        let mut escape = Escape::new(self.line, Breaks::Indented);
        escape.write_fmt(text).expect("a string takes all that is written to it");
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }
}

/// Says something to the person at the terminal, whatever `--log` is.
pub(crate) fn note(message: impl fmt::Display) {
    let mut text = escape::block(message);
    text.push('\n');
    queue().push_message(&text);
}

/// Writes what moves the cursor, or text without an end; it is dropped if there is no room.
pub(crate) fn draw(text: &str) {
    queue().push(text);
}

/// Standard output. What was said before is on standard error before, for those who read both in
/// one place.
pub(crate) fn stdout() -> io::StdoutLock<'static> {
    flush();
    io::stdout().lock()
}

/// Waits until standard error has all that was said so far, but not for long if nobody reads it.
pub(crate) fn flush() {
    // What nobody reads is lost, as it would be when its reader goes away.
    let _ = queue().flush(STUCK, SLOW);
}

fn queue() -> &'static Queue {
    start_queue(PATIENCE)
}

fn start_queue(patience: Duration) -> &'static Queue {
    QUEUE.get_or_init(|| Queue::start(io::stderr(), patience).expect("a process can start a thread"))
}

/// In place of the standard hook, which would wait for standard error.
fn note_panic(info: &panic::PanicHookInfo<'_>) {
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
