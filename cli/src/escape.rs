//! Escapes foreign text for a terminal or a log: the result cannot move the cursor, change the
//! direction of writing, or start a new line. The main structure is [`Escape`].

use std::fmt::{self, Write};

/// Starts every line of a block but the first, so that no line passes for one of ours.
const INDENT: &str = "  ";

/// How line breaks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breaks {
    /// As `\n`: the text stays on one line.
    Escaped,
    /// As a line break and an indentation.
    Indented,
}

/// A writer that escapes the text written to it.
pub(crate) struct Escape<'a> {
    out: &'a mut String,
    breaks: Breaks,
}

impl<'a> Escape<'a> {
    pub(crate) fn new(out: &'a mut String, breaks: Breaks) -> Self {
        Self { out, breaks }
    }
}

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_control) {
            self.out.push_str(&rest[..at]);
            let control = rest[at..].chars().next().expect("find returned its position");
            match control {
                '\n' if self.breaks == Breaks::Indented => {
                    self.out.push('\n');
                    self.out.push_str(INDENT);
                }
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                ..='\u{ff}' => write!(self.out, "\\x{:02x}", u32::from(control))?,
                _ => write!(self.out, "\\u{{{:x}}}", u32::from(control))?,
            }
            rest = &rest[at + control.len_utf8()..];
        }
        self.out.push_str(rest);
        Ok(())
    }
}

/// Escapes text so that it stays on one line.
pub(crate) fn line(text: impl fmt::Display) -> String {
    escaped(text, Breaks::Escaped)
}

/// Escapes text that may have several lines; those after the first are indented.
pub(crate) fn block(text: impl fmt::Display) -> String {
    escaped(text, Breaks::Indented)
}

fn escaped(text: impl fmt::Display, breaks: Breaks) -> String {
    let mut out = String::new();
    write!(Escape::new(&mut out, breaks), "{text}").expect("writing to a string does not fail");
    out
}

/// Whether a terminal or a viewer may interpret a character instead of showing it; tabs are
/// harmless.
pub(crate) fn is_control(c: char) -> bool {
    match c {
        '\t' => false,
        // C0 and C1 controls, and DEL.
        c if c.is_control() => true,
        // Marks, embeddings, overrides and isolates of bidirectional text.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        // Line and paragraph separators.
        '\u{2028}' | '\u{2029}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{block, line};

    #[test]
    fn characters_that_a_terminal_acts_on_are_escaped_and_all_others_stay() {
        for (text, expected) in [
            ("plain\ttext, é, 日本, 🦀", "plain\ttext, é, 日本, 🦀"),
            ("", ""),
            ("\u{1b}[31mred\u{1b}[0m", "\\x1b[31mred\\x1b[0m"),
            ("\u{1b}]0;title\u{7}", "\\x1b]0;title\\x07"),
            ("10%\r20%\r", "10%\\r20%\\r"),
            ("\0\u{8}\u{7f}", "\\x00\\x08\\x7f"),
            ("\u{80}\u{9b}2J\u{9f}", "\\x80\\x9b2J\\x9f"),
            ("\u{202a}a\u{202e}b\u{202c}", "\\u{202a}a\\u{202e}b\\u{202c}"),
            ("\u{2066}\u{2067}\u{2068}\u{2069}", "\\u{2066}\\u{2067}\\u{2068}\\u{2069}"),
            ("\u{61c}\u{200e}\u{200f}", "\\u{61c}\\u{200e}\\u{200f}"),
            ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
        ] {
            assert_eq!(line(text), expected);
            assert_eq!(block(text), expected);
        }
    }

    #[test]
    fn text_cannot_begin_a_line_of_its_own() {
        let forged = "db\nerror: forged\r\n\u{85}";
        assert_eq!(line(forged), "db\\nerror: forged\\r\\n\\x85");
        assert_eq!(block(forged), "db\n  error: forged\\r\n  \\x85");
    }
}
