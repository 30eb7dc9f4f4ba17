//! How injected faults reach the workers of a pool. The main structure is [`FaultTargets`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_pyproc_actors::id::SlotId;
use tokio::sync::mpsc;

use crate::wire::message::FaultOrder;

/// A fault that hits a serving worker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Injection {
    /// The host sends SIGKILL.
    Kill,
    /// The host sends SIGSTOP, and SIGCONT after this time, if any.
    Stop { resume_after: Option<Duration> },
    /// The host sends a Fault frame.
    Order(FaultOrder),
}

/// The workers of a pool that faults can hit, and the faults of future starts. The backend and its
/// links share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultTargets(Arc<Mutex<Targets>>);

#[derive(Debug, Default)]
struct Targets {
    serving: Vec<Target>,
    starts: VecDeque<(Option<SlotId>, FaultOrder)>,
    next: u64,
}

#[derive(Debug)]
struct Target {
    number: u64,
    slot: SlotId,
    pid: u32,
    port: mpsc::UnboundedSender<Injection>,
}

/// The receiving end of a link. Faults hit the worker only while the link has it.
#[derive(Debug)]
pub(crate) struct FaultPort {
    number: u64,
    targets: FaultTargets,
    injections: mpsc::UnboundedReceiver<Injection>,
}

impl FaultTargets {
    /// Adds a worker that serves.
    pub(crate) fn add(&self, slot: SlotId, pid: u32) -> FaultPort {
        let (port, injections) = mpsc::unbounded_channel();
        let mut targets = self.targets();
        let number = targets.next;
        targets.next += 1;
        targets.serving.push(Target { number, slot, pid, port });
        FaultPort { number, targets: self.clone(), injections }
    }

    /// Sends a fault to the worker of this slot, or to any; `draw` chooses among those that serve.
    /// It returns the slot and the process id, or `None` if no such worker serves.
    pub(crate) fn send(
        &self,
        slot: Option<SlotId>,
        injection: Injection,
        draw: u32,
    ) -> Option<(SlotId, u32)> {
        let targets = self.targets();
        let mut candidates: Vec<&Target> = (targets.serving.iter())
            .filter(|target| slot.is_none_or(|slot| slot == target.slot))
            .filter(|target| !target.port.is_closed())
            .collect();
        candidates.sort_unstable_by_key(|target| target.slot);
        let index = (draw as usize).checked_rem(candidates.len())?;
        let Target { slot, pid, port, .. } = candidates[index];
        port.send(injection).ok().map(|()| (*slot, *pid))
    }

    /// Keeps a fault for the next start of this slot, or of any.
    pub(crate) fn add_start(&self, slot: Option<SlotId>, order: FaultOrder) {
        self.targets().starts.push_back((slot, order));
    }

    /// Takes the fault of the next start of a slot.
    pub(crate) fn take_start(&self, slot: SlotId) -> Option<FaultOrder> {
        let starts = &mut self.targets().starts;
        let index = starts.iter().position(|(wanted, _)| wanted.is_none_or(|wanted| wanted == slot))?;
        starts.remove(index).map(|(_, order)| order)
    }

    fn targets(&self) -> MutexGuard<'_, Targets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FaultPort {
    /// The next fault.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Injection>> {
        self.injections.poll_recv(cx)
    }
}

impl Drop for FaultPort {
    fn drop(&mut self) {
        self.targets.targets().serving.retain(|target| target.number != self.number);
    }
}
