//! Durations in configuration files: `"30s"`, `"250ms"`, or a number of milliseconds. The main item
//! is [`parse`].

use std::time::Duration;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serializer};

/// The longest duration of a setting, a hundred years of 365 days: longer than any process runs,
/// and far from where an [`Instant`](std::time::Instant) overflows.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

const UNITS: [(&str, f64); 6] =
    [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// Reads a number and its unit: `ns`, `us`, `ms`, `s`, `m` or `h`. A number without a unit counts
/// milliseconds.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: f64 = number.trim_end().parse().ok()?;
    let factor = match unit {
        "" => 1e-3,
        _ => UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    // Rounded to the nanosecond, so that 0.1 ms does not become 99.999 µs.
    let nanos = (number * factor * 1e9).round();
    (nanos >= 0.0 && nanos <= LONGEST.as_nanos() as f64).then(|| Duration::from_nanos(nanos as u64))
}

/// Writes what [`parse`] reads, in the largest unit that gives a whole number.
#[must_use]
pub fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match () {
        () if nanos.is_multiple_of(1_000_000_000) => format!("{}s", nanos / 1_000_000_000),
        () if nanos.is_multiple_of(1_000_000) => format!("{}ms", nanos / 1_000_000),
        () if nanos.is_multiple_of(1_000) => format!("{}us", nanos / 1_000),
        () => format!("{nanos}ns"),
    }
}

/// Writes a duration as [`format()`] does.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// Reads what [`parse`] reads, or a number of milliseconds.
///
/// # Errors
/// Those of the deserializer, and text that is not a duration.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    read(&text(deserializer)?)
}

fn read<E: Error>(text: &str) -> Result<Duration, E> {
    let expected = "a duration such as \"250ms\" or \"30s\", or a number of milliseconds";
    parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &expected))
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected a duration such as \"250ms\" or \"30s\", or a number of milliseconds"
    )]
    enum Field {
        Text(String),
        Millis(f64),
    }
    Field::deserialize(deserializer).map(|field| match field {
        Field::Text(text) => text,
        Field::Millis(millis) => millis.to_string(),
    })
}

/// For optional durations: `"none"` means no limit.
pub mod optional {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    /// Writes a duration, or `"none"`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => crate::duration::serialize(duration, serializer),
            None => serializer.serialize_str("none"),
        }
    }

    /// Reads a duration, or `"none"`.
    ///
    /// # Errors
    /// Those of the deserializer, and text that is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        match crate::duration::text(deserializer)?.as_str() {
            "none" => Ok(None),
            text => crate::duration::read(text).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{format, parse};

    #[test]
    fn durations_are_read_with_and_without_unit_and_written_as_they_were() {
        for (text, micros) in
            [("30s", 30_000_000), ("250ms", 250_000), ("15us", 15), ("7200s", 7_200_000_000)]
        {
            assert_eq!(parse(text), Some(Duration::from_micros(micros)), "{text}");
            assert_eq!(format(Duration::from_micros(micros)), text);
        }
        for (text, micros) in
            [("1.5s", 1_500_000), ("2 m", 120_000_000), ("1h", 3_600_000_000), ("40", 40_000)]
        {
            assert_eq!(parse(text), Some(Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "s", "-1s", "1 day", "1e99h", "876001h", "nan", "inf"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
