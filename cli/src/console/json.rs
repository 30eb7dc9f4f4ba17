//! Lines of `--log-format json`: one object each, with the keys that `tracing-subscriber` uses. The
//! main structure is [`Entry`].

use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::Level;
use tracing::field::{Field, Visit};

use crate::escape::is_control;

/// One line of the log.
#[derive(Serialize)]
pub(super) struct Entry<'a> {
    timestamp: String,
    level: &'a str,
    target: &'a str,
    fields: Fields,
    /// The spans around the event, the outermost first, with their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spans: Vec<Fields>,
}

/// The fields of an event or of a span.
#[derive(Clone, Default, Serialize)]
pub(super) struct Fields(pub(super) Map<String, Value>);

impl<'a> Entry<'a> {
    pub(super) fn new(level: &Level, target: &'a str, fields: Fields, spans: Vec<Fields>) -> Self {
        let level = match *level {
            Level::ERROR => "ERROR",
            Level::WARN => "WARN",
            Level::INFO => "INFO",
            Level::DEBUG => "DEBUG",
            Level::TRACE => "TRACE",
        };
        Self { timestamp: timestamp(SystemTime::now()), level, target, fields, spans }
    }

    /// A message of the program itself; its first word may be its level.
    pub(super) fn message(text: &str) -> Self {
        let levels = [("error: ", Level::ERROR), ("warning: ", Level::WARN)];
        let found =
            levels.iter().find_map(|(prefix, level)| Some((level, text.strip_prefix(prefix)?.trim_end())));
        let (level, text) = found.unwrap_or((&Level::INFO, text.trim_end()));
        Self::of_program(level, text)
    }

    /// A message of the program itself, without its level.
    pub(super) fn of_program(level: &Level, text: &str) -> Self {
        let mut fields = Fields::default();
        fields.0.insert("message".to_owned(), text.into());
        Self::new(level, "pyproc", fields, Vec::new())
    }

    /// The line. Characters that a terminal acts on are escaped, as JSON allows.
    pub(super) fn line(&self) -> String {
        let json = serde_json::to_string(self).expect("strings and JSON values encode as JSON");
        let mut line = String::with_capacity(json.len() + 1);
        for c in json.chars() {
            match is_control(c) {
                true => write!(line, "\\u{:04x}", u32::from(c)).expect("writing to a string does not fail"),
                false => line.push(c),
            }
        }
        line.push('\n');
        line
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

/// A time as RFC 3339 writes it, in UTC, with microseconds.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", since.subsec_micros())
}

/// The date of a day that is counted from 1970-01-01. Years begin in March here, so that leap days
/// are at their ends.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::Value;

    use super::{Entry, timestamp};

    #[test]
    fn timestamps_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000001Z"),
            (951_782_399, "2000-02-28T23:59:59.000001Z"),
            (951_782_400, "2000-02-29T00:00:00.000001Z"),
            (951_868_800, "2000-03-01T00:00:00.000001Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000001Z"),
            (1_795_528_932, "2026-11-24T14:02:12.000001Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000001Z"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::new(seconds, 1000)), expected);
        }
    }

    #[test]
    fn message_has_its_level_and_stays_on_one_line() {
        for (text, level, message) in [
            ("error: a\n  b\n", "ERROR", "a\n  b"),
            ("warning: a", "WARN", "a"),
            ("reloaded", "INFO", "reloaded"),
        ] {
            let line = Entry::message(text).line();
            let entry: Value = serde_json::from_str(&line).expect("it is JSON");
            assert_eq!((&entry["level"], &entry["fields"]["message"]), (&level.into(), &message.into()));
            assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "{line}");
        }
        let line = Entry::message("\u{9b}2J \u{202e}back \u{1b}[1m").line();
        assert!(line.contains(r"\u009b2J \u202eback \u001b[1m"), "{line}");
    }
}
