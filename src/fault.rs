//! Faults on demand, so that users see in their own tests what the contract promises. The main
//! structure is [`Fault`].
//!
//! `docs/fault-injection.md` shows how they are used. A fault that concerns a call acts on the next
//! call of its worker.

mod board;
mod injector;
mod kind;

use actix::{Context, Handler, MailboxError, Message};
use actix_pyproc_actors::Router;

use crate::Pool;
use crate::backend::PythonBackend;

pub(crate) use board::{Board, Seat};
pub use injector::{FaultInjector, StopFaults};
pub use kind::{FaultKind, UnknownFault};
pub(crate) use kind::{Means, Signal};

/// A fault for one worker of a pool, as an actor message to the pool's address.
///
/// ```no_run
/// # async fn example(pool: actix_pyproc::Pool) -> Result<(), Box<dyn std::error::Error>> {
/// use actix_pyproc::{Fault, FaultKind};
///
/// let hit = pool.inject(Fault::new(FaultKind::Kill).on(0)).await?;
/// println!("process {:?} of slot {:?} is being killed", hit.pid, hit.slot);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Whose worker is hit; `None` for one of those that serve, by chance.
    pub slot: Option<u32>,
}

/// Which worker a fault was passed on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hit {
    /// Its slot; `None` if the fault waits for the next launch in any.
    pub slot: Option<u32>,
    /// Its process; `None` if the fault waits for the next launch.
    pub pid: Option<u32>,
}

/// Why a fault has hit nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotInjected {
    /// No worker serves, or not the one that was to be hit.
    #[error("no such worker serves")]
    NoWorker,
    /// The pool's arbiter is gone.
    #[error("the pool is gone")]
    NoPool,
}

impl Fault {
    /// A fault for any worker that serves.
    #[must_use]
    pub const fn new(kind: FaultKind) -> Self {
        Self { kind, slot: None }
    }

    /// The same for the worker of this slot.
    #[must_use]
    pub const fn on(mut self, slot: u32) -> Self {
        self.slot = Some(slot);
        self
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self::new(kind)
    }
}

impl Pool {
    /// Lets something go wrong in one worker; see [`Fault`]. It does not wait for the fault to
    /// show.
    ///
    /// # Errors
    /// [`NotInjected`] if no worker could be hit.
    pub async fn inject(&self, fault: impl Into<Fault>) -> Result<Hit, NotInjected> {
        match self.addr().send(fault.into()).await {
            Ok(result) => result,
            Err(MailboxError::Closed | MailboxError::Timeout) => Err(NotInjected::NoPool),
        }
    }
}

impl Message for Fault {
    type Result = Result<Hit, NotInjected>;
}

impl Handler<Fault> for Router<PythonBackend> {
    type Result = Result<Hit, NotInjected>;

    fn handle(&mut self, fault: Fault, _: &mut Context<Self>) -> Self::Result {
        self.backend().board().inject(fault, fastrand::u32(..))
    }
}

/// A fault whose victim was drawn by the sender.
#[derive(Clone, Copy, Debug)]
struct Toss {
    fault: Fault,
    lot: u32,
}

impl Message for Toss {
    type Result = Result<Hit, NotInjected>;
}

impl Handler<Toss> for Router<PythonBackend> {
    type Result = Result<Hit, NotInjected>;

    fn handle(&mut self, toss: Toss, _: &mut Context<Self>) -> Self::Result {
        self.backend().board().inject(toss.fault, toss.lot)
    }
}
