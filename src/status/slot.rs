//! One slot at one moment. The main structure is [`SlotRow`].

use actix_pyproc_actors::id::{Generation, SlotId, WorkerKey};
use actix_pyproc_actors::router::RouterStatus;
use actix_pyproc_actors::supervisor::SlotState;
use actix_pyproc_actors::supervisor::SlotStatus;
use serde::{Deserialize, Serialize};

use crate::backend::PythonBackend;
use crate::process::cpu::CpuTime;
use crate::process::proc::rss;

/// One slot at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SlotRow {
    /// Its number.
    pub slot: SlotId,
    /// What it is doing.
    pub state: SlotState,
    /// Which process of the pool serves in it.
    pub generation: Option<Generation>,
    /// The id of that process.
    pub pid: Option<u32>,
    /// How long the process has served, in milliseconds.
    pub uptime_ms: Option<u64>,
    /// Its resident memory, in bytes.
    pub rss_bytes: Option<u64>,
    /// The processor time that it has used, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// The processor time that all processes of the slot have used so far, in milliseconds.
    pub cpu_total_ms: u64,
    /// How many calls it has.
    pub in_flight: u32,
    /// How many calls it has ended.
    pub calls: u64,
    /// How often the slot's process was replaced after it had ended by itself.
    pub restarts: u64,
    /// How often the slot's process was replaced after the pool had killed it.
    pub kills: u64,
    /// How the slot's last process ended.
    pub last_exit: Option<String>,
    /// The last lines of that process on standard error.
    pub last_stderr: Vec<String>,
}

impl SlotRow {
    pub(super) fn new(calls: &RouterStatus, slot: SlotStatus<PythonBackend>, cpu: CpuTime) -> Self {
        let key = slot.generation.map(|generation| WorkerKey { slot: slot.slot, generation });
        let worker = calls.workers.iter().find(|worker| Some(worker.key) == key);
        Self {
            slot: slot.slot,
            state: slot.state,
            generation: slot.generation,
            pid: slot.pid,
            uptime_ms: slot.uptime.map(|uptime| u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX)),
            rss_bytes: slot.pid.and_then(rss),
            cpu_ms: cpu.serving_ms,
            cpu_total_ms: cpu.total_ms,
            in_flight: worker.map_or(0, |worker| worker.in_flight),
            calls: worker.map_or(0, |worker| worker.calls),
            restarts: slot.restarts,
            kills: slot.kills,
            last_exit: slot.last_exit.as_ref().map(ToString::to_string),
            last_stderr: slot.last_exit.map_or_else(Vec::new, |exit| exit.stderr_tail.to_vec()),
        }
    }
}
