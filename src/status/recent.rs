//! Calls and output of a pool at one moment. The main structures are [`CallRow`] and [`LogLine`].

use actix_pyproc_actors::call::{CallStage, CallStatus};
use actix_pyproc_actors::id::SlotId;
use serde::{Deserialize, Serialize};

use crate::backend::failures::unix_ms;
use crate::process::recent::{LineSource, RecentLine};

/// A call that waits for a worker or occupies one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CallRow {
    /// Its function.
    pub function: String,
    /// The slot of its worker. `None` if it waits in the queue.
    pub slot: Option<SlotId>,
    /// How far it has come.
    pub stage: CallStage,
    /// The time since its admission, in milliseconds; since its dispatch to the worker if its
    /// caller has its answer.
    pub age_ms: u64,
    /// How long its function has run, in milliseconds, if it runs.
    pub running_ms: Option<u64>,
    /// How long its caller still waits at most, in milliseconds. `None` means no limit, or that no
    /// caller waits.
    pub left_ms: Option<u64>,
}

impl CallRow {
    pub(super) fn new(call: &CallStatus, names: &[String]) -> Self {
        let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            function: names.get(call.function.0 as usize).cloned().unwrap_or_default(),
            slot: call.worker.map(|worker| worker.slot),
            stage: call.stage,
            age_ms: ms(call.age),
            running_ms: call.running.map(ms),
            left_ms: call.left.map(ms),
        }
    }
}

/// A line that a worker wrote, or a record of its `logging` module. It can contain secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LogLine {
    /// Its number among all lines of the pool, from 1.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// The slot of the worker.
    pub slot: SlotId,
    /// The process id of the worker.
    pub pid: u32,
    /// What the worker wrote it to.
    pub source: LineSource,
    /// `trace`, `debug`, `info`, `warn` or `error`: the level of the event in the host's log.
    pub level: String,
    /// The name of the logger; empty if it is no log record.
    pub logger: String,
    /// The text, at most its first 1,000 bytes.
    pub text: String,
}

impl From<RecentLine> for LogLine {
    fn from(line: RecentLine) -> Self {
        let RecentLine { number, at, slot, pid, source, level, logger, text } = line;
        Self {
            number,
            at_unix_ms: unix_ms(at),
            slot: slot.into(),
            pid,
            source,
            level: level.to_owned(),
            logger,
            text,
        }
    }
}
