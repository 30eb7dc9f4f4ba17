//! What is known about a gateway. The main structure is [`Model`].

use std::collections::{BTreeMap, VecDeque};

use actix_pyproc::http::page::{About, Hello, PageEvent, PageStatus, Point};
use actix_pyproc::pool::SlotId;
use actix_pyproc::status::{Crash, FailureRow, Incident, LogLine, SlotRow};

/// Five minutes.
pub(super) const POINTS: usize = 300;
/// A share of a core is measured over at least this many milliseconds, because the gateway's
/// figures are coarse.
const SHARE_OVER: u64 = 500;
/// How many lines of the workers are kept.
const LINES: usize = 200;

/// A gateway after its last events.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) about: About,
    pub(super) status: Box<PageStatus>,
    /// A point per second, the latest last.
    pub(super) points: VecDeque<Point>,
    /// The latest first.
    pub(super) incidents: Vec<Incident>,
    /// The incidents with equal ones grouped, the latest first.
    pub(super) crashes: Vec<Crash>,
    /// Whether the gateway groups them itself.
    grouped: bool,
    /// Why calls failed, the most frequent first, so that rows seldom change their places.
    pub(super) failures: Vec<FailureRow>,
    /// The last lines of the workers, oldest first.
    pub(super) log: VecDeque<LogLine>,
    pub(super) link: Link,
    shares: BTreeMap<SlotId, Share>,
}

/// Whether events arrive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    /// The gateway has not sent a status yet.
    #[default]
    Awaited,
    Up,
    Lost {
        why: String,
    },
}

/// The processor time of a process at its last measurement.
#[derive(Debug)]
struct Share {
    pid: u32,
    at: u64,
    cpu_ms: u64,
    percent: Option<u64>,
}

impl Model {
    pub(super) fn apply(&mut self, event: PageEvent) {
        match event {
            PageEvent::About(about) => self.about = about,
            PageEvent::Hello(Hello { points, status, incidents, crashes, failures, log, .. }) => {
                self.points = points;
                self.grouped = !crashes.is_empty();
                self.crashes = crashes;
                self.set_incidents(incidents);
                self.set_failures(failures);
                self.log = log;
                self.shares.clear();
                if let Some(status) = status {
                    self.set_status(status);
                }
            }
            PageEvent::Status(status) => self.set_status(status),
            PageEvent::Point(point) => self.points.push_back(point),
            PageEvent::Incidents(incidents) => self.set_incidents(incidents),
            PageEvent::Crashes(crashes) => {
                self.grouped = true;
                self.crashes = crashes;
            }
            PageEvent::Failures(failures) => self.set_failures(failures),
            PageEvent::Log(lines) => self.log.extend(lines),
            _ => {}
        }
        while self.points.len() > POINTS {
            self.points.pop_front();
        }
        let surplus = self.log.len().saturating_sub(LINES);
        self.log.drain(..surplus);
    }

    fn set_failures(&mut self, mut failures: Vec<FailureRow>) {
        failures.sort_by(|one, other| {
            let names = |row: &FailureRow| (row.function.clone(), row.kind.clone(), row.type_name.clone());
            other.count.cmp(&one.count).then_with(|| names(one).cmp(&names(other)))
        });
        self.failures = failures;
    }

    /// If the gateway does not group incidents, each is a group.
    fn set_incidents(&mut self, incidents: Vec<Incident>) {
        if !self.grouped {
            self.crashes = incidents.iter().map(alone).collect();
        }
        self.incidents = incidents;
    }

    /// The events have ended. What they reported stays, and is outdated.
    pub(super) fn lost(&mut self, why: String) {
        self.link = Link::Lost { why };
    }

    /// How much of a core the process of a slot has used lately, in percent.
    pub(super) fn cpu_percent(&self, slot: &SlotRow) -> Option<u64> {
        self.shares.get(&slot.slot).filter(|share| Some(share.pid) == slot.pid)?.percent
    }

    /// How long ago a time was, by the gateway's clock.
    pub(super) fn age_ms(&self, unix_ms: u64) -> u64 {
        self.status.at.saturating_sub(unix_ms)
    }

    fn set_status(&mut self, status: Box<PageStatus>) {
        for slot in &status.pool.slots {
            let (Some(pid), Some(cpu_ms)) = (slot.pid, slot.cpu_ms) else {
                self.shares.remove(&slot.slot);
                continue;
            };
            let fresh = Share { pid, at: status.at, cpu_ms, percent: None };
            let share = self.shares.entry(slot.slot).or_insert(fresh);
            let over = status.at.saturating_sub(share.at);
            if share.pid != pid {
                *share = Share { pid, at: status.at, cpu_ms, percent: None };
            } else if over >= SHARE_OVER {
                let percent = 100 * cpu_ms.saturating_sub(share.cpu_ms) / over;
                *share = Share { pid, at: status.at, cpu_ms, percent: Some(percent) };
            }
        }
        self.status = status;
        self.link = Link::Up;
    }
}

fn alone(incident: &Incident) -> Crash {
    let mut crash = Crash::default();
    crash.count = 1;
    crash.first_unix_ms = incident.at_unix_ms;
    crash.slots = vec![incident.slot];
    crash.last = incident.clone();
    crash
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Link, Model, POINTS, PageEvent};

    fn apply(model: &mut Model, name: &str, data: &serde_json::Value) {
        if let Some(event) = PageEvent::read(name, &data.to_string()).expect("it can be read") {
            model.apply(event);
        }
    }

    fn status(at: u64, pid: u32, cpu_ms: u64) -> serde_json::Value {
        json!({"at": at, "ready": true, "slots": [{"slot": 0, "state": "serving", "pid": pid, "cpu_ms": cpu_ms}]})
    }

    fn percent(model: &Model) -> Option<u64> {
        model.cpu_percent(&model.status.pool.slots[0])
    }

    #[test]
    fn share_of_a_core_is_of_one_process_and_over_half_a_second_at_least() {
        let mut model = Model::default();
        for (at, pid, cpu_ms, expected) in [
            (1000, 7, 100, None),
            (1200, 7, 200, None),
            (2000, 7, 600, Some(50)),
            (2100, 7, 700, Some(50)),
            (2200, 8, 10, None),
            (3200, 8, 510, Some(50)),
        ] {
            apply(&mut model, "status", &status(at, pid, cpu_ms));
            assert_eq!(percent(&model), expected, "at {at}");
        }
    }

    #[test]
    fn only_the_last_five_minutes_are_kept() {
        let mut model = Model::default();
        for t in 0..POINTS as u64 + 5 {
            apply(&mut model, "point", &json!({"t": t}));
        }
        assert_eq!((model.points.len(), model.points[0].t), (POINTS, 5));
    }

    #[test]
    fn connection_that_is_back_tells_all_anew() {
        let mut model = Model::default();
        assert_eq!(model.link, Link::Awaited);
        let incident = json!({"slot": 0, "cause": "crashed", "what": "killed by SIGKILL"});
        let hello = json!({"points": [{"t": 1}], "status": status(1000, 7, 10), "incidents": [incident]});
        apply(&mut model, "hello", &hello);
        assert_eq!((model.link == Link::Up, model.points.len(), model.incidents.len()), (true, 1, 1));
        model.lost("it stopped".to_owned());
        assert_eq!(model.link, Link::Lost { why: "it stopped".to_owned() });
        assert_eq!(model.status.pool.slots.len(), 1, "the last status stays");
        apply(&mut model, "hello", &json!({"points": [], "status": null, "incidents": []}));
        assert_ne!(model.link, Link::Up, "nothing is known before the first status");
        apply(&mut model, "status", &status(1000, 9, 10));
        assert_eq!((model.link == Link::Up, model.incidents.len()), (true, 0));
    }

    #[test]
    fn event_of_a_later_version_is_passed_over() {
        let mut model = Model::default();
        apply(&mut model, "weather", &json!("rain"));
        apply(&mut model, "about", &json!({"worker": "worker.py", "colour": "blue"}));
        assert_eq!((model.about.worker.as_str(), model.link), ("worker.py", Link::Awaited));
    }
}
