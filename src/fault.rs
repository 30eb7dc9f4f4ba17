//! Injected faults, so that users can test how their application handles the outcomes of the
//! contract. The main structure is [`Fault`].
//!
//! `docs/fault-injection.md` shows how to use them. A fault that concerns a call affects the next
//! call of its worker.

mod injector;
mod kind;

use actix::Message;
use actix_pyproc_actors::id::SlotId;

use crate::backend::fault_port::FaultTargets;

pub use injector::{FaultInjector, StopFaults};
use kind::Delivery;
pub use kind::{FaultKind, UnknownFault};

/// A fault for one worker of a pool: an actor message to the pool's address.
///
/// ```no_run
/// # async fn example(pool: actix_pyproc::Pool) -> Result<(), Box<dyn std::error::Error>> {
/// use actix_pyproc::fault::{Fault, FaultKind};
///
/// let hit = pool.inject(Fault::new(FaultKind::Kill).on(0)).await?;
/// println!("killing process {:?} of slot {:?}", hit.pid, hit.slot);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The slot whose worker is hit; `None` for a random worker that serves.
    pub slot: Option<SlotId>,
}

/// The worker that a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hit {
    /// Its slot; `None` if the fault waits for the next start in any slot.
    pub slot: Option<SlotId>,
    /// Its process id; `None` if the fault waits for the next start.
    pub pid: Option<u32>,
}

/// Why a fault was not injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotInjected {
    /// The worker does not serve, or none does.
    #[error("no such worker serves")]
    NoWorker,
    /// The pool's arbiter has stopped.
    #[error("the pool has stopped")]
    NoPool,
}

impl Fault {
    /// A fault for a random worker that serves.
    #[must_use]
    pub const fn new(kind: FaultKind) -> Self {
        Self { kind, slot: None }
    }

    /// The same fault for the worker of this slot.
    #[must_use]
    pub fn on(mut self, slot: impl Into<SlotId>) -> Self {
        self.slot = Some(slot.into());
        self
    }

    /// Sends the fault to its worker; `draw` chooses among the workers that it may hit.
    pub(crate) fn inject(self, targets: &FaultTargets, draw: u32) -> Result<Hit, NotInjected> {
        match self.kind.delivery() {
            Delivery::AtStart(order) => {
                targets.add_start(self.slot, order);
                Ok(Hit { slot: self.slot, pid: None })
            }
            Delivery::Serving(injection) => {
                let (slot, pid) = targets.send(self.slot, injection, draw).ok_or(NotInjected::NoWorker)?;
                tracing::info!(target: "pyproc::fault", slot = slot.0, pid, fault = %self.kind, "fault injected");
                Ok(Hit { slot: Some(slot), pid: Some(pid) })
            }
        }
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self::new(kind)
    }
}

impl Message for Fault {
    type Result = Result<Hit, NotInjected>;
}

/// A fault whose sender has drawn the number that chooses the worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrawnFault {
    pub(crate) fault: Fault,
    pub(crate) draw: u32,
}

impl Message for DrawnFault {
    type Result = Result<Hit, NotInjected>;
}

#[cfg(test)]
mod tests {
    use actix_pyproc_actors::id::SlotId;

    use super::{Fault, FaultKind, Hit, NotInjected};
    use crate::backend::fault_port::FaultTargets;

    #[test]
    fn a_fault_hits_a_worker_that_serves_and_no_other() {
        let targets = FaultTargets::default();
        let kill = Fault::new(FaultKind::Kill);
        assert_eq!(kill.inject(&targets, 7), Err(NotInjected::NoWorker));
        let second = targets.add(SlotId(1), 101);
        let _first = targets.add(SlotId(0), 100);
        let hit = |slot, pid| Ok(Hit { slot: Some(SlotId(slot)), pid: Some(pid) });
        assert_eq!(kill.inject(&targets, 0), hit(0, 100));
        assert_eq!(kill.inject(&targets, 3), hit(1, 101));
        assert_eq!(kill.on(1).inject(&targets, 0), hit(1, 101));
        drop(second);
        assert_eq!(kill.on(1).inject(&targets, 0), Err(NotInjected::NoWorker));
        assert_eq!(kill.inject(&targets, 3), hit(0, 100));
    }

    #[test]
    fn a_fault_of_a_start_waits_for_its_slot() {
        let targets = FaultTargets::default();
        let fault = Fault::new(FaultKind::StartFailure);
        assert_eq!(fault.on(2).inject(&targets, 0), Ok(Hit { slot: Some(SlotId(2)), pid: None }));
        assert_eq!(targets.take_start(SlotId(1)), None);
        assert_eq!(targets.take_start(SlotId(2)).expect("the fault waits for slot 2").kind, "start_failure");
        assert_eq!(targets.take_start(SlotId(2)), None);
        assert!(fault.inject(&targets, 0).is_ok());
        assert!(targets.take_start(SlotId(1)).is_some());
    }
}
