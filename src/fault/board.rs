//! Which workers can be hit, and what is in store for those to come. The main structure is
//! [`Board`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use super::kind::{FaultKind, Means};
use super::{Fault, Hit, NotInjected};
use crate::wire::message::FaultOrder;

/// The workers of one pool that serve, each with a way to it; shared by its backend and its links.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    seats: Vec<Place>,
    starts: VecDeque<(Option<u32>, FaultOrder)>,
    next: u64,
}

#[derive(Debug)]
struct Place {
    number: u64,
    slot: u32,
    pid: u32,
    orders: mpsc::UnboundedSender<FaultKind>,
}

/// The place of a link on the board. Without it the link's worker cannot be hit.
#[derive(Debug)]
pub(crate) struct Seat {
    number: u64,
    board: Board,
    orders: mpsc::UnboundedReceiver<FaultKind>,
}

impl Board {
    /// A worker serves.
    pub(crate) fn sit(&self, slot: u32, pid: u32) -> Seat {
        let (sender, orders) = mpsc::unbounded_channel();
        let mut places = self.places();
        let number = places.next;
        places.next += 1;
        places.seats.push(Place { number, slot, pid, orders: sender });
        Seat { number, board: self.clone(), orders }
    }

    /// Passes a fault on to a worker; `lot` chooses among those that it may hit.
    pub(super) fn inject(&self, fault: Fault, lot: u32) -> Result<Hit, NotInjected> {
        let mut places = self.places();
        if let Means::Start(order) = fault.kind.means() {
            places.starts.push_back((fault.slot, order));
            return Ok(Hit { slot: fault.slot, pid: None });
        }
        let mut victims: Vec<&Place> = (places.seats.iter())
            .filter(|place| fault.slot.is_none_or(|slot| slot == place.slot))
            .filter(|place| !place.orders.is_closed())
            .collect();
        victims.sort_unstable_by_key(|place| place.slot);
        let index = (lot as usize).checked_rem(victims.len()).ok_or(NotInjected::NoWorker)?;
        let Place { slot, pid, orders, .. } = victims[index];
        orders.send(fault.kind).map_err(|_| NotInjected::NoWorker)?;
        Ok(Hit { slot: Some(*slot), pid: Some(*pid) })
    }

    /// What is in store for the next process of a slot.
    pub(crate) fn take_start(&self, slot: u32) -> Option<FaultOrder> {
        let starts = &mut self.places().starts;
        let index = starts.iter().position(|(wanted, _)| wanted.is_none_or(|wanted| wanted == slot))?;
        starts.remove(index).map(|(_, order)| order)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// What the worker is to suffer next.
    pub(crate) fn poll_order(&mut self, cx: &mut Context<'_>) -> Poll<Option<FaultKind>> {
        self.orders.poll_recv(cx)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.board.places().seats.retain(|place| place.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::{Board, Fault, FaultKind, Hit, NotInjected};

    #[test]
    fn a_fault_hits_a_worker_that_sits_and_no_other() {
        let board = Board::default();
        let kill = Fault::new(FaultKind::Kill);
        assert_eq!(board.inject(kill, 7), Err(NotInjected::NoWorker));
        let second = board.sit(1, 101);
        let _first = board.sit(0, 100);
        let hit = |slot, pid| Ok(Hit { slot: Some(slot), pid: Some(pid) });
        assert_eq!(board.inject(kill, 0), hit(0, 100));
        assert_eq!(board.inject(kill, 3), hit(1, 101));
        assert_eq!(board.inject(kill.on(1), 0), hit(1, 101));
        drop(second);
        assert_eq!(board.inject(kill.on(1), 0), Err(NotInjected::NoWorker));
        assert_eq!(board.inject(kill, 3), hit(0, 100));
    }

    #[test]
    fn a_fault_of_a_start_waits_for_the_slot_that_it_is_for() {
        let board = Board::default();
        let fault = Fault::new(FaultKind::StartFailure);
        assert_eq!(board.inject(fault.on(2), 0), Ok(Hit { slot: Some(2), pid: None }));
        assert_eq!(board.take_start(1), None);
        assert_eq!(board.take_start(2).expect("it is in store").kind, "start_failure");
        assert_eq!(board.take_start(2), None);
        assert!(board.inject(fault, 0).is_ok());
        assert!(board.take_start(1).is_some());
    }
}
