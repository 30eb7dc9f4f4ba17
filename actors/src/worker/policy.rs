//! How a worker is run. The main structure in this module is [`Policy`].

use std::time::{Duration, Instant};

/// How long the pool waits for calls.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the cancellation of a running call to the kill of its process.
    pub kill_grace: Duration,
    /// A call that takes longer stalls its worker: the calls behind it go to other workers.
    pub stall_after: Duration,
}

/// When a process is replaced although it is healthy. The jitter is already applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct RetireLimits {
    /// After this many answers.
    pub max_calls: Option<u64>,
    /// At this time.
    pub at: Option<Instant>,
    /// Above this much memory, in bytes.
    pub max_rss: Option<u64>,
}

/// How one worker is run.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How long the pool waits for calls.
    pub patience: Patience,
    /// How many workers an idempotent call may be tried on.
    pub max_attempts: u32,
    /// When the process is replaced.
    pub retire: RetireLimits,
}
