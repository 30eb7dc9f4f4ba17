//! A bounded queue in front of standard error and the thread that writes it, so that an arbiter
//! never waits for the reader of standard error. The main structure is [`Queue`].
//!
//! The queue of `tracing-appender` is bounded by lines, not bytes, and either drops lines or waits
//! without a limit.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How many bytes of worker output may be queued.
const LIMIT: usize = 4 << 20;

/// How many more bytes the program's own messages may use.
const RESERVE: usize = 1 << 20;

/// The size of a write. A pipe takes this much atomically, so lines of two processes do not mix.
const PIECE: usize = 4096;

/// When to retry after the writer would have blocked.
const RETRY: Duration = Duration::from_millis(10);

/// Text for a writer that may be slow or stuck.
#[derive(Clone)]
pub(super) struct Queue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Signals that there is text to write.
    filled: Condvar,
    /// Signals that text was taken or written.
    moved: Condvar,
    /// How long a line waits for room.
    patience: Duration,
    /// The line that counts dropped lines.
    notice: fn(u64) -> String,
}

#[derive(Default)]
struct State {
    /// The text that the thread has not taken yet.
    text: Vec<u8>,
    /// How many lines were dropped since the thread last took text.
    dropped: u64,
    /// How many bytes were ever queued.
    queued: u64,
    /// How many of them were written.
    written: u64,
    /// How often text was taken or written, which shows whether the reader reads.
    moves: u64,
    /// Whether a line waited in vain, and nothing was written since.
    stuck: bool,
}

impl Queue {
    /// Starts the writing thread. A line that finds no room waits up to `patience` for the writer
    /// to make progress; then it is dropped, and so are all later lines until the writer makes
    /// progress. `notice` is the line that counts them.
    pub(super) fn start(
        writer: impl Write + Send + 'static,
        patience: Duration,
        notice: fn(u64) -> String,
    ) -> io::Result<Self> {
        let queue = Self(Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            moved: Condvar::new(),
            patience,
            notice,
        }));
        let shared = Arc::clone(&queue.0);
        // Nobody joins the thread: its writer may block until the process exits.
        thread::Builder::new().name("stderr".to_owned()).spawn(move || shared.write_to(writer))?;
        Ok(queue)
    }

    /// Whether the next line would be dropped. If so, it counts as dropped and need not be
    /// formatted.
    pub(super) fn refuses_line(&self) -> bool {
        let mut state = self.0.lock();
        let full = state.dropped > 0 || state.text.len() >= LIMIT;
        let refuses = full && (self.0.patience.is_zero() || state.stuck);
        state.dropped += u64::from(refuses);
        refuses
    }

    /// Queues text; it is dropped if there is no room.
    pub(super) fn push(&self, text: &str) {
        let state = self.0.wait_for_room(text.len());
        self.0.add(state, text, LIMIT);
    }

    /// Queues a message of the program itself, which has room even if workers have filled the
    /// queue.
    pub(super) fn push_message(&self, text: &str) {
        self.0.add(self.0.lock(), text, LIMIT + RESERVE);
    }

    /// Waits until everything queued so far is written. Gives up after `limit`, or when nothing was
    /// written for `stuck`.
    pub(super) fn flush(&self, stuck: Duration, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.0.lock();
        let queued = state.queued;
        while state.written < queued {
            let left = end.saturating_duration_since(Instant::now()).min(stuck);
            let moves = state.moves;
            state = self.0.wait_for_move(state, left);
            if state.moves == moves {
                return false;
            }
        }
        true
    }
}

impl State {
    /// After a dropped line, later lines are dropped too, so that the count appears where they
    /// would have been.
    fn has_room(&self, length: usize, limit: usize) -> bool {
        self.text.is_empty() || (self.text.len() + length <= limit && (self.dropped == 0 || limit > LIMIT))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_room(&self, length: usize) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while !state.has_room(length, LIMIT) && !self.patience.is_zero() && !state.stuck {
            let moves = state.moves;
            state = self.wait_for_move(state, self.patience);
            state.stuck = state.moves == moves;
        }
        state
    }

    fn wait_for_move<'a>(&self, state: MutexGuard<'a, State>, limit: Duration) -> MutexGuard<'a, State> {
        let moves = state.moves;
        let waited = self.moved.wait_timeout_while(state, limit, |state| state.moves == moves);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn add(&self, mut state: MutexGuard<'_, State>, text: &str, limit: usize) {
        if state.has_room(text.len(), limit) {
            state.text.extend_from_slice(text.as_bytes());
            state.queued += text.len() as u64;
            self.filled.notify_one();
        } else {
            state.dropped += text.bytes().filter(|&byte| byte == b'\n').count() as u64;
        }
    }

    fn write_to(&self, mut writer: impl Write) {
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let end = self.take(&mut batch);
            for piece in pieces(&batch) {
                // If standard error is closed, there is nowhere to report it.
                let _ = write_all(&mut writer, piece);
                self.moved(|_| {});
            }
            self.moved(|state| state.written = end);
        }
    }

    /// Waits for text and takes it, with the count of the lines dropped after it. Returns how many
    /// bytes were queued up to its end.
    fn take(&self, batch: &mut Vec<u8>) -> u64 {
        let state = self.lock();
        let waited = self.filled.wait_while(state, |state| state.text.is_empty() && state.dropped == 0);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.text, batch);
        let (end, dropped) = (state.queued, std::mem::take(&mut state.dropped));
        drop(state);
        self.moved(|_| {});
        if dropped > 0 {
            batch.extend_from_slice((self.notice)(dropped).as_bytes());
        }
        end
    }

    fn moved(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.moves += 1;
        state.stuck = false;
        self.moved.notify_all();
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

    use super::{LIMIT, PIECE, Queue, RESERVE, pieces};

    /// How long any step may take.
    const CAP: Duration = Duration::from_secs(60);
    const NONE: Duration = Duration::ZERO;
    const SHORT: Duration = Duration::from_millis(20);

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

    fn queue(patience: Duration) -> (Queue, mpsc::Receiver<Vec<u8>>) {
        let (writer, reader) = mpsc::sync_channel(0);
        (
            Queue::start(Pipe(writer), patience, crate::console::dropped)
                .expect("the process can start a thread"),
            reader,
        )
    }

    /// A queue whose thread already waits for the reader, so that later text stays in the queue.
    fn stuck(patience: Duration) -> (Queue, mpsc::Receiver<Vec<u8>>) {
        let (queue, reader) = queue(patience);
        queue.push("first\n");
        let begun = Instant::now();
        while !queue.0.lock().text.is_empty() {
            assert!(begun.elapsed() < CAP, "the thread takes the text");
            thread::yield_now();
        }
        (queue, reader)
    }

    /// Reads until a piece contains `text`.
    fn read_until(reader: &mpsc::Receiver<Vec<u8>>, text: &str) -> String {
        let mut all = String::new();
        loop {
            let piece = String::from_utf8(reader.recv_timeout(CAP).expect("more text comes"))
                .expect("the text is UTF-8");
            all.push_str(&piece);
            if piece.contains(text) {
                return all;
            }
        }
    }

    #[test]
    fn lines_that_find_no_room_are_dropped_and_counted_where_they_would_stand() {
        for patience in [NONE, SHORT] {
            let (queue, reader) = stuck(patience);
            let line = format!("{}\n", "x".repeat(999));
            let pushed = 3 * LIMIT / line.len();
            (0..pushed).for_each(|_| queue.push(&line));
            assert!(queue.refuses_line());
            assert!(!queue.flush(SHORT, CAP), "nobody reads");
            let seen = read_until(&reader, "were dropped");
            let kept = seen.lines().filter(|line| line.starts_with('x')).count();
            let dropped = pushed + 1 - kept;
            let last = format!("warning: {dropped} lines of output were dropped: standard error is too slow");
            assert_eq!(seen.lines().last(), Some(last.as_str()));
            assert!(dropped >= LIMIT / line.len(), "{dropped}");
            queue.push("after\n");
            assert_eq!(read_until(&reader, "after\n"), "after\n");
            assert!(queue.flush(CAP, CAP));
        }
    }

    #[test]
    fn message_of_the_program_has_room_when_workers_have_filled_the_queue() {
        let (queue, reader) = stuck(NONE);
        let line = format!("{}\n", "x".repeat(9999));
        (0..2 * LIMIT / line.len()).for_each(|_| queue.push(&line));
        queue.push_message("error: it failed\n");
        (0..2 * RESERVE / line.len()).for_each(|_| queue.push_message(&line));
        let seen = read_until(&reader, "were dropped");
        assert!(seen.contains("\nerror: it failed\n"));
    }

    #[test]
    fn lines_wait_for_a_reader_that_reads_if_they_are_patient() {
        let (queue, reader) = queue(CAP);
        let line = format!("{}\n", "x".repeat(9999));
        let pushed = 3 * LIMIT / line.len();
        let counts = thread::spawn(move || {
            let mut count = 0;
            while count < pushed {
                let piece = reader.recv_timeout(CAP).expect("more text comes");
                count += piece.iter().filter(|&&byte| byte == b'\n').count();
            }
            reader.try_recv().is_err()
        });
        (0..pushed).for_each(|_| queue.push(&line));
        assert!(queue.flush(CAP, CAP));
        assert!(counts.join().expect("each line has come"), "nothing else was written");
    }

    #[test]
    fn writer_that_is_closed_takes_everything() {
        let (queue, reader) = queue(CAP);
        drop(reader);
        (0..LIMIT / 10).for_each(|_| queue.push("0123456789\n"));
        assert!(queue.flush(CAP, CAP));
    }

    #[test]
    fn pieces_are_whole_lines() {
        let long = format!("{}\n", "y".repeat(2 * PIECE));
        let text = format!("a\nb\n{}\n{long}c\nno end", "x".repeat(PIECE - 1));
        let cut: Vec<&[u8]> = pieces(text.as_bytes()).collect();
        assert_eq!(cut.concat(), text.as_bytes());
        let ends: Vec<usize> = cut.iter().map(|piece| piece.len()).collect();
        assert_eq!(ends, [4, PIECE, long.len(), 2, 6]);
    }
}
