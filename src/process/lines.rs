//! Splitting output into lines of bounded length. The main structure is [`Lines`].

use std::collections::VecDeque;
use std::sync::Arc;

/// Splits bytes into lines. A line that is longer than the limit is split into pieces.
pub(super) struct Lines {
    limit: usize,
    part: Vec<u8>,
}

impl Lines {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, part: Vec::new() }
    }

    /// Adds bytes and passes the complete lines to `line`.
    pub(super) fn push(&mut self, mut bytes: &[u8], line: &mut impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = self.limit - self.part.len();
            let window = &bytes[..bytes.len().min(room + 1)];
            match window.iter().position(|&byte| byte == b'\n') {
                Some(end) => {
                    self.emit(&bytes[..end], line);
                    bytes = &bytes[end + 1..];
                }
                None if bytes.len() > room => {
                    self.emit(&bytes[..room], line);
                    bytes = &bytes[room..];
                }
                None => {
                    self.part.extend_from_slice(bytes);
                    return;
                }
            }
        }
    }

    /// Passes the rest after the last line break to `line`.
    pub(super) fn finish(&mut self, line: &mut impl FnMut(&[u8])) {
        if !self.part.is_empty() {
            self.emit(&[], line);
        }
    }

    fn emit(&mut self, rest: &[u8], line: &mut impl FnMut(&[u8])) {
        let strip = |bytes: &[u8]| bytes.strip_suffix(b"\r").map_or(bytes.len(), <[u8]>::len);
        if self.part.is_empty() {
            line(&rest[..strip(rest)]);
        } else {
            self.part.extend_from_slice(rest);
            line(&self.part[..strip(&self.part)]);
            self.part.clear();
        }
    }
}

/// The last lines, oldest first.
pub(super) struct Tail {
    limit: usize,
    lines: VecDeque<String>,
}

impl Tail {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, lines: VecDeque::new() }
    }

    pub(super) fn push(&mut self, line: &str) {
        // Reuses the memory of the oldest line.
        let mut slot = match self.lines.len() < self.limit {
            true => String::new(),
            false => self.lines.pop_front().unwrap_or_default(),
        };
        slot.clear();
        slot.push_str(line);
        if self.limit > 0 {
            self.lines.push_back(slot);
        }
    }

    pub(super) fn snapshot(&self) -> Arc<[String]> {
        self.lines.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{Lines, Tail};

    fn cut(limit: usize, pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new(limit);
        let mut seen = Vec::new();
        let mut sink = |line: &[u8]| seen.push(String::from_utf8_lossy(line).into_owned());
        for piece in pieces {
            lines.push(piece, &mut sink);
        }
        lines.finish(&mut sink);
        seen
    }

    #[test]
    fn lines_are_cut_at_line_breaks_and_at_the_limit() {
        assert_eq!(cut(8, &[b"a\nb\r\n", b"c", b"d\n\ne"]), ["a", "b", "cd", "", "e"]);
        assert_eq!(cut(4, &[b"abcdefghij\nk"]), ["abcd", "efgh", "ij", "k"]);
        assert_eq!(cut(4, &[b"abcd\n"]), ["abcd"]);
        assert_eq!(cut(4, &[b"abcd", b"\nx"]), ["abcd", "x"]);
        assert_eq!(cut(4, &[b"\xff\n"]), ["\u{fffd}"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_line_is_too_long(
            text in "[a-c\n]{0,80}",
            chunk in 1_usize..20,
            limit in 1_usize..12,
        ) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(chunk).collect();
            let seen = cut(limit, &pieces);
            prop_assert!(seen.iter().all(|line| line.len() <= limit));
            prop_assert_eq!(seen.concat(), text.replace('\n', ""));
        }

        #[test]
        fn tail_holds_the_last_lines(count in 0_usize..20, limit in 0_usize..6, _seed in any::<u8>()) {
            let mut tail = Tail::new(limit);
            let all: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            all.iter().for_each(|line| tail.push(line));
            prop_assert_eq!(&tail.snapshot()[..], &all[count.saturating_sub(limit)..]);
        }
    }
}
