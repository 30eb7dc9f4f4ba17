//! Server-sent events: bytes in, events out. The main structure is [`Parser`].

/// The longest line that is waited for: a status with many slots is far below it.
const LONGEST: usize = 16 << 20;

/// One event of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Its type, `message` if the stream names none.
    pub(super) name: String,
    /// Its lines, joined by a line feed.
    pub(super) data: String,
}

/// Puts the pieces together that a stream comes in.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The line that is not at its end.
    line: Vec<u8>,
    /// Whether the last byte was a carriage return, of which a line feed may be the second half.
    after_cr: bool,
    name: String,
    /// What the event has so far; `None` is no line, which is not the same as an empty one.
    data: Option<String>,
}

/// A line is too long for a stream of events.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Parser {
    /// Gives the events that end within these bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            let second_half = byte == b'\n' && std::mem::take(&mut self.after_cr);
            self.after_cr = byte == b'\r';
            match byte {
                _ if second_half => {}
                b'\r' | b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.line_ends(&String::from_utf8_lossy(&line)));
                }
                _ if self.line.len() == LONGEST => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    fn line_ends(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let name = if name.is_empty() { "message".to_owned() } else { name };
            return self.data.take().map(|data| Event { name, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // A comment, or what is of no use here: `id`, `retry`.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Parser};

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.to_owned(), data: data.to_owned() }
    }

    fn parsed(pieces: &[&[u8]]) -> Vec<Event> {
        let mut parser = Parser::default();
        pieces.iter().flat_map(|piece| parser.feed(piece).expect("lines are short")).collect()
    }

    #[test]
    fn events_are_the_same_wherever_the_stream_is_split() {
        let stream = "retry: 1000\nevent: about\ndata: {\"µ\": 1}\n\n: still here\r\n\r\nevent:status\r\n\
            data: one\r\ndata:two\r\n\r\ndata\rdata:  three\r\revent: nothing\n\ndata: last\n\ndata: cut off"
            .as_bytes();
        let expected = [
            event("about", "{\"µ\": 1}"),
            event("status", "one\ntwo"),
            event("message", "\n three"),
            event("message", "last"),
        ];
        for at in 0..=stream.len() {
            assert_eq!(parsed(&[&stream[..at], &stream[at..]]), expected, "split at {at}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(parsed(&bytes), expected);
    }

    #[test]
    fn event_that_is_cut_off_is_none() {
        assert_eq!(parsed(&[b"event: status\ndata: half\n"]), []);
    }

    #[test]
    fn line_without_an_end_is_refused_before_it_takes_all_memory() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1 << 20];
        assert!((0..16).all(|_| parser.feed(&piece).is_ok()));
        assert!(parser.feed(&piece).is_err());
    }
}
