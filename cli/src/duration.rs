//! Durations on the command line, in the notation of the configuration file. The main item is
//! [`parse`].

use std::time::Duration;

use actix_pyproc_actors::duration;

/// A time limit; `None` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeLimit(pub(crate) Option<Duration>);

/// Reads `30s`, `250ms`, or a number of milliseconds.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    duration::parse(text).ok_or("expected a duration such as 30s or 250ms, or a number of milliseconds")
}

/// Reads a duration above zero.
pub(crate) fn positive(text: &str) -> Result<Duration, &'static str> {
    match parse(text)? {
        Duration::ZERO => Err("expected a duration above zero"),
        duration => Ok(duration),
    }
}

/// Reads a duration, or `none`.
pub(crate) fn limit(text: &str) -> Result<TimeLimit, &'static str> {
    match text {
        "none" => Ok(TimeLimit(None)),
        text => parse(text).map(|duration| TimeLimit(Some(duration))),
    }
}

/// Reads a duration above zero, or `none`.
pub(crate) fn positive_limit(text: &str) -> Result<TimeLimit, &'static str> {
    match limit(text)? {
        TimeLimit(Some(Duration::ZERO)) => Err("expected a duration above zero, or none"),
        limit => Ok(limit),
    }
}

/// Reads a duration above zero; a bare number is seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, &'static str> {
    let duration = match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => duration::parse(text),
    };
    duration
        .filter(|duration| !duration.is_zero())
        .ok_or("expected a duration above zero such as 10s or 500ms, or a number of seconds")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{TimeLimit, limit, parse, positive, positive_limit, seconds};

    #[test]
    fn durations_have_units_or_are_milliseconds() {
        for (text, millis) in
            [("250", 250), ("250ms", 250), ("5s", 5000), ("1.5s", 1500), ("2m", 120_000), ("0", 0)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(limit(text), Ok(TimeLimit(Some(Duration::from_millis(millis)))), "{text}");
        }
        for text in ["", "s", "-1", "5d", "nan"] {
            assert!(parse(text).is_err() && limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn none_is_a_limit_and_no_duration_and_zero_is_not_positive() {
        for parser in [limit, positive_limit] {
            assert_eq!(parser("none"), Ok(TimeLimit(None)));
        }
        assert!(parse("none").is_err() && positive("none").is_err());
        assert!(positive("0").is_err() && positive("0s").is_err() && positive_limit("0ms").is_err());
        assert_eq!(positive("1"), Ok(Duration::from_millis(1)));
    }

    #[test]
    fn seconds_are_a_duration_above_zero_or_a_number() {
        for (text, millis) in [("0.2", 200), ("3", 3000), ("5s", 5000), ("250ms", 250), ("1m", 60_000)] {
            assert_eq!(seconds(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["0", "0s", "-1", "-1s", "nan", "inf", "none", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
