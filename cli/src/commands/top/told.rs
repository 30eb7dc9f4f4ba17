//! What a gateway tells its live pages, as far as it is shown. The main structure is [`Told`].
//!
//! A member that is missing has its default, so that a gateway of another version can be looked at.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;

use super::sse::Event;

/// One event.
#[derive(Debug)]
pub(super) enum Told {
    /// What does not change.
    About(About),
    /// All that is known, at the start.
    Hello(Hello),
    Status(Status),
    Point(Point),
    Incidents(Vec<Incident>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct About {
    pub(super) worker: String,
    pub(super) python: String,
    pub(super) version: String,
    /// Whether the gateway takes orders.
    pub(super) control: bool,
    /// Whether it shows stderr and stacks.
    pub(super) tracebacks: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Hello {
    pub(super) points: VecDeque<Point>,
    /// None before the gateway's first look.
    pub(super) status: Option<Status>,
    pub(super) incidents: Vec<Incident>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) ready: bool,
    pub(super) reason: Option<String>,
    /// When, by the gateway's clock, in milliseconds since 1970.
    pub(super) at: u64,
    pub(super) uptime_ms: Option<u64>,
    pub(super) serving: usize,
    pub(super) queued: u64,
    pub(super) in_flight: u64,
    pub(super) restarts: u64,
    pub(super) slots: Vec<Slot>,
    pub(super) functions: Vec<Function>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Slot {
    pub(super) slot: u32,
    pub(super) state: String,
    pub(super) generation: Option<u32>,
    pub(super) pid: Option<u32>,
    pub(super) uptime_ms: Option<u64>,
    pub(super) rss_bytes: Option<u64>,
    pub(super) cpu_ms: Option<u64>,
    pub(super) in_flight: u64,
    pub(super) calls: u64,
    pub(super) restarts: u64,
    pub(super) last_exit: Option<String>,
    pub(super) last_stderr: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function {
    pub(super) function: String,
    pub(super) ok: u64,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) abandoned: u64,
    pub(super) latency: Latency,
    pub(super) queue_wait: Latency,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Latency {
    pub(super) count: u64,
    pub(super) p50_us: u64,
    pub(super) p95_us: u64,
    pub(super) p99_us: u64,
    pub(super) max_us: u64,
}

/// One second.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Point {
    /// Milliseconds since 1970.
    pub(super) t: u64,
    pub(super) calls: f64,
    pub(super) errors: f64,
    /// Microseconds; none if no call returned.
    pub(super) p50: Option<u64>,
    pub(super) p95: Option<u64>,
    pub(super) p99: Option<u64>,
    pub(super) queued: u64,
    pub(super) in_flight: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Incident {
    pub(super) at_unix_ms: u64,
    pub(super) slot: u32,
    pub(super) pid: Option<u32>,
    pub(super) cause: String,
    pub(super) what: String,
    pub(super) lost_calls: u64,
    pub(super) requeued: u64,
    pub(super) stderr: Vec<String>,
    pub(super) stacks: Option<String>,
}

impl Told {
    /// Reads an event; one of another kind is none, for there may be more in a later version.
    pub(super) fn read(event: &Event) -> serde_json::Result<Option<Self>> {
        let data = event.data.as_str();
        Ok(Some(match event.name.as_str() {
            "about" => Self::About(serde_json::from_str(data)?),
            "hello" => Self::Hello(serde_json::from_str(data)?),
            "status" => Self::Status(serde_json::from_str(data)?),
            "point" => Self::Point(serde_json::from_str(data)?),
            "incidents" => Self::Incidents(serde_json::from_str(data)?),
            _ => return Ok(None),
        }))
    }
}
