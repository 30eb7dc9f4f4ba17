//! The processor time of all processes of a slot. The main structure is [`CpuTimes`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::proc::cpu_time;

/// The processor times of the slots of a pool. They never decrease: the time of a process stays
/// when the process has ended. Clones share their state.
#[derive(Clone, Debug, Default)]
pub(crate) struct CpuTimes(Arc<Mutex<BTreeMap<u32, SlotTime>>>);

/// The processor time that a slot has used so far, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuTime {
    /// Of all its processes.
    pub(crate) total_ms: u64,
    /// Of the process that serves.
    pub(crate) serving_ms: Option<u64>,
}

/// The processor time of one slot, in milliseconds.
#[derive(Debug, Default)]
struct SlotTime {
    /// Of the processes that have ended.
    ended_ms: u64,
    /// The other processes, with the last readings.
    running: Vec<(u32, u64)>,
}

/// Counts the processor time of one process, until it ends or this is dropped.
#[derive(Debug)]
pub(super) struct CpuMeter {
    times: CpuTimes,
    slot: u32,
    pid: u32,
}

impl CpuTimes {
    /// Reads the processor time of a slot in which the process `pid` serves.
    pub(crate) fn read(&self, slot: u32, pid: Option<u32>) -> CpuTime {
        let mut times = self.lock();
        let Some(time) = times.get_mut(&slot) else { return CpuTime::default() };
        let total_ms = time.total_ms(cpu_time);
        let serving = time.running.iter().find(|(running, _)| Some(*running) == pid);
        CpuTime { total_ms, serving_ms: serving.map(|(_, ms)| *ms) }
    }

    pub(super) fn meter(&self, slot: u32, pid: u32) -> CpuMeter {
        self.lock().entry(slot).or_default().running.push((pid, 0));
        CpuMeter { times: self.clone(), slot, pid }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, SlotTime>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CpuMeter {
    /// Takes the last reading. The process must not be reaped yet, or the reading before this one
    /// counts.
    pub(super) fn end(&self) {
        if let Some(time) = self.times.lock().get_mut(&self.slot) {
            time.end(self.pid, cpu_time);
        }
    }
}

impl Drop for CpuMeter {
    fn drop(&mut self) {
        self.end();
    }
}

impl SlotTime {
    fn total_ms(&mut self, read: impl Fn(u32) -> Option<u64>) -> u64 {
        for (pid, last) in &mut self.running {
            *last = (*last).max(read(*pid).unwrap_or(0));
        }
        self.ended_ms + self.running.iter().map(|(_, last)| last).sum::<u64>()
    }

    fn end(&mut self, pid: u32, read: impl Fn(u32) -> Option<u64>) {
        if let Some(at) = self.running.iter().position(|(running, _)| *running == pid) {
            let (_, last) = self.running.swap_remove(at);
            self.ended_ms += last.max(read(pid).unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CpuTime, CpuTimes, SlotTime};

    #[test]
    fn the_time_of_a_process_stays_when_it_has_ended() {
        let mut slot = SlotTime { ended_ms: 0, running: vec![(7, 0), (8, 0)] };
        let of = |seven: Option<u64>, eight| move |pid| if pid == 7 { seven } else { Some(eight) };
        assert_eq!(slot.total_ms(of(Some(10), 1)), 11);
        slot.end(7, of(Some(12), 1));
        assert_eq!(slot.total_ms(of(None, 2)), 14);
        // Its end is reported when it is reaped and when its handle is dropped.
        slot.end(7, of(Some(99), 1));
        assert_eq!(slot.total_ms(of(None, 2)), 14);
    }

    #[test]
    fn the_last_reading_counts_for_a_process_that_the_host_has_reaped() {
        let mut slot = SlotTime { ended_ms: 5, running: vec![(7, 0)] };
        assert_eq!(slot.total_ms(|_| Some(10)), 15);
        assert_eq!(slot.total_ms(|_| None), 15);
        slot.end(7, |_| None);
        assert_eq!(slot.total_ms(|_| None), 15);
    }

    #[test]
    fn slots_are_counted_apart() {
        let times = CpuTimes::default();
        let meter = times.meter(1, std::process::id());
        times.lock().entry(1).or_default().ended_ms = 3;
        let CpuTime { total_ms, serving_ms } = times.read(1, Some(std::process::id()));
        assert_eq!(serving_ms.map(|ms| ms + 3), Some(total_ms));
        assert_eq!((times.read(0, None).total_ms, times.read(1, None).serving_ms), (0, None));
        drop(meter);
        assert!(times.read(1, None).total_ms >= total_ms);
    }
}
