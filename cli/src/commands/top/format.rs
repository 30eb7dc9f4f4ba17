//! Numbers and foreign text, as a terminal shows them. The main items are [`duration`], [`bytes()`]
//! and [`clean`].

use crate::escape;

/// `1,234,567`
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count in at most seven characters: `999,999`, `1.23M`, `45.60G`.
pub(super) fn short(n: u64) -> String {
    let (value, unit) = match n {
        0..1_000_000 => return count(n),
        1_000_000..1_000_000_000 => (n as f64 / 1e6, "M"),
        _ => (n as f64 / 1e9, "G"),
    };
    format!("{value:.2}{unit}")
}

/// Calls per second: small numbers have one decimal.
pub(super) fn rate(value: f64) -> String {
    if value > 0.0 && value < 9.95 {
        return format!("{value:.1}").trim_end_matches(".0").to_owned();
    }
    count(value.max(0.0).round() as u64)
}

/// A duration in at most six characters: `520µs`, `1.20ms`, `12.3s`.
pub(super) fn duration(us: u64) -> String {
    let (value, unit) = match us {
        0..1000 => return format!("{us}µs"),
        1000..1_000_000 => (us as f64 / 1e3, "ms"),
        _ => (us as f64 / 1e6, "s"),
    };
    match value {
        ..9.995 => format!("{value:.2}{unit}"),
        ..99.95 => format!("{value:.1}{unit}"),
        _ => format!("{value:.0}{unit}"),
    }
}

/// A duration in at most five characters: `520µs`, `1.2ms`, `12s`.
pub(super) fn rough(us: u64) -> String {
    let (value, unit) = match us {
        0..1000 => return format!("{us}µs"),
        1000..999_500 => (us as f64 / 1e3, "ms"),
        _ => (us as f64 / 1e6, "s"),
    };
    let decimals = usize::from(value < 9.95);
    format!("{value:.decimals$}{unit}").replace(".0", "")
}

pub(super) fn bytes(n: u64) -> String {
    let (mut value, mut unit) = (n as f64, 0);
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(value < 9.95 && unit > 0);
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A long duration in at most two units: `12s`, `3m 2s`, `5h 7m`, `2d 1h`.
pub(super) fn span(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m {}s", s / 60, s % 60),
        3600..86400 => format!("{}h {}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d {}h", s / 86400, s % 86400 / 3600),
    }
}

/// The time of day, in UTC.
pub(super) fn clock(unix_ms: u64) -> String {
    let s = unix_ms / 1000 % 86400;
    format!("{:02}:{:02}:{:02} UTC", s / 3600, s % 3600 / 60, s % 60)
}

/// `1 call`, `2 calls`
pub(super) fn plural(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Escapes control characters of foreign text and expands its tabs. Line ends stay.
pub(super) fn clean(text: &str) -> String {
    text.split('\n').map(escape::line).collect::<Vec<_>>().join("\n").replace('\t', "    ")
}

#[cfg(test)]
mod tests {
    use super::{bytes, clean, clock, count, duration, plural, rate, rough, short, span};

    #[test]
    fn numbers_are_short_and_have_their_unit() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([999_999, 1_234_567, 45_600_000_000].map(short), ["999,999", "1.23M", "45.60G"]);
        assert_eq!([0.0, 0.25, 2.0, 9.96, 12345.6].map(rate), ["0", "0.2", "2", "10", "12,346"]);
        let durations = [0, 520, 1200, 9_996, 12_340, 999_999, 1_000_000, 123_000_000].map(duration);
        assert_eq!(durations, ["0µs", "520µs", "1.20ms", "10.0ms", "12.3ms", "1000ms", "1.00s", "123s"]);
        let rough = [0, 520, 1000, 1240, 9_960, 99_600, 999_600, 12_300_000].map(rough);
        assert_eq!(rough, ["0µs", "520µs", "1ms", "1.2ms", "10ms", "100ms", "1s", "12s"]);
        assert_eq!([512, 1536, 18 << 20, 3 << 30].map(bytes), ["512 B", "1.5 KiB", "18 MiB", "3.0 GiB"]);
        assert_eq!([900, 62_000, 3_661_000, 90_000_000].map(span), ["0s", "1m 2s", "1h 1m", "1d 1h"]);
        assert_eq!(clock(1_700_000_000_000), "22:13:20 UTC");
        assert_eq!([0, 1, 2].map(|n| plural(n, "call")), ["0 calls", "1 call", "2 calls"]);
    }

    #[test]
    fn words_of_a_worker_cannot_steer_the_terminal() {
        assert_eq!(clean("\u{1b}[31mred\ttab\u{7}\r\u{202e}."), "\\x1b[31mred    tab\\x07\\r\\u{202e}.");
        assert_eq!(clean("two\nlines é"), "two\nlines é");
    }
}
