//! Worker output in a host without a `tracing` subscriber. The main structure is [`StderrQueue`].
//!
//! The lines go to the logger of the `log` crate if the host has one, else to standard error.
//! Standard error has a thread and a bounded queue: a write to a pipe that nobody reads blocks
//! forever, and the pool must not.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use log::{Level, LevelFilter};
use tracing::dispatcher;
use tracing::subscriber::NoSubscriber;

/// How many bytes of text may be queued before lines are dropped.
const LIMIT: usize = 1 << 20;

/// The size of a write. A pipe takes this much atomically, so lines of two processes do not mix.
const PIECE: usize = 4096;

/// When to retry after the writer would have blocked.
const RETRY: Duration = Duration::from_millis(10);

/// How long the exit of the process waits while nothing is read from standard error.
const STUCK: Duration = Duration::from_millis(250);

/// The queue in front of standard error.
static QUEUE: StderrQueue = StderrQueue::new();

/// A line, or a log record, of a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) slot: u32,
    pub(super) pid: u32,
    /// The target of its event.
    pub(super) target: &'static str,
    pub(super) level: Level,
    /// The name of the logger, of a log record.
    pub(super) logger: Option<&'a str>,
    pub(super) text: &'a str,
}

/// Whether events of this thread reach a subscriber.
pub(super) fn is_collected() -> bool {
    dispatcher::get_default(|dispatch| !dispatch.is::<NoSubscriber>())
}

/// Passes a line to the logger of the `log` crate, or queues it for standard error.
pub(super) fn write(line: Line<'_>) {
    if log::max_level() == LevelFilter::Off {
        QUEUE.start();
        return QUEUE.push(line);
    }
    let Line { slot, pid, target, level, logger, text } = line;
    match logger {
        Some(logger) => log::log!(target: target, level, "[worker {slot}, pid {pid}] {logger}: {text}"),
        None => log::log!(target: target, level, "[worker {slot}, pid {pid}] {text}"),
    }
}

/// Text on its way to standard error.
struct StderrQueue {
    state: Mutex<State>,
    /// Signals that there is text to write.
    filled: Condvar,
}

struct State {
    /// The text that the thread has not taken yet.
    text: String,
    /// How many lines were dropped since then. While there are any, all lines are dropped, so that
    /// the count appears where they would have been.
    dropped: u64,
    /// Whether the thread is writing.
    writing: bool,
    /// How often something was written, which shows whether the reader reads.
    writes: u64,
}

impl StderrQueue {
    const fn new() -> Self {
        let state = State { text: String::new(), dropped: 0, writing: false, writes: 0 };
        Self { state: Mutex::new(state), filled: Condvar::new() }
    }

    /// Starts the thread, once. Without a thread, the queue fills and its lines are dropped.
    fn start(&'static self) {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| {
            // Nobody joins the thread: its writer may block until the process exits.
            let run = || self.write_to(io::stderr());
            if thread::Builder::new().name("pyproc-stderr".to_owned()).spawn(run).is_ok() {
                flush_at_exit();
            }
        });
    }

    fn push(&self, line: Line<'_>) {
        let mut state = self.lock();
        if state.dropped > 0 || state.text.len() >= LIMIT {
            state.dropped += 1;
        } else {
            format_line(&mut state.text, line);
        }
        drop(state);
        self.filled.notify_one();
    }

    fn write_to(&self, mut writer: impl Write) {
        let mut batch = String::new();
        loop {
            batch.clear();
            self.take(&mut batch);
            for piece in pieces(batch.as_bytes()) {
                // If standard error is broken, there is nowhere to report it.
                let _ = write_all(&mut writer, piece);
                self.lock().writes += 1;
            }
            self.lock().writing = false;
        }
    }

    /// Waits for text and takes it, with the count of the lines that were dropped after it.
    fn take(&self, batch: &mut String) {
        let state = self.lock();
        let waited = self.filled.wait_while(state, |state| state.text.is_empty() && state.dropped == 0);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        mem::swap(&mut state.text, batch);
        let dropped = mem::take(&mut state.dropped);
        state.writing = true;
        drop(state);
        if dropped > 0 {
            let lines = if dropped == 1 { "line of workers was" } else { "lines of workers were" };
            writeln!(batch, "[pyproc] {dropped} {lines} dropped: standard error is too slow")
                .expect("writing to a string does not fail");
        }
    }

    /// Waits until the queue is written, but only while its reader reads.
    fn flush(&self, stuck: Duration) {
        let (mut writes, mut since) = (None, Instant::now());
        while since.elapsed() < stuck {
            // The lock may belong to a thread that waits for this one.
            let state = match self.state.try_lock() {
                Ok(state) => Some(state),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            };
            if let Some(state) = state {
                if !state.writing && state.text.is_empty() && state.dropped == 0 {
                    return;
                }
                if writes != Some(state.writes) {
                    (writes, since) = (Some(state.writes), Instant::now());
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the exit of the process wait for what is queued, so that the last lines are not lost.
#[expect(unsafe_code, reason = "the standard library has no hook for the exit")]
fn flush_at_exit() {
    extern "C" fn flush() {
        QUEUE.flush(STUCK);
    }
    // SAFETY: the function is never unloaded before the exit, takes no argument and does not
    // unwind. If it cannot be registered, the last lines may be lost.
    let _ = unsafe { libc::atexit(flush) };
}

/// Adds a line for people: control characters are escaped, and the lines of a record after the
/// first are indented, so that no text of a worker passes for a line of another one.
fn format_line(out: &mut String, line: Line<'_>) {
    let Line { slot, pid, level, logger, text, .. } = line;
    write!(out, "[worker {slot}, pid {pid}] ").expect("writing to a string does not fail");
    if let Some(logger) = logger {
        out.push_str(match level {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info => "info: ",
            Level::Debug => "debug: ",
            Level::Trace => "trace: ",
        });
        escape(out, logger);
        out.push_str(": ");
    }
    escape(out, text);
    out.push('\n');
}

fn escape(out: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '\n' => out.push_str("\n  "),
            '\t' => out.push(char),
            // Controls; marks, embeddings, overrides and isolates of bidirectional text; separators
            // of lines and paragraphs.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(char.escape_unicode())
            }
            char if char.is_control() => out.extend(char.escape_default()),
            char => out.push(char),
        }
    }
}

/// Splits text into pieces of as many whole lines as fit; a longer line is a piece of its own.
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let is_break = |byte: &u8| *byte == b'\n';
        let fits = bytes[..bytes.len().min(PIECE)].iter().rposition(is_break);
        let end = fits.or_else(|| bytes.iter().position(is_break)).map_or(bytes.len(), |at| at + 1);
        let (piece, rest) = bytes.split_at(end);
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// As [`Write::write_all`], but works on a terminal that another program has made non-blocking.
fn write_all(writer: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match writer.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use log::Level;

    use super::{LIMIT, Line, StderrQueue, format_line};

    /// How long any step may take.
    const CAP: Duration = Duration::from_secs(60);

    /// Forwards each write, and blocks until the reader takes it.
    struct Pipe(mpsc::SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn queue() -> (&'static StderrQueue, mpsc::Receiver<Vec<u8>>) {
        let (writer, reader) = mpsc::sync_channel(0);
        let queue: &StderrQueue = Box::leak(Box::new(StderrQueue::new()));
        thread::spawn(|| queue.write_to(Pipe(writer)));
        (queue, reader)
    }

    fn printed(text: &str) -> Line<'_> {
        Line { slot: 2, pid: 77, target: "pyproc::stdout", level: Level::Info, logger: None, text }
    }

    fn next(reader: &mpsc::Receiver<Vec<u8>>) -> String {
        let bytes = reader.recv_timeout(CAP).expect("more text comes");
        String::from_utf8(bytes).expect("the text is UTF-8")
    }

    #[test]
    fn lines_say_who_wrote_them_and_control_nothing() {
        let formatted = |line| {
            let mut out = String::new();
            format_line(&mut out, line);
            out
        };
        assert_eq!(formatted(printed("a\tb")), "[worker 2, pid 77] a\tb\n");
        let record = Line { level: Level::Warn, logger: Some("app\r"), ..printed("one\ntwo") };
        assert_eq!(formatted(record), "[worker 2, pid 77] warning: app\\r: one\n  two\n");
        let foreign = "\u{1b}[31mred \u{202e}\u{85}\u{2028}";
        let expected = "[worker 2, pid 77] \\u{1b}[31mred \\u{202e}\\u{85}\\u{2028}\n";
        assert_eq!(formatted(printed(foreign)), expected);
    }

    #[test]
    fn lines_that_find_no_room_are_dropped_and_counted_where_they_would_stand() {
        let (queue, reader) = queue();
        queue.push(printed("first"));
        let begun = Instant::now();
        while !queue.lock().text.is_empty() {
            assert!(begun.elapsed() < CAP, "the thread takes the text");
            thread::yield_now();
        }
        let text = "x".repeat(975);
        let pushed = 3 * LIMIT / 1000;
        // No push waits, although nobody reads.
        (0..pushed).for_each(|_| queue.push(printed(&text)));
        queue.flush(Duration::from_millis(20));
        assert_eq!(next(&reader), "[worker 2, pid 77] first\n");
        let (mut kept, mut last) = (0, String::new());
        while !last.contains("[pyproc]") {
            last = next(&reader);
            kept += last.lines().filter(|line| line.starts_with("[worker 2")).count();
        }
        let expected =
            format!("[pyproc] {} lines of workers were dropped: standard error is too slow", pushed - kept);
        assert_eq!(last.lines().last(), Some(expected.as_str()));
        queue.push(printed("after"));
        assert_eq!(next(&reader), "[worker 2, pid 77] after\n");
        queue.flush(CAP);
        assert!(!queue.lock().writing);
    }

    #[test]
    fn a_broken_standard_error_takes_everything() {
        let (queue, reader) = queue();
        drop(reader);
        for _ in 0..100 {
            queue.push(printed("lost"));
        }
        queue.flush(CAP);
        assert_eq!(queue.lock().text, "");
    }
}
