//! Why calls fail: the last error of each kind and type, by function. The main structure is
//! [`Failures`].

use std::fmt::{self, Display, Write as _};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix::{Context, Handler, Message, MessageResult};
use actix_pyproc_actors::Router;
use actix_pyproc_actors::id::FunctionId;
use serde::{Deserialize, Serialize};

use super::PythonBackend;
use crate::error::{ArgumentError, CallError};
use crate::process::recent::prefix;

/// How many types of exceptions are counted for each function; further types share a row.
const TYPES: usize = 10;
/// The maximum lengths of texts, in bytes.
const TYPE_NAME: usize = 200;
const MESSAGE: usize = 500;
const TRACEBACK: usize = 4000;
/// How exact the times are. Under overload the clock is not read for each rejection.
const TICK: Duration = Duration::from_millis(1);

/// The errors of one kind, and for exceptions of one type, with which calls of a function ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FailureRow {
    /// The function; empty for calls of functions that do not exist, and for calls that were
    /// rejected before their function was looked up, such as those that are too large.
    pub function: String,
    /// The kind, as [`CallError::kind`] returns it.
    pub kind: String,
    /// The type of the exception, at most 200 bytes. `None` for other kinds, and for the row that
    /// counts the exceptions of all types after the first ten of the function.
    pub type_name: Option<String>,
    /// How many calls ended with this error since the start of the pool.
    pub count: u64,
    /// When the last of them ended, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// The text of the last error, at most its first 500 bytes. It can contain data of the call.
    pub message: String,
    /// The traceback of the last exception, at most its last 4,000 bytes.
    pub traceback: Option<String>,
}

/// The errors of calls. Its size is bounded by the number of functions.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// By the number of the function.
    functions: Vec<Vec<Failure>>,
    /// Of calls whose function is not known.
    unknown: Vec<Failure>,
}

#[derive(Debug)]
struct Failure {
    kind: &'static str,
    type_name: Option<String>,
    count: u64,
    /// When the clock was read last.
    read: Option<Instant>,
    at: SystemTime,
    message: String,
    traceback: String,
}

impl Failures {
    /// Counts an error. `clock` is read if `now` is long enough after the last time.
    pub(super) fn record(
        &mut self,
        function: Option<FunctionId>,
        error: &CallError,
        now: Instant,
        clock: impl FnOnce() -> SystemTime,
    ) {
        let (kind, rows) = (error.kind(), self.rows_of(function));
        let failure = match error {
            CallError::Exception { type_name, message, traceback, .. } => {
                let name = prefix(type_name, TYPE_NAME);
                let others = rows.iter().filter(|row| row.type_name.is_some()).count() == TYPES;
                let known = rows.iter().position(|row| row.type_name.as_deref() == Some(name));
                let of_type = known.is_some() || !others;
                let failure = find(rows, kind, of_type.then_some(name));
                failure.traceback.clear();
                failure.traceback.push_str(suffix(traceback, TRACEBACK));
                match of_type {
                    true => failure.saying(message),
                    false => failure.writing(format_args!("{name}: {message}")),
                }
            }
            CallError::InvalidArgument { errors } => find(rows, kind, None).writing(Listed(errors)),
            CallError::Encode { message, .. } | CallError::Decode { message, .. } => {
                find(rows, kind, None).saying(message)
            }
            CallError::WorkerLost { exit, .. } | CallError::Quarantined { exit, .. } => {
                find(rows, kind, None).writing(exit)
            }
            CallError::DeadlineExceeded { started } => {
                find(rows, kind, None).saying(if *started { "while it ran" } else { "before it started" })
            }
            CallError::UnknownFunction { function, .. } => find(rows, kind, None).saying(function),
            CallError::Overloaded { .. } => find(rows, kind, None).saying("the queue was full"),
            // The cause can have the text of an exception, which not everybody may see.
            CallError::Unavailable { .. } => find(rows, kind, None).saying("no worker served"),
            error => find(rows, kind, None).writing(error),
        };
        failure.count += 1;
        if failure.read.is_none_or(|read| now.saturating_duration_since(read) >= TICK) {
            (failure.read, failure.at) = (Some(now), clock());
        }
    }

    fn rows_of(&mut self, function: Option<FunctionId>) -> &mut Vec<Failure> {
        let Some(function) = function else { return &mut self.unknown };
        let index = function.0 as usize;
        if index >= self.functions.len() {
            self.functions.resize_with(index + 1, Vec::new);
        }
        &mut self.functions[index]
    }

    /// The rows, the latest first.
    fn rows(&self, names: &[String]) -> Vec<FailureRow> {
        let row = |name: &str, failure: &Failure| FailureRow {
            function: name.to_owned(),
            kind: failure.kind.to_owned(),
            type_name: failure.type_name.clone(),
            count: failure.count,
            at_unix_ms: unix_ms(failure.at),
            message: failure.message.clone(),
            traceback: Some(failure.traceback.clone()).filter(|traceback| !traceback.is_empty()),
        };
        let functions = names.iter().map(String::as_str).zip(&self.functions);
        let all = functions.chain([("", &self.unknown)]);
        let mut rows: Vec<_> =
            all.flat_map(|(name, rows)| rows.iter().map(move |failure| row(name, failure))).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.at_unix_ms));
        rows
    }
}

impl Failure {
    fn saying(&mut self, message: &str) -> &mut Self {
        let message = prefix(message, MESSAGE);
        if self.message != message {
            self.message.clear();
            self.message.push_str(message);
        }
        self
    }

    fn writing(&mut self, message: impl Display) -> &mut Self {
        // The memory of the last message is used again.
        self.message.clear();
        // The writer fails when the message is long enough.
        let _ = write!(Bounded { text: &mut self.message, limit: MESSAGE }, "{message}");
        self
    }
}

/// The row of a kind and of a type of exceptions, which may be new.
fn find<'a>(rows: &'a mut Vec<Failure>, kind: &'static str, type_name: Option<&str>) -> &'a mut Failure {
    let same = |row: &Failure| row.kind == kind && row.type_name.as_deref() == type_name;
    let index = rows.iter().position(same).unwrap_or_else(|| {
        let type_name = type_name.map(ToOwned::to_owned);
        let (message, traceback) = (String::new(), String::new());
        rows.push(Failure { kind, type_name, count: 0, read: None, at: UNIX_EPOCH, message, traceback });
        rows.len() - 1
    });
    &mut rows[index]
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// At most `limit` bytes from the end.
fn suffix(text: &str, limit: usize) -> &str {
    let begin = (text.len().saturating_sub(limit)..text.len()).find(|&begin| text.is_char_boundary(begin));
    &text[begin.unwrap_or(text.len())..]
}

/// Stops writing when the text has reached its limit.
struct Bounded<'a> {
    text: &'a mut String,
    limit: usize,
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = self.limit - self.text.len();
        let fits = prefix(part, room);
        self.text.push_str(fits);
        if fits.len() == part.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

struct Listed<'a>(&'a [ArgumentError]);

impl Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// Asks the router for the rows of all functions.
#[derive(Message)]
#[rtype(result = "Vec<FailureRow>")]
pub(crate) struct GetFailures;

impl Handler<GetFailures> for Router<PythonBackend> {
    type Result = MessageResult<GetFailures>;

    fn handle(&mut self, _: GetFailures, _: &mut Context<Self>) -> Self::Result {
        let names = self.backend().handle().function_names();
        MessageResult(self.backend().failures.borrow().rows(&names))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, UNIX_EPOCH};

    use actix_pyproc_actors::id::FunctionId;

    use super::{FailureRow, Failures, MESSAGE, TRACEBACK, TYPE_NAME, TYPES};
    use crate::error::{ArgumentError, ArgumentErrorKind, CallError};

    fn exception(type_name: &str, message: &str, traceback: &str) -> CallError {
        let (type_name, message, traceback) = (type_name.into(), message.into(), traceback.into());
        CallError::Exception { type_name, message, traceback, info: Default::default() }
    }

    fn rows(failures: &Failures) -> Vec<FailureRow> {
        failures.rows(&["f".to_owned(), "g".to_owned()])
    }

    #[test]
    fn each_type_and_kind_is_counted_with_its_last_text_and_time() {
        let mut failures = Failures::default();
        let start = Instant::now();
        let mut record = |function, second, error: &CallError| {
            let since = Duration::from_secs(second);
            failures.record(Some(FunctionId(function)), error, start + since, || UNIX_EPOCH + since);
        };
        record(1, 1, &exception("ValueError", "first", "one"));
        record(0, 2, &exception("ValueError", "other function", ""));
        record(1, 3, &exception("ValueError", "last", "two"));
        let errors = [("x", "expected an int, not a str"), ("", "y is missing")];
        let errors =
            errors.map(|(path, message)| ArgumentError::new(path, message, ArgumentErrorKind::Type)).into();
        record(1, 4, &CallError::InvalidArgument { errors });
        let seen: Vec<_> = (rows(&failures).into_iter())
            .map(|row| (row.function, row.kind, row.type_name, row.count, row.at_unix_ms, row.message))
            .collect();
        let row = |function: &str, kind: &str, type_name: Option<&str>, count, at, message: &str| {
            (
                function.to_owned(),
                kind.to_owned(),
                type_name.map(ToOwned::to_owned),
                count,
                at,
                message.to_owned(),
            )
        };
        let wrong = "x: expected an int, not a str; y is missing";
        let expected = [
            row("g", "invalid_argument", None, 1, 4000, wrong),
            row("g", "exception", Some("ValueError"), 2, 3000, "last"),
            row("f", "exception", Some("ValueError"), 1, 2000, "other function"),
        ];
        assert_eq!(seen, expected, "the latest first");
        let tracebacks: Vec<_> = rows(&failures).into_iter().map(|row| row.traceback).collect();
        assert_eq!(tracebacks, [None, Some("two".to_owned()), None]);
    }

    #[test]
    fn errors_of_calls_that_no_worker_had_are_counted_without_foreign_text() {
        let mut failures = Failures::default();
        let cause = Some(std::sync::Arc::new(crate::error::StartError::Stopped));
        let retry_after = Duration::from_secs(1);
        let known = std::sync::Arc::new([]);
        for (function, error) in [
            (None, CallError::UnknownFunction { function: "predct".into(), known }),
            (Some(FunctionId(0)), CallError::Overloaded { retry_after }),
            (Some(FunctionId(0)), CallError::Unavailable { cause, retry_after }),
        ] {
            failures.record(function, &error, Instant::now(), || UNIX_EPOCH);
        }
        let seen: Vec<_> =
            rows(&failures).into_iter().map(|row| (row.function, row.kind, row.message)).collect();
        let expected = [
            ("f", "overloaded", "the queue was full"),
            ("f", "unavailable", "no worker served"),
            ("", "unknown_function", "predct"),
        ];
        let expected = expected
            .map(|(function, kind, message)| (function.to_owned(), kind.to_owned(), message.to_owned()));
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_clock_is_read_once_for_all_rejections_of_a_turn() {
        let (mut failures, now, mut reads) = (Failures::default(), Instant::now(), 0);
        for n in 0..2000 {
            let overloaded = CallError::Overloaded { retry_after: Duration::ZERO };
            failures.record(None, &overloaded, now + Duration::from_millis(n / 1000), || {
                reads += 1;
                UNIX_EPOCH
            });
        }
        assert_eq!((rows(&failures)[0].count, reads), (2000, 2));
    }

    #[test]
    fn types_and_texts_are_bounded_whatever_workers_send() {
        let mut failures = Failures::default();
        for n in 0..1000 {
            let name = format!("{n}{}", "é".repeat(10_000));
            let error = exception(&name, &"ü".repeat(10_000), &"ß".repeat(100_000));
            failures.record(Some(FunctionId(0)), &error, Instant::now(), || UNIX_EPOCH);
        }
        let rows = rows(&failures);
        assert_eq!(rows.len(), TYPES + 1);
        let others: Vec<_> = rows.iter().filter(|row| row.type_name.is_none()).collect();
        assert_eq!((others.len(), others[0].count), (1, 1000 - TYPES as u64));
        assert!(others[0].message.starts_with("999é"));
        for row in rows {
            assert!(row.type_name.unwrap_or_default().len() <= TYPE_NAME);
            assert!(row.message.len() <= MESSAGE && row.message.len() > MESSAGE - 4);
            assert!(row.traceback.is_some_and(|text| text.len() <= TRACEBACK && text.len() > TRACEBACK - 4));
        }
        // A type that has its row keeps it.
        let known = format!("3{}", "é".repeat(10_000));
        let again = exception(&known, "again", "");
        failures.record(Some(FunctionId(0)), &again, Instant::now(), || UNIX_EPOCH);
        let again = super::tests::rows(&failures).into_iter().find(|row| row.message == "again");
        assert_eq!(again.map(|row| (row.count, row.type_name.is_some())), Some((2, true)));
    }
}
