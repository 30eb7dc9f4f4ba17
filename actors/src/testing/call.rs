//! Simulated calls, which say how long they run and how they end. The main structure is
//! [`ScriptedCall`].

use std::time::{Duration, Instant};

use actix::Message;

use crate::backend::Routable;
use crate::call::Function;
use crate::id::{CallId, FunctionId, Generation, SlotId};
use crate::reason::KillReason;

/// What a simulated call does at the end of its service time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// It returns.
    #[default]
    Reply,
    /// It raises: [`ScriptedError::Raised`].
    Raise,
    /// Its process dies.
    Crash,
    /// Its process dies as the call starts.
    CrashAtStart,
    /// It ends only when it is interrupted.
    Hang,
    /// It never ends, and ignores interrupts.
    Deaf,
    /// The backend rejects it at admission: [`ScriptedError::Rejected`].
    Unknown,
    /// The process cannot take it: [`ScriptedError::Rejected`].
    Unsendable,
    /// The backend panics at its admission.
    PanicAtAdmission,
    /// The link panics when it is sent.
    PanicAtSend,
    /// The link panics when it ends.
    PanicAtEnd,
}

/// A call that says how long it runs and how it ends.
#[derive(Clone, Debug)]
pub struct ScriptedCall {
    pub(super) seq: u64,
    pub(super) function: Function,
    pub(super) service: Duration,
    pub(super) then: Then,
    timeout: Option<Duration>,
    idempotent: bool,
    affinity: Option<u64>,
    size: usize,
}

impl ScriptedCall {
    /// A call of function 0 that returns at once. `seq` names it in the log of executions.
    #[must_use]
    pub const fn new(seq: u64) -> Self {
        Self {
            seq,
            function: Function { id: FunctionId(0), overlapping: false },
            service: Duration::ZERO,
            then: Then::Reply,
            timeout: None,
            idempotent: false,
            affinity: None,
            size: 0,
        }
    }

    /// The number of its function.
    #[must_use]
    pub const fn function(mut self, function: u32) -> Self {
        self.function.id = FunctionId(function);
        self
    }

    /// It runs beside other calls of its process.
    #[must_use]
    pub const fn overlapping(mut self) -> Self {
        self.function.overlapping = true;
        self
    }

    /// Its service time.
    #[must_use]
    pub const fn takes(mut self, service: Duration) -> Self {
        self.service = service;
        self
    }

    /// How it ends.
    #[must_use]
    pub const fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }

    /// How long the caller waits.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// It may run again.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The length of its arguments.
    #[must_use]
    pub const fn size(mut self, bytes: usize) -> Self {
        self.size = bytes;
        self
    }

    /// Calls with the same key go to the same worker.
    #[must_use]
    pub const fn affinity(mut self, key: u64) -> Self {
        self.affinity = Some(key);
        self
    }
}

impl Routable for ScriptedCall {
    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn size(&self) -> usize {
        self.size
    }

    fn idempotent(&self) -> bool {
        self.idempotent
    }

    fn affinity(&self) -> Option<u64> {
        self.affinity
    }
}

impl Message for ScriptedCall {
    type Result = Result<ScriptedReply, ScriptedError>;
}

/// The answer of a call that returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptedReply {
    /// Which call.
    pub seq: u64,
    /// Where it ran.
    pub slot: SlotId,
    /// In which process of the slot.
    pub generation: Generation,
    /// Under which id.
    pub call: CallId,
    /// When it ended in the process. The answer arrives up to a millisecond later.
    pub ended: Instant,
}

/// The answer of a call that did not return: as `Outcome`, and two errors of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in Outcome")]
pub enum ScriptedError {
    /// By [`Then::Raise`].
    Raised,
    /// By [`Then::Unknown`] or [`Then::Unsendable`].
    Rejected,
    Overloaded {
        retry_after: Duration,
    },
    DeadlineExceeded {
        started: bool,
    },
    WorkerLost {
        exit: ScriptedExit,
    },
    Quarantined {
        attempts: u32,
        exit: ScriptedExit,
    },
    Unavailable {
        cause: Option<&'static str>,
        retry_after: Duration,
    },
    ShuttingDown,
}

/// How a simulated process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptedExit {
    /// It was asked to drain and had no calls left.
    Drained,
    /// A call crashed it.
    Crashed,
    /// The test killed it.
    Signalled,
    /// The actors killed it.
    Killed(KillReason),
    /// Its actor panicked.
    Unobserved,
}
