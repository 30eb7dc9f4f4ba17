//! The events that a gateway sends to its live pages and to `pyproc top`. The main structure is
//! [`PageEvent`].

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::status::{AdmissionState, Crash, FailureRow, Incident, LogLine, PoolStatus, Readiness};

/// One server-sent event of `GET /dashboard/events`.
///
/// Fields that are missing when an event is read have their default, so that a program can read the
/// events of a gateway of another version.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PageEvent {
    /// `about`, the first event.
    About(About),
    /// `hello`, the second event.
    Hello(Hello),
    /// `status`, after each second and after each change.
    Status(Box<PageStatus>),
    /// `point`, after each second.
    Point(Point),
    /// `incidents`, when there is a new one; the latest first.
    Incidents(Vec<Incident>),
    /// `crashes`, when there is a new incident: equal ones grouped, the latest first.
    Crashes(Vec<Crash>),
    /// `failures`, when a call has failed: all of them, the latest first.
    Failures(Vec<FailureRow>),
    /// `log`, when workers have written: the new lines, oldest first.
    Log(Vec<LogLine>),
}

/// What does not change while the gateway runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct About {
    /// The file name of the script, or the name of the module.
    pub worker: String,
    /// The version of the Python interpreter.
    pub python: String,
    /// The version of this crate.
    pub version: String,
    /// How many calls the pool queues at most.
    pub max_queue: usize,
    /// Whether the gateway takes [`ControlAction`](super::ControlAction)s.
    pub control: bool,
    /// Whether the gateway requires a token.
    pub token: bool,
    /// Whether the gateway shows tracebacks, standard error and stacks.
    pub tracebacks: bool,
}

/// What the gateway knows when a page connects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Hello {
    /// The last five minutes, the latest second last.
    pub points: VecDeque<Point>,
    /// The last status; `None` if the gateway has just started.
    pub status: Option<Box<PageStatus>>,
    /// The last incidents, the latest first.
    pub incidents: Vec<Incident>,
    /// The last incidents with equal ones grouped, the latest first.
    pub crashes: Vec<Crash>,
    /// Why calls failed, the latest first.
    pub failures: Vec<FailureRow>,
    /// The last lines of the workers, oldest first; empty unless the gateway shows tracebacks.
    pub log: VecDeque<LogLine>,
}

/// A pool as its gateway shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PageStatus {
    /// The pool, without what has events of its own: its incidents, crashes, failures and log.
    #[serde(flatten)]
    pub pool: PoolStatus,
    /// Whether the gateway is ready.
    pub ready: bool,
    /// Why the gateway is not ready, if it is not.
    pub reason: Option<NotReady>,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// How long the gateway has run, in milliseconds.
    pub uptime_ms: Option<u64>,
}

/// One second of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Point {
    /// Its end, in milliseconds since 1970.
    pub t: u64,
    /// How many calls ended.
    pub calls: f64,
    /// How many of them ended with an error.
    pub errors: f64,
    /// The median of their latency in microseconds; `None` if no call returned.
    pub p50: Option<u64>,
    /// The 95th percentile.
    pub p95: Option<u64>,
    /// The 99th percentile.
    pub p99: Option<u64>,
    /// The median time that calls waited for a worker, in microseconds; `None` if no call was
    /// dispatched.
    pub wait_p50: Option<u64>,
    /// The 99th percentile of that time.
    pub wait_p99: Option<u64>,
    /// How many calls waited at its end.
    pub queued: usize,
    /// How many calls workers had at its end.
    pub in_flight: usize,
    /// How many slots served at its end.
    pub serving: usize,
    /// The resident memory of all workers at its end, in bytes.
    pub rss: u64,
    /// The processor seconds that the workers used per second.
    pub cpu: f64,
}

/// Why a gateway is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NotReady {
    /// The gateway or the pool is draining.
    #[serde(rename = "draining")]
    Draining,
    /// An actor of the pool panicked.
    #[serde(rename = "the pool is broken and does not come back")]
    Broken,
    /// The pool's breaker is open.
    #[serde(rename = "no worker can start")]
    Unavailable,
    /// All workers are starting.
    #[serde(rename = "no worker serves")]
    NoWorker,
    /// A reason that a newer gateway gave.
    #[serde(other, rename = "unknown")]
    Unknown,
}

impl NotReady {
    /// Why a gateway with this pool is not ready, if it is not.
    pub(super) const fn of(pool: Readiness, draining: bool) -> Option<Self> {
        match pool.admission {
            _ if draining => Some(Self::Draining),
            AdmissionState::ShuttingDown => Some(Self::Draining),
            _ if pool.is_broken => Some(Self::Broken),
            AdmissionState::Unavailable | AdmissionState::HalfOpen => Some(Self::Unavailable),
            AdmissionState::Open | AdmissionState::Unknown if pool.serving == 0 => Some(Self::NoWorker),
            AdmissionState::Open | AdmissionState::Unknown => None,
        }
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A formatter is a serializer for the names of unit variants.
        self.serialize(f)
    }
}

impl PageEvent {
    /// Reads an event by its name and its data. `None` is an event that this version does not know.
    ///
    /// # Errors
    /// If the data is not the JSON of the event.
    pub fn read(name: &str, data: &str) -> serde_json::Result<Option<Self>> {
        Ok(Some(match name {
            "about" => Self::About(serde_json::from_str(data)?),
            "hello" => Self::Hello(serde_json::from_str(data)?),
            "status" => Self::Status(serde_json::from_str(data)?),
            "point" => Self::Point(serde_json::from_str(data)?),
            "incidents" => Self::Incidents(serde_json::from_str(data)?),
            "crashes" => Self::Crashes(serde_json::from_str(data)?),
            "failures" => Self::Failures(serde_json::from_str(data)?),
            "log" => Self::Log(serde_json::from_str(data)?),
            _ => return Ok(None),
        }))
    }

    /// Writes the event as it is sent.
    pub(super) fn write(&self) -> String {
        let (name, data) = match self {
            Self::About(about) => ("about", serde_json::to_string(about)),
            Self::Hello(hello) => ("hello", serde_json::to_string(hello)),
            Self::Status(status) => ("status", serde_json::to_string(status)),
            Self::Point(point) => ("point", serde_json::to_string(point)),
            Self::Incidents(incidents) => ("incidents", serde_json::to_string(incidents)),
            Self::Crashes(crashes) => ("crashes", serde_json::to_string(crashes)),
            Self::Failures(failures) => ("failures", serde_json::to_string(failures)),
            Self::Log(lines) => ("log", serde_json::to_string(lines)),
        };
        let data = data.expect("events have only string keys");
        format!("event: {name}\ndata: {data}\n\n")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{About, Hello, NotReady, PageEvent, PageStatus, Point};
    use crate::status::{AdmissionState, Crash, FailureRow, Incident, LogLine, PoolStatus, Readiness};

    fn read(sent: &str) -> PageEvent {
        let (name, data) = sent.trim_end().split_once('\n').expect("it has two lines");
        let (name, data) = (name.trim_start_matches("event: "), data.trim_start_matches("data: "));
        PageEvent::read(name, data).expect("it is valid").expect("it is known")
    }

    #[test]
    fn events_are_read_as_they_were_written() {
        let pool = PoolStatus { serving: 1, admission: AdmissionState::Open, ..PoolStatus::default() };
        let reason = Some(NotReady::NoWorker);
        let status = Box::new(PageStatus { pool, reason, at: 7, ..PageStatus::default() });
        let incidents = vec![Incident { at_unix_ms: 3, ..Incident::default() }];
        let crashes = vec![Crash { count: 2, last: incidents[0].clone(), ..Crash::default() }];
        let failures = vec![FailureRow { message: "a\nb".to_owned(), ..FailureRow::default() }];
        let log = vec![LogLine { text: "<b>".to_owned(), ..LogLine::default() }];
        let points = [Point { t: 5, p50: Some(2), ..Point::default() }];
        let hello = Hello {
            points: points.clone().into(),
            status: Some(status.clone()),
            incidents: incidents.clone(),
            crashes: crashes.clone(),
            failures: failures.clone(),
            log: log.clone().into(),
        };
        for event in [
            PageEvent::About(About { worker: "worker.py".to_owned(), control: true, ..About::default() }),
            PageEvent::Hello(hello),
            PageEvent::Status(status),
            PageEvent::Point(points[0].clone()),
            PageEvent::Incidents(incidents),
            PageEvent::Crashes(crashes),
            PageEvent::Failures(failures),
            PageEvent::Log(log),
        ] {
            assert_eq!(read(&event.write()), event);
        }
    }

    #[test]
    fn status_of_a_page_has_the_keys_of_the_pools_beside_its_own() {
        let status = PageStatus { reason: Some(NotReady::Draining), ..PageStatus::default() };
        let written = serde_json::to_value(&status).expect("it has a JSON");
        let pool = serde_json::to_value(PoolStatus::default()).expect("it has a JSON");
        let mut expected = pool;
        expected["ready"] = json!(false);
        expected["reason"] = json!("draining");
        expected["at"] = json!(0);
        expected["uptime_ms"] = json!(null);
        assert_eq!(written, expected);
    }

    #[test]
    fn a_pool_that_drains_is_broken_or_has_no_worker_is_not_ready() {
        let pool = |admission, serving, panic: Option<&str>| PoolStatus {
            admission,
            serving,
            panic: panic.map(ToOwned::to_owned),
            ..PoolStatus::default()
        };
        for (status, draining, expected) in [
            (pool(AdmissionState::Open, 1, None), false, None),
            (pool(AdmissionState::Open, 1, None), true, Some(NotReady::Draining)),
            (pool(AdmissionState::ShuttingDown, 1, None), false, Some(NotReady::Draining)),
            (pool(AdmissionState::Unavailable, 0, Some("router")), false, Some(NotReady::Broken)),
            (pool(AdmissionState::HalfOpen, 0, None), false, Some(NotReady::Unavailable)),
            (pool(AdmissionState::Open, 0, None), false, Some(NotReady::NoWorker)),
        ] {
            assert_eq!(NotReady::of(Readiness::from(&status), draining), expected, "{status:?}");
        }
    }
}
