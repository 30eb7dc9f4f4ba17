//! The last lines that workers wrote. The main structure is [`RecentOutput`].

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// How many lines are kept.
const LINES: usize = 200;
/// Longer lines are cut, in bytes.
const LENGTH: usize = 1000;

/// The last lines of all workers of a pool: standard output, standard error and log records.
#[derive(Debug, Default)]
pub(crate) struct RecentOutput(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<RecentLine>,
    written: u64,
}

/// One line, or one log record.
#[derive(Clone, Debug)]
pub(crate) struct RecentLine {
    /// Its number among all lines of the pool, from 1.
    pub(crate) number: u64,
    pub(crate) at: SystemTime,
    pub(crate) slot: u32,
    pub(crate) pid: u32,
    pub(crate) source: LineSource,
    /// The level of the event in the host's log, in lower case.
    pub(crate) level: &'static str,
    /// The name of the logger of a log record.
    pub(crate) logger: String,
    pub(crate) text: String,
}

/// What a worker wrote a line to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LineSource {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The `logging` module.
    Log,
    /// A source that a newer gateway reported.
    #[default]
    #[serde(other)]
    Unknown,
}

impl RecentOutput {
    /// Keeps a line.
    pub(super) fn push(
        &self,
        (slot, pid): (u32, u32),
        source: LineSource,
        level: &'static str,
        logger: &str,
        text: &str,
    ) {
        let mut ring = self.ring();
        // The memory of the oldest line is used again.
        let oldest = if ring.lines.len() < LINES { None } else { ring.lines.pop_front() };
        let (mut kept_logger, mut kept_text) =
            oldest.map_or_else(Default::default, |oldest| (oldest.logger, oldest.text));
        set(&mut kept_logger, logger);
        set(&mut kept_text, text);
        ring.written += 1;
        let line = RecentLine {
            number: ring.written,
            at: SystemTime::now(),
            slot,
            pid,
            source,
            level,
            logger: kept_logger,
            text: kept_text,
        };
        ring.lines.push_back(line);
    }

    /// The lines, oldest first.
    pub(crate) fn lines(&self) -> Vec<RecentLine> {
        self.ring().lines.iter().cloned().collect()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(kept: &mut String, text: &str) {
    kept.clear();
    kept.push_str(prefix(text, LENGTH));
}

/// At most `limit` bytes from the beginning.
pub(crate) fn prefix(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::{LENGTH, LINES, LineSource, RecentOutput};

    #[test]
    fn the_last_lines_are_kept_numbered_and_cut() {
        let output = RecentOutput::default();
        for n in 0..LINES + 5 {
            output.push((1, 77), LineSource::Stdout, "info", "", &n.to_string());
        }
        output.push((2, 78), LineSource::Log, "error", "app", &"é".repeat(LENGTH));
        let lines = output.lines();
        assert_eq!(lines.len(), LINES);
        let (first, last) = (&lines[0], &lines[LINES - 1]);
        assert_eq!((first.number, first.text.as_str(), first.slot), (7, "6", 1));
        assert_eq!((last.number, last.logger.as_str(), last.level), (LINES as u64 + 6, "app", "error"));
        assert!(last.text.len() <= LENGTH && last.text.starts_with('é'));
    }
}
