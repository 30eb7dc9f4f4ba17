//! Admission, the queue, late binding and deadlines of the router, without actors or clock. The
//! main structure is [`Core`].

mod held;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::estimate::Estimates;
use super::limits::{Availability, Limits, Rejection};
use super::load::{Entry, Load, Reserved};
use super::select::{Candidate, pinned};
use crate::call::Function;
use crate::id::{FunctionId, SlotId, WorkerKey};
use crate::reason::CancelReason;

/// How often the queue is swept for abandoned calls.
const TICK: Duration = Duration::from_millis(5);

/// A call to be sent to a worker now.
#[derive(Debug)]
#[must_use]
pub struct Dispatch<J> {
    /// The call.
    pub job: J,
    /// Where it goes.
    pub to: WorkerKey,
    /// Its estimated cost in nanoseconds, to be returned with [`Core::settled`].
    pub charge: u32,
}

/// The router's decisions.
#[derive(Debug)]
pub struct Core<J> {
    limits: Limits,
    availability: Availability,
    /// Calls that run one after another, and overlapping calls. When one kind has no room, the
    /// other may have.
    lanes: [VecDeque<Entry<J>>; 2],
    /// How many calls wait for the worker that they are bound to.
    bound: usize,
    /// Calls that must run alone.
    alone: VecDeque<Entry<J>>,
    /// Calls that others overtake: see [`Core::is_held`].
    held: VecDeque<Entry<J>>,
    /// Slots whose process was killed because of an abandoned call of this function, until their
    /// next process serves.
    vacated: Vec<(SlotId, FunctionId)>,
    /// Whether a worker lacks a function, or an abandoned call occupies a worker or did so until
    /// the worker was killed.
    restricted: bool,
    /// Whether held calls may go now: there is more room, or another worker.
    recheck: bool,
    queued_bytes: usize,
    loads: Vec<Load<J>>,
    candidates: Vec<Candidate>,
    estimates: Estimates,
    last: SlotId,
    next_deadline: Option<Instant>,
}

impl<J> Core<J> {
    /// An open router without workers.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            availability: Availability::Open,
            lanes: [VecDeque::new(), VecDeque::new()],
            bound: 0,
            alone: VecDeque::new(),
            held: VecDeque::new(),
            vacated: Vec::new(),
            restricted: false,
            recheck: false,
            queued_bytes: 0,
            loads: Vec::new(),
            candidates: Vec::new(),
            estimates: Estimates::default(),
            last: SlotId(u32::MAX),
            next_deadline: None,
        }
    }

    /// Puts a call into the queue. If the queue is full, call [`Core::next_dispatch`] until it
    /// returns `None`, and try again.
    ///
    /// # Errors
    /// The call that was rejected, and why.
    pub fn admit(&mut self, entry: Entry<J>, now: Instant) -> Result<(), (Entry<J>, Rejection)> {
        let rejection = self.rejection(now).or_else(|| {
            self.is_full(entry.size).then(|| Rejection::Overloaded { retry_after: self.time_for_queue() })
        });
        match rejection {
            Some(rejection) => Err((entry, rejection)),
            None => {
                self.note_deadline(&entry);
                self.queued_bytes += entry.size;
                self.lanes[lane(entry.function)].push_back(entry);
                Ok(())
            }
        }
    }

    /// Whether a call with arguments of `size` bytes exceeds the bounds of the queue.
    #[must_use]
    pub fn is_full(&self, size: usize) -> bool {
        let bytes = self.queued_bytes.saturating_add(size);
        self.queued() >= self.limits.max_queue
            || (bytes > self.limits.max_queue_bytes && self.queued_bytes > 0)
    }

    /// How many calls wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum::<usize>() + self.bound + self.alone.len() + self.held.len()
    }

    /// How many bytes of arguments wait.
    #[must_use]
    pub const fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// The calls that wait: of each queue the oldest `limit`.
    pub fn waiting(&self, limit: usize) -> impl Iterator<Item = &Entry<J>> {
        let bound = self.loads.iter().map(|load| &load.waiting);
        let queues = self.lanes.iter().chain([&self.alone, &self.held]).chain(bound);
        queues.flat_map(move |queue| queue.iter().take(limit))
    }

    /// How many calls the workers have.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.loads.iter().map(|load| load.in_flight as usize).sum()
    }

    /// How many calls one worker has.
    #[must_use]
    pub fn in_flight_of(&self, key: WorkerKey) -> u32 {
        self.loads.iter().find(|load| load.key == key).map_or(0, |load| load.in_flight)
    }

    /// Puts calls that had not started back in their places, before those that came later. The
    /// bounds of the queue do not apply to them. Returns them if no worker is expected to take
    /// them; [`Core::rejection`] says why.
    #[must_use]
    pub fn requeue(&mut self, entries: Vec<Entry<J>>) -> Vec<J> {
        match self.availability {
            Availability::Open | Availability::ShuttingDown => {
                for entry in entries {
                    self.queued_bytes += entry.size;
                    self.put_back(entry);
                }
                Vec::new()
            }
            Availability::Unavailable { .. } | Availability::Stopped => {
                entries.into_iter().map(|entry| entry.job).collect()
            }
        }
    }

    fn put_back(&mut self, entry: Entry<J>) {
        self.note_deadline(&entry);
        let queue = if entry.alone { &mut self.alone } else { &mut self.lanes[lane(entry.function)] };
        queue.insert(queue.partition_point(|other| other.order < entry.order), entry);
    }

    /// A worker serves.
    pub fn worker_up(&mut self, key: WorkerKey, capacity: u32) {
        debug_assert!(self.load_mut(key).is_none(), "{key:?} came up twice");
        self.loads.push(Load::new(key, capacity));
        self.not_replaced(key.slot);
    }

    /// A worker gets no more calls, and the calls that it has continue. Its slot has another worker
    /// already, or is removed.
    pub fn worker_draining(&mut self, key: WorkerKey) {
        self.leave_out(key);
        self.not_replaced(key.slot);
    }

    /// A worker is being killed and gets no more calls. An abandoned call that caused it counts
    /// until the slot has another worker. Otherwise one function could take one worker after
    /// another.
    pub fn worker_killed(&mut self, key: WorkerKey, abandoned: Option<FunctionId>) {
        let serves = self.loads.iter().any(|load| load.key == key && !load.draining);
        self.vacated.extend(abandoned.filter(|_| serves).map(|function| (key.slot, function)));
        self.leave_out(key);
        self.note_restrictions();
    }

    fn leave_out(&mut self, key: WorkerKey) {
        if let Some(load) = self.load_mut(key) {
            load.draining = true;
            load.reserved = Reserved::No;
            let waiting = std::mem::take(&mut load.waiting);
            self.unbind(waiting);
        }
    }

    /// A worker has ended. Its calls are no longer in flight.
    pub fn worker_down(&mut self, key: WorkerKey) {
        if let Some(index) = self.loads.iter().position(|load| load.key == key) {
            let load = self.loads.swap_remove(index);
            self.unbind(load.waiting);
            self.note_restrictions();
        }
    }

    /// A worker has finished with a call, however the call ended.
    pub fn settled(&mut self, key: WorkerKey, function: Function, charge: u32, service: Option<Duration>) {
        self.recheck = true;
        if let Some(service) = service {
            self.estimates.measured(function.id, service);
        }
        if let Some(load) = self.load_mut(key) {
            load.in_flight -= 1;
            load.overlapping -= u32::from(function.overlapping);
            load.backlog -= u64::from(charge);
            if load.reserved == Reserved::Occupied && load.in_flight == 0 {
                load.reserved = Reserved::No;
            }
        }
    }

    /// Whether a worker makes no progress. A stalled worker gets no calls.
    pub fn worker_stalled(&mut self, key: WorkerKey, stalled: bool) {
        if let Some(load) = self.load_mut(key) {
            load.stalled = stalled;
            self.recheck = true;
        }
    }

    /// The next call that can go to a worker, and where it goes.
    pub fn next_dispatch(&mut self) -> Option<Dispatch<J>> {
        if self.bound + self.alone.len() + self.held.len() > 0
            && let Some(dispatch) = self.next_special()
        {
            return Some(dispatch);
        }
        let [first, second] = self.lanes_by_age();
        self.next_of(first).or_else(|| self.next_of(second))
    }

    /// The lane whose first call has waited longer comes first.
    fn lanes_by_age(&self) -> [usize; 2] {
        match [self.lanes[0].front(), self.lanes[1].front()] {
            [Some(zero), Some(one)] if one.order < zero.order => [1, 0],
            [None, _] => [1, 0],
            _ => [0, 1],
        }
    }

    fn next_of(&mut self, lane: usize) -> Option<Dispatch<J>> {
        loop {
            let head = self.lanes[lane].front()?;
            let (function, affinity) = (head.function, head.affinity);
            let index = match affinity {
                None => self.choose(function),
                Some(key) => self.home(function, key),
            };
            if self.is_held(function) {
                let entry = self.lanes[lane].pop_front()?;
                self.hold(entry);
                continue;
            }
            let index = index?;
            let entry = self.lanes[lane].pop_front()?;
            if entry.affinity.is_some() && !self.loads[index].has_room(entry.function, &self.limits) {
                self.loads[index].waiting.push_back(entry);
                self.bound += 1;
                continue;
            }
            return Some(self.dispatch(index, entry));
        }
    }

    /// Takes out the calls whose deadline has passed or whose caller dropped the future.
    pub fn sweep(&mut self, now: Instant, is_abandoned: impl Fn(&J) -> bool) -> Vec<(J, CancelReason)> {
        let mut swept: Vec<(J, usize, CancelReason)> = Vec::new();
        let mut next_deadline = None;
        let mut sweep = |entries: &mut VecDeque<Entry<J>>| {
            let reason = |entry: &Entry<J>| match entry.deadline {
                _ if is_abandoned(&entry.job) => Some(CancelReason::Abandoned),
                Some(deadline) if deadline <= now => Some(CancelReason::DeadlinePassed),
                _ => None,
            };
            if entries.iter().any(|entry| reason(entry).is_some()) {
                for entry in std::mem::take(entries) {
                    match reason(&entry) {
                        Some(reason) => swept.push((entry.job, entry.size, reason)),
                        None => entries.push_back(entry),
                    }
                }
            }
            for deadline in entries.iter().filter_map(|entry| entry.deadline) {
                next_deadline = Some(next_deadline.map_or(deadline, |next: Instant| next.min(deadline)));
            }
        };
        self.lanes.iter_mut().chain([&mut self.alone, &mut self.held]).for_each(&mut sweep);
        for load in &mut self.loads {
            let before = load.waiting.len();
            sweep(&mut load.waiting);
            self.bound -= before - load.waiting.len();
        }
        self.next_deadline = next_deadline;
        self.queued_bytes -= swept.iter().map(|(_, size, _)| size).sum::<usize>();
        if self.alone.is_empty() {
            self.release_reserved(None);
        }
        swept.into_iter().map(|(job, _, reason)| (job, reason)).collect()
    }

    /// When [`Core::sweep`] is due.
    #[must_use]
    pub fn next_sweep(&self, now: Instant) -> Option<Instant> {
        (self.queued() > 0)
            .then(|| self.next_deadline.map_or(now + TICK, |deadline| deadline.min(now + TICK)))
    }

    /// Changes whether calls are admitted. A pool that drains or has stopped never admits calls
    /// again. Returns the calls that wait and that no worker will take.
    #[must_use]
    pub fn set_availability(&mut self, availability: Availability) -> Vec<J> {
        match (self.availability, availability) {
            (Availability::Stopped, _) | (Availability::ShuttingDown, Availability::Open) => {}
            // While the pool drains, calls that no worker will take end.
            (Availability::ShuttingDown, Availability::Unavailable { .. }) => return self.take_queue(),
            _ => self.availability = availability,
        }
        match availability {
            Availability::Unavailable { .. } | Availability::Stopped => self.take_queue(),
            Availability::Open | Availability::ShuttingDown => Vec::new(),
        }
    }

    /// Takes out all calls that wait.
    fn take_queue(&mut self) -> Vec<J> {
        let bound = self.loads.iter_mut().flat_map(|load| load.waiting.drain(..));
        let waiting = self.lanes.iter_mut().flat_map(|lane| lane.drain(..));
        let special = self.alone.drain(..).chain(self.held.drain(..));
        let jobs = bound.chain(waiting).chain(special).map(|entry| entry.job).collect();
        self.bound = 0;
        self.queued_bytes = 0;
        self.release_reserved(None);
        jobs
    }

    /// Whether calls are admitted.
    #[must_use]
    pub const fn availability(&self) -> Availability {
        self.availability
    }

    /// Why no call is admitted now, apart from the length of the queue.
    #[must_use]
    pub fn rejection(&self, now: Instant) -> Option<Rejection> {
        match self.availability {
            Availability::ShuttingDown | Availability::Stopped => Some(Rejection::ShuttingDown),
            Availability::Unavailable { retry_at } => {
                Some(Rejection::Unavailable { retry_after: retry_at.saturating_duration_since(now) })
            }
            Availability::Open => None,
        }
    }

    /// The estimated time for all calls in the queue, between 1 ms and 10 s.
    fn time_for_queue(&self) -> Duration {
        let known = |entry: &Entry<J>| self.estimates.get(entry.function.id);
        let [first, second] = self.lanes_by_age();
        let head = self.lanes[first].front().or_else(|| self.lanes[second].front());
        let each = head.and_then(known).map_or(self.limits.pipeline_budget, nanos);
        let serving = self.loads.iter().filter(|load| !load.draining).count().max(1);
        let total = each.saturating_mul(u32::try_from(self.queued() / serving).unwrap_or(u32::MAX));
        total.clamp(Duration::from_millis(1), Duration::from_secs(10))
    }

    fn serving(&self) -> impl Iterator<Item = &Load<J>> {
        self.loads.iter().filter(|load| !load.draining)
    }

    fn dispatch(&mut self, index: usize, entry: Entry<J>) -> Dispatch<J> {
        let charge = self.charge(entry.function);
        self.queued_bytes -= entry.size;
        let load = &mut self.loads[index];
        load.in_flight += 1;
        load.overlapping += u32::from(entry.function.overlapping);
        load.backlog += u64::from(charge);
        if !entry.function.overlapping {
            load.latest = Some(entry.function.id);
        }
        self.last = load.key.slot;
        Dispatch { job: entry.job, to: load.key, charge }
    }

    /// A function that was never measured costs the whole budget, so its first calls go one at a
    /// time. Overlapping calls cost nothing: they wait side by side, and their number is bounded.
    fn charge(&self, function: Function) -> u32 {
        if function.overlapping {
            return 0;
        }
        let unknown = || u32::try_from(self.limits.pipeline_budget.as_nanos()).unwrap_or(u32::MAX);
        self.estimates.get(function.id).unwrap_or_else(unknown).max(1)
    }

    fn choose(&mut self, function: Function) -> Option<usize> {
        // The common case of one worker needs no choice.
        if let [load] = self.loads.as_slice() {
            return load.has_room(function, &self.limits).then_some(0);
        }
        self.candidates.clear();
        for load in self.loads.iter().filter(|load| load.has_room(function, &self.limits)) {
            self.candidates.push(Candidate {
                slot: load.key.slot,
                backlog: load.backlog,
                in_flight: load.in_flight,
            });
        }
        let chosen = self.limits.select.choose(&self.candidates, self.last)?;
        let slot = self.candidates[chosen].slot;
        self.loads.iter().position(|load| load.key.slot == slot && load.has_room(function, &self.limits))
    }

    fn home(&self, function: Function, key: u64) -> Option<usize> {
        let serves = |load: &Load<J>| !load.draining && !load.lacks.contains(&function.id);
        let slots = self.loads.iter().filter(|load| serves(load)).map(|load| load.key.slot);
        let slot = pinned(key, slots)?;
        self.loads.iter().position(|load| load.key.slot == slot && serves(load))
    }

    fn unbind(&mut self, waiting: VecDeque<Entry<J>>) {
        self.bound -= waiting.len();
        waiting.into_iter().for_each(|entry| self.put_back(entry));
    }

    fn load_mut(&mut self, key: WorkerKey) -> Option<&mut Load<J>> {
        self.loads.iter_mut().find(|load| load.key == key)
    }

    fn note_deadline(&mut self, entry: &Entry<J>) {
        if let Some(deadline) = entry.deadline {
            self.next_deadline = Some(self.next_deadline.map_or(deadline, |next| next.min(deadline)));
        }
    }
}

fn lane(function: Function) -> usize {
    usize::from(function.overlapping)
}

fn nanos(n: u32) -> Duration {
    Duration::from_nanos(u64::from(n))
}
