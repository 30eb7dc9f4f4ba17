//! Counts allocations. The main structure is [`Counting`].
#![expect(unsafe_code, reason = "an allocator is unsafe by its trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

static ON: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// The system's allocator. It counts while [`counted`] runs; otherwise it costs one load of a flag.
pub(crate) struct Counting;

/// The number and size of allocations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allocated {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// Runs `body`, and counts what all threads of this process allocate meanwhile.
pub(crate) fn counted<T>(body: impl FnOnce() -> T) -> (T, Allocated) {
    let before = read();
    ON.store(true, Relaxed);
    let result = body();
    ON.store(false, Relaxed);
    let after = read();
    (result, Allocated { count: after.count - before.count, bytes: after.bytes - before.bytes })
}

fn read() -> Allocated {
    Allocated { count: COUNT.load(Relaxed), bytes: BYTES.load(Relaxed) }
}

fn count(size: usize) {
    if ON.load(Relaxed) {
        COUNT.fetch_add(1, Relaxed);
        BYTES.fetch_add(size as u64, Relaxed);
    }
}

// SAFETY: every call is forwarded to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Counts as a new allocation, because the memory may have moved.
        count(size);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}
