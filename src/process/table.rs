//! The slot table, section 5 of `docs/protocol.md`. The main structure is [`SlotTable`].
#![expect(unsafe_code, reason = "the table is memory that two processes share")]

use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use rustix::fs::ftruncate;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::time::{ClockId, clock_gettime};

use super::memfd;
use crate::wire::byte_enum::byte_enum;
use crate::wire::frame::CALL_INDEXES;

/// The number of calls in the table.
pub(crate) const SLOTS: usize = CALL_INDEXES;

const MAGIC: &[u8; 4] = b"PYP1";
const PHASES: usize = 64;
const MARKS: usize = PHASES + SLOTS;
const DEADLINES: usize = PHASES + 2 * SLOTS;
const LEN: usize = PHASES + 10 * SLOTS;

byte_enum! {
    /// The progress of a call, written by the worker.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum CallPhase {
        /// The function has not started.
        Sent = 0,
        /// The function runs.
        Running = 1,
        /// The function has ended.
        Finished = 2,
    }
}

/// A request of the host concerning a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mark {
    /// Skip the call, or interrupt it.
    Cancel = 1,
    /// Skip the call unless it has started.
    Revoke = 2,
}

/// Memory shared with one worker: the phase of each call in flight, and the mark of the host.
pub(crate) struct SlotTable {
    map: NonNull<u8>,
    clock: Clock,
}

impl SlotTable {
    /// Creates a table and the file that the worker maps.
    pub(crate) fn create() -> io::Result<(Self, OwnedFd)> {
        let fd = memfd::create("pyproc-table")?;
        ftruncate(&fd, LEN as u64)?;
        memfd::seal_size(&fd)?;
        // SAFETY: the kernel chooses the address of the new mapping, so no memory in use changes.
        let map = unsafe {
            mmap(std::ptr::null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &fd, 0)?
        };
        let map = NonNull::new(map.cast::<u8>()).expect("the kernel does not map at address 0");
        let table = Self { map, clock: Clock::now() };
        for (offset, byte) in MAGIC.iter().enumerate() {
            table.byte(offset).store(*byte, Ordering::Relaxed);
        }
        Ok((table, fd))
    }

    /// Resets an entry before its call is sent.
    pub(crate) fn arm(&self, index: usize, deadline: Option<Instant>) {
        let nanos = deadline.map_or(0, |deadline| self.clock.nanos(deadline));
        self.deadline(index).store(nanos, Ordering::Relaxed);
        self.byte(MARKS + index).store(0, Ordering::Relaxed);
        self.byte(PHASES + index).store(CallPhase::Sent as u8, Ordering::Release);
    }

    /// Marks a call. A phase that is read after this is at least as new as the one that the worker
    /// wrote before it read the mark.
    pub(crate) fn mark(&self, index: usize, mark: Mark) {
        self.byte(MARKS + index).store(mark as u8, Ordering::SeqCst);
    }

    /// Whether the call was marked with [`Mark::Cancel`].
    pub(crate) fn is_cancelled(&self, index: usize) -> bool {
        self.byte(MARKS + index).load(Ordering::SeqCst) == Mark::Cancel as u8
    }

    /// The phase of a call, or `None` if the worker wrote an unknown byte.
    pub(crate) fn phase(&self, index: usize) -> Option<CallPhase> {
        CallPhase::from_byte(self.byte(PHASES + index).load(Ordering::SeqCst))
    }

    fn byte(&self, offset: usize) -> &AtomicU8 {
        assert!(offset < LEN);
        // SAFETY: the offset is within the mapping, which lives as long as `self` and is only
        // accessed atomically.
        unsafe { AtomicU8::from_ptr(self.map.as_ptr().add(offset)) }
    }

    fn deadline(&self, index: usize) -> &AtomicU64 {
        assert!(index < SLOTS);
        // SAFETY: as in `byte`; the mapping is aligned to a page, and DEADLINES to 8 bytes.
        unsafe { AtomicU64::from_ptr(self.map.as_ptr().add(DEADLINES + 8 * index).cast()) }
    }
}

impl Drop for SlotTable {
    fn drop(&mut self) {
        // SAFETY: `self` owns the mapping, and no reference into it outlives `self`.
        let unmapped = unsafe { munmap(self.map.as_ptr().cast(), LEN) };
        debug_assert!(unmapped.is_ok(), "the whole mapping belongs to the table");
    }
}

/// Converts an [`Instant`], which is opaque, to nanoseconds of `CLOCK_MONOTONIC`.
struct Clock {
    instant: Instant,
    nanos: u64,
}

impl Clock {
    fn now() -> Self {
        let instant = Instant::now();
        let time = clock_gettime(ClockId::Monotonic);
        Self { instant, nanos: time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs() }
    }

    fn nanos(&self, instant: Instant) -> u64 {
        let nanos = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        match instant.checked_duration_since(self.instant) {
            Some(after) => self.nanos.saturating_add(nanos(after)),
            // 0 would mean no deadline.
            None => self.nanos.saturating_sub(nanos(self.instant - instant)).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;
    use std::time::{Duration, Instant};

    use super::{CallPhase, Mark, SlotTable};

    fn bytes(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 10 * 1024];
        file.read_exact_at(&mut bytes, 0).expect("the table has this length");
        bytes
    }

    #[test]
    fn layout_is_that_of_the_protocol_page() {
        let (table, fd) = SlotTable::create().expect("the system has memory");
        let file = File::from(fd);
        assert_eq!(file.metadata().expect("the file is open").len(), 64 + 10 * 1024);
        table.arm(3, Some(Instant::now() + Duration::from_secs(5)));
        table.mark(3, Mark::Revoke);
        table.mark(1023, Mark::Cancel);
        assert_eq!((table.is_cancelled(3), table.is_cancelled(1023)), (false, true));
        let seen = bytes(&file);
        assert_eq!(&seen[..4], b"PYP1");
        assert_eq!((seen[64 + 1024 + 3], seen[64 + 2047]), (2, 1));
        assert_eq!(seen.iter().filter(|byte| **byte != 0).count() - 4 - 2, {
            let deadline = &seen[64 + 2048 + 24..64 + 2048 + 32];
            deadline.iter().filter(|byte| **byte != 0).count()
        });
    }

    #[test]
    fn phase_that_the_worker_writes_is_read() {
        let (table, fd) = SlotTable::create().expect("the system has memory");
        let worker = File::from(fd);
        for phase in [CallPhase::Running, CallPhase::Finished] {
            worker.write_all_at(&[phase as u8], 64 + 7).expect("the table has this length");
            assert_eq!((table.phase(7), table.phase(8)), (Some(phase), Some(CallPhase::Sent)));
        }
        worker.write_all_at(&[3], 64 + 7).expect("the table has this length");
        assert_eq!(table.phase(7), None);
        table.arm(7, None);
        assert_eq!(table.phase(7), Some(CallPhase::Sent));
    }

    #[test]
    fn worker_cannot_change_the_length_of_the_table_nor_make_it_read_only() {
        let (table, fd) = SlotTable::create().expect("the system has memory");
        let worker = File::from(fd);
        for length in [0, 1, 1 << 20] {
            assert!(worker.set_len(length).is_err(), "{length}");
        }
        assert!(super::memfd::seal_size(&worker.into()).is_err());
        table.mark(0, Mark::Cancel);
        assert!(table.is_cancelled(0));
    }

    #[test]
    fn deadline_is_on_the_monotonic_clock_and_gone_when_the_index_is_used_without() {
        let (table, fd) = SlotTable::create().expect("the system has memory");
        let file = File::from(fd);
        let read = || u64::from_ne_bytes(bytes(&file)[64 + 2048..64 + 2056].try_into().expect("8 bytes"));
        let uptime = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
        };
        let before = uptime();
        table.arm(0, Some(Instant::now() + Duration::from_secs(9)));
        let left = Duration::from_nanos(read()) - before;
        assert!(left > Duration::from_millis(8_900) && left < Duration::from_millis(9_500), "{left:?}");
        table.arm(0, None);
        assert_eq!(read(), 0);
    }
}
