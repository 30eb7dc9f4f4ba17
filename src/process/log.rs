//! Output and log records of workers as `tracing` events. The main structure is [`Source`].
//!
//! Without a subscriber they go where [`uncollected`] says.

use std::sync::Arc;

use serde::Deserialize;

use super::recent::{LineSource, RecentOutput};
use super::uncollected::{self, Line};

/// The worker that wrote the output.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) slot: u32,
    pub(super) pid: u32,
    /// Keeps the last lines.
    pub(super) recent: Arc<RecentOutput>,
}

/// A log record, section 6 of `docs/protocol.md`.
#[derive(Deserialize)]
struct Record<'a> {
    level: u32,
    #[serde(borrow)]
    logger: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    message: std::borrow::Cow<'a, str>,
    call: Option<u32>,
}

impl Source {
    /// Emits a line of standard output.
    pub(super) fn stdout(&self, line: &[u8]) {
        let (Self { slot, pid, .. }, line) = (self, String::from_utf8_lossy(line));
        self.keep(LineSource::Stdout, "info", "", &line);
        if !uncollected::is_collected() {
            return self.write(log::Level::Info, "pyproc::stdout", None, &line);
        }
        tracing::info!(target: "pyproc::stdout", slot, pid, "{line}");
    }

    /// Emits a line of standard error.
    pub(super) fn stderr(&self, line: &str) {
        let Self { slot, pid, .. } = self;
        self.keep(LineSource::Stderr, "warn", "", line);
        if !uncollected::is_collected() {
            return self.write(log::Level::Warn, "pyproc::stderr", None, line);
        }
        tracing::warn!(target: "pyproc::stderr", slot, pid, "{line}");
    }

    /// Emits a line of the log pipe.
    pub(super) fn record(&self, line: &[u8]) {
        let Self { slot, pid, .. } = self;
        let Ok(Record { level, logger, message, call }) = serde_json::from_slice(line) else {
            let line = String::from_utf8_lossy(line);
            self.keep(LineSource::Log, "warn", "", &line);
            if !uncollected::is_collected() {
                return self.write(log::Level::Warn, "pyproc::log", None, &line);
            }
            tracing::warn!(target: "pyproc::log", slot, pid, "{line}");
            return;
        };
        // The level of an event is a constant, so each level needs its own event.
        macro_rules! event {
            ($level:ident, $logged:ident) => {{
                self.keep(LineSource::Log, stringify!($level), &logger, &message);
                if !uncollected::is_collected() {
                    return self.write(log::Level::$logged, "pyproc::log", Some(&logger), &message);
                }
                tracing::$level!(target: "pyproc::log", slot, pid, logger = &*logger, call, "{message}")
            }};
        }
        match level {
            40.. => event!(error, Error),
            30..40 => event!(warn, Warn),
            20..30 => event!(info, Info),
            10..20 => event!(debug, Debug),
            0..10 => event!(trace, Trace),
        }
    }

    /// Writes output that no subscriber would see.
    fn write(&self, level: log::Level, target: &'static str, logger: Option<&str>, text: &str) {
        uncollected::write(Line { slot: self.slot, pid: self.pid, target, level, logger, text });
    }

    fn keep(&self, source: LineSource, level: &'static str, logger: &str, text: &str) {
        self.recent.push((self.slot, self.pid), source, level, logger, text);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::Source;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no writer panics").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn events(body: impl FnOnce(Source)) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            body(Source { slot: 2, pid: 77, recent: Arc::default() })
        });
        let bytes = written.0.lock().expect("no writer panics").clone();
        String::from_utf8(bytes).expect("events are text")
    }

    #[test]
    fn records_become_events_of_their_level_with_their_fields() {
        for (level, name) in
            [(50, "ERROR"), (40, "ERROR"), (30, "WARN"), (20, "INFO"), (10, "DEBUG"), (5, "TRACE")]
        {
            let record =
                format!(r#"{{"level": {level}, "logger": "app.db", "message": "a \"b\"", "call": 12}}"#);
            let seen = events(|source| source.record(record.as_bytes()));
            let expected = " pyproc::log: a \"b\" slot=2 pid=77 logger=\"app.db\" call=12\n";
            assert_eq!(seen.trim_start(), format!("{name}{expected}"));
        }
        let seen = events(|source| {
            source.record(br#"{"level": 20, "logger": "app", "message": "m", "call": null}"#)
        });
        assert_eq!(seen.trim_start(), "INFO pyproc::log: m slot=2 pid=77 logger=\"app\"\n");
    }

    #[test]
    fn record_that_is_no_json_is_told_as_it_is() {
        let seen = events(|source| source.record(b"\xffno json"));
        assert_eq!(seen.trim_start(), "WARN pyproc::log: \u{fffd}no json slot=2 pid=77\n");
    }

    #[test]
    fn prints_become_events_of_the_stream_that_they_were_printed_to() {
        let seen = events(|source| {
            source.stdout(b"out \xff");
            source.stderr("err");
        });
        let lines: Vec<&str> = seen.lines().map(str::trim_start).collect();
        let expected =
            ["INFO pyproc::stdout: out \u{fffd} slot=2 pid=77", "WARN pyproc::stderr: err slot=2 pid=77"];
        assert_eq!(lines, expected);
    }
}
