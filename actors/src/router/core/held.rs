//! The calls that do not go to the first worker with room: held calls, calls that must run alone,
//! and calls that are bound to a worker. The main item is [`Core::is_held`].

use super::{Core, Dispatch};
use crate::call::Function;
use crate::id::{FunctionId, SlotId, WorkerKey};
use crate::router::load::{Entry, Load, Reserved};

impl<J> Core<J> {
    /// A vacated slot no longer counts: its next process serves, or does not start for now.
    pub fn not_replaced(&mut self, slot: SlotId) {
        self.vacated.retain(|(vacated, _)| *vacated != slot);
        self.note_restrictions();
    }

    /// A worker has returned a call of a function that its process does not have.
    pub fn worker_lacks(&mut self, key: WorkerKey, function: FunctionId) {
        if let Some(load) = self.load_mut(key).filter(|load| !load.lacks.contains(&function)) {
            load.lacks.push(function);
            // Calls of that function that are bound to this worker go to others.
            let waiting = std::mem::take(&mut load.waiting);
            self.unbind(waiting);
            self.note_restrictions();
        }
    }

    /// The function whose abandoned call occupies a worker, if there is one.
    pub fn worker_occupied(&mut self, key: WorkerKey, abandoned: Option<FunctionId>) {
        if let Some(load) = self.load_mut(key).filter(|load| load.abandoned != abandoned) {
            load.abandoned = abandoned;
            self.note_restrictions();
        }
    }

    pub(super) fn note_restrictions(&mut self) {
        let restricts = |load: &Load<J>| !load.lacks.is_empty() || load.abandoned.is_some();
        self.restricted = !self.vacated.is_empty() || self.loads.iter().any(restricts);
        self.recheck = true;
    }

    /// Takes out the calls that are held. The caller resolves their functions again and requeues
    /// them.
    #[must_use]
    pub fn take_held(&mut self) -> Vec<J> {
        let held = std::mem::take(&mut self.held);
        self.queued_bytes -= held.iter().map(|entry| entry.size).sum::<usize>();
        held.into_iter().map(|entry| entry.job).collect()
    }

    /// The next of the calls that are not in a lane.
    pub(super) fn next_special(&mut self) -> Option<Dispatch<J>> {
        if std::mem::take(&mut self.recheck) {
            self.recheck = self.release_held();
        }
        self.next_alone().or_else(|| self.next_bound())
    }

    /// Puts calls of functions that are no longer held back in their lanes. Of each function, only
    /// the first call that any worker may take leaves: there may be room for few of many, and the
    /// next call follows with the next dispatch. Returns whether there were any.
    fn release_held(&mut self) -> bool {
        let mut judged: Vec<FunctionId> = Vec::new();
        let mut released = false;
        let mut index = 0;
        while let Some(&Entry { function, affinity, .. }) = self.held.get(index) {
            let skip = judged.contains(&function.id);
            let held = skip || self.is_held(function);
            if !skip && (held || affinity.is_none()) {
                judged.push(function.id);
            }
            if held {
                index += 1;
            } else if let Some(entry) = self.held.remove(index) {
                self.put_back(entry);
                released = true;
            }
        }
        released
    }

    pub(super) fn hold(&mut self, entry: Entry<J>) {
        let place = self.held.partition_point(|other| other.order < entry.order);
        self.held.insert(place, entry);
    }

    /// Gives the next call that must run alone to an idle worker. If no worker is idle, one is
    /// reserved until it is. At most one worker is reserved or has such a call.
    fn next_alone(&mut self) -> Option<Dispatch<J>> {
        if self.alone.is_empty() || self.loads.iter().any(|load| load.reserved == Reserved::Occupied) {
            return None;
        }
        let usable =
            |load: &Load<J>, function| !load.draining && !load.stalled && !load.lacks.contains(&function);
        // A call of a function that no worker has does not block the calls behind it.
        let can_go = |entry: &Entry<J>| self.loads.iter().any(|load| usable(load, entry.function.id));
        let next = self.alone.iter().position(can_go)?;
        let function = self.alone[next].function.id;
        let loads = self.loads.iter().enumerate().filter(|(_, load)| usable(load, function));
        let (index, _) = loads.min_by_key(|(_, load)| {
            (load.in_flight > 0, load.reserved == Reserved::No, load.backlog, load.in_flight)
        })?;
        self.release_reserved(Some(index));
        if self.loads[index].in_flight > 0 {
            self.loads[index].reserved = Reserved::Clearing;
            return None;
        }
        self.loads[index].reserved = Reserved::Occupied;
        let entry = self.alone.remove(next)?;
        Some(self.dispatch(index, entry))
    }

    /// Reserved workers get other calls again, except this one.
    pub(super) fn release_reserved(&mut self, but: Option<usize>) {
        for (index, load) in self.loads.iter_mut().enumerate() {
            if load.reserved == Reserved::Clearing && but != Some(index) {
                load.reserved = Reserved::No;
                self.recheck = true;
            }
        }
    }

    /// The next call that is bound to a worker by affinity and for which the worker has room.
    fn next_bound(&mut self) -> Option<Dispatch<J>> {
        loop {
            let index = self.loads.iter().position(|load| {
                load.waiting.front().is_some_and(|entry| load.has_room(entry.function, &self.limits))
            })?;
            let entry = self.loads[index].waiting.pop_front()?;
            self.bound -= 1;
            if !self.is_held(entry.function) {
                return Some(self.dispatch(index, entry));
            }
            self.hold(entry);
        }
    }

    /// Whether calls of a function have to wait although a worker has room, so that the calls
    /// behind them go first. Either the workers with room lack the function, or its abandoned calls
    /// occupy as many workers as they may.
    pub(super) fn is_held(&self, function: Function) -> bool {
        if !self.restricted {
            return false;
        }
        let lacking = self.serving().any(|load| load.lacks.contains(&function.id));
        let unable = lacking && !self.serving().any(|load| load.has_room(function, &self.limits));
        unable || self.is_limited(function.id)
    }

    /// Whether a function whose abandoned calls occupy workers has as many workers as it may.
    /// Workers that run other calls of it count too, because those may be abandoned next.
    fn is_limited(&self, function: FunctionId) -> bool {
        let slots = self.serving().count() + self.vacated.len();
        // With two workers, counting one that is being replaced would leave the function no worker.
        let vacated =
            if slots > 2 { self.vacated.iter().filter(|(_, by)| *by == function).count() } else { 0 };
        let abandoned = vacated > 0 || self.serving().any(|load| load.abandoned == Some(function));
        let most = self.limits.max_abandoned.unwrap_or(slots.saturating_sub(1)).max(1);
        abandoned && vacated + self.serving().filter(|load| load.has_call_of(function)).count() >= most
    }
}
