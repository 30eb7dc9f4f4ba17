//! Admission, the queue, late binding and deadlines of the router, without actors or clock. The main structure is [`Core`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::estimate::Estimates;
use super::select::{pinned, Candidate, Select};
use crate::backend::Class;
use crate::id::{ClassId, Generation, SlotId};

/// How often what waits is looked over for callers that are gone.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// What the router is allowed to do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many calls may wait.
    pub max_queue: usize,
    /// A worker with this much estimated work on its socket gets no more.
    pub pipeline_budget: Duration,
    /// How many overlapping calls one worker may have.
    pub max_concurrent: u32,
    /// How a worker is chosen among those with room.
    pub select: Select,
}

/// One process, while the router knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerKey {
    /// Its slot.
    pub slot: SlotId,
    /// Which process of that slot.
    pub generation: Generation,
}

/// Whether calls are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Yes.
    Open,
    /// No worker serves; the next start is tried then.
    Unavailable {
        /// When the next start is tried.
        retry_at: Instant,
    },
    /// The pool drains: what is in goes on.
    ShuttingDown,
    /// The pool stops: nothing goes to a worker any more.
    Over,
}

/// Why a call was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The queue is full.
    Overloaded {
        /// When there may be room again.
        retry_after: Duration,
    },
    /// No worker serves.
    Unavailable {
        /// When the next start is tried.
        retry_after: Duration,
    },
    /// The pool drains.
    ShuttingDown,
}

/// What the core must know of a call that waits.
#[derive(Debug)]
pub struct Entry<J> {
    /// The call.
    pub job: J,
    /// Its class.
    pub class: Class,
    /// Its affinity key.
    pub affinity: Option<u64>,
    /// When its caller must have an answer.
    pub deadline: Option<Instant>,
    /// Its place among all calls: those with lower numbers go first.
    pub order: u64,
}

/// A call that goes to a worker now.
#[derive(Debug)]
#[must_use]
pub struct Dispatch<J> {
    /// The call.
    pub job: J,
    /// Where it goes.
    pub to: WorkerKey,
    /// What it is expected to cost, in nanoseconds; comes back with [`Core::settled`].
    pub charge: u32,
}

/// Why a call leaves the queue without having gone to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// Its deadline passed.
    Expired,
    /// Its caller is gone.
    Abandoned,
}

#[derive(Debug)]
struct Load<J> {
    key: WorkerKey,
    capacity: u32,
    in_flight: u32,
    overlapping: u32,
    backlog: u64,
    stalled: bool,
    draining: bool,
    /// Calls bound to this worker by affinity that wait for room.
    waiting: VecDeque<Entry<J>>,
}

/// The router's decisions.
#[derive(Debug)]
pub struct Core<J> {
    limits: Limits,
    availability: Availability,
    /// Calls that go one after another and overlapping calls: where one kind has no room, the other may have.
    lanes: [VecDeque<Entry<J>>; 2],
    bound: usize,
    loads: Vec<Load<J>>,
    candidates: Vec<Candidate>,
    estimates: Estimates,
    last: SlotId,
    next_deadline: Option<Instant>,
}

impl<J> Core<J> {
    /// A router without workers, open.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            availability: Availability::Open,
            lanes: [VecDeque::new(), VecDeque::new()],
            bound: 0,
            loads: Vec::new(),
            candidates: Vec::new(),
            estimates: Estimates::default(),
            last: SlotId(u32::MAX),
            next_deadline: None,
        }
    }

    /// Lets a call into the queue, or says why not. At a full queue call [`Core::next_dispatch`] until it is `None`, then try again.
    ///
    /// # Errors
    /// The entry that was not taken, with the reason.
    pub fn admit(&mut self, entry: Entry<J>, now: Instant) -> Result<(), (Entry<J>, Refusal)> {
        match self.refusal(now) {
            Some(refusal) => Err((entry, refusal)),
            None => {
                self.note_deadline(&entry);
                self.lanes[lane(entry.class)].push_back(entry);
                Ok(())
            }
        }
    }

    /// Whether the queue has reached its bound.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queued() >= self.limits.max_queue
    }

    /// How many calls wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum::<usize>() + self.bound
    }

    /// How many calls are with workers.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.loads.iter().map(|load| load.in_flight as usize).sum()
    }

    /// How many calls one worker has.
    #[must_use]
    pub fn in_flight_of(&self, key: WorkerKey) -> u32 {
        self.loads.iter().find(|load| load.key == key).map_or(0, |load| load.in_flight)
    }

    /// Puts calls that had not started back in their places, before those that came later. The queue's bound does not apply to
    /// them. Gives them back where no worker can be expected to take them; [`Core::refusal`] says why.
    #[must_use]
    pub fn requeue(&mut self, entries: Vec<Entry<J>>) -> Vec<J> {
        match self.availability {
            Availability::Open | Availability::ShuttingDown => {
                entries.into_iter().for_each(|entry| self.put_back(entry));
                Vec::new()
            }
            Availability::Unavailable { .. } | Availability::Over => {
                entries.into_iter().map(|entry| entry.job).collect()
            }
        }
    }

    fn put_back(&mut self, entry: Entry<J>) {
        self.note_deadline(&entry);
        let lane = &mut self.lanes[lane(entry.class)];
        lane.insert(lane.partition_point(|other| other.order < entry.order), entry);
    }

    /// A worker serves.
    pub fn worker_up(&mut self, key: WorkerKey, capacity: u32) {
        debug_assert!(self.load_mut(key).is_none(), "{key:?} came up twice");
        self.loads.push(Load {
            key,
            capacity,
            in_flight: 0,
            overlapping: 0,
            backlog: 0,
            stalled: false,
            draining: false,
            waiting: VecDeque::new(),
        });
    }

    /// A worker gets no more calls; those it has go on.
    pub fn worker_draining(&mut self, key: WorkerKey) {
        if let Some(load) = self.load_mut(key) {
            load.draining = true;
            let waiting = std::mem::take(&mut load.waiting);
            self.unbind(waiting);
        }
    }

    /// A worker is gone, with all that was still counted on it.
    pub fn worker_down(&mut self, key: WorkerKey) {
        if let Some(index) = self.loads.iter().position(|load| load.key == key) {
            let load = self.loads.swap_remove(index);
            self.unbind(load.waiting);
        }
    }

    /// A worker is done with a call, however it ended.
    pub fn settled(&mut self, key: WorkerKey, class: Class, charge: u32, service: Option<Duration>) {
        if let Some(service) = service {
            self.estimates.measured(class.id, service);
        }
        if let Some(load) = self.load_mut(key) {
            load.in_flight -= 1;
            load.overlapping -= u32::from(class.overlapping);
            load.backlog -= u64::from(charge);
        }
    }

    /// Whether a worker makes no progress; one that stalls gets nothing until it goes on.
    pub fn worker_stalled(&mut self, key: WorkerKey, stalled: bool) {
        if let Some(load) = self.load_mut(key) {
            load.stalled = stalled;
        }
    }

    /// The next call that can go to a worker, and where it goes.
    pub fn next_dispatch(&mut self) -> Option<Dispatch<J>> {
        if self.bound > 0 {
            if let Some(dispatch) = self.next_bound() {
                return Some(dispatch);
            }
        }
        let [first, second] = self.lanes_by_age();
        self.next_of(first).or_else(|| self.next_of(second))
    }

    /// The lane whose head has waited longer comes first.
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
            let index = match head.affinity {
                None => self.choose(head.class)?,
                Some(key) => self.home(key)?,
            };
            let entry = self.lanes[lane].pop_front()?;
            if entry.affinity.is_some() && !self.loads[index].has_room(entry.class, &self.limits) {
                self.loads[index].waiting.push_back(entry);
                self.bound += 1;
                continue;
            }
            return Some(self.dispatch(index, entry));
        }
    }

    /// Takes out the calls whose deadline has passed or whose caller is gone.
    pub fn sweep(&mut self, now: Instant, gone: impl Fn(&J) -> bool) -> Vec<(J, Swept)> {
        let mut swept = Vec::new();
        let mut next_deadline = None;
        let mut judge = |entries: &mut VecDeque<Entry<J>>| {
            let verdict = |entry: &Entry<J>| match entry.deadline {
                _ if gone(&entry.job) => Some(Swept::Abandoned),
                Some(deadline) if deadline <= now => Some(Swept::Expired),
                _ => None,
            };
            if entries.iter().any(|entry| verdict(entry).is_some()) {
                for entry in std::mem::take(entries) {
                    match verdict(&entry) {
                        Some(why) => swept.push((entry.job, why)),
                        None => entries.push_back(entry),
                    }
                }
            }
            for deadline in entries.iter().filter_map(|entry| entry.deadline) {
                next_deadline = Some(next_deadline.map_or(deadline, |next: Instant| next.min(deadline)));
            }
        };
        self.lanes.iter_mut().for_each(&mut judge);
        for load in &mut self.loads {
            let before = load.waiting.len();
            judge(&mut load.waiting);
            self.bound -= before - load.waiting.len();
        }
        self.next_deadline = next_deadline;
        swept
    }

    /// When [`Core::sweep`] is due.
    #[must_use]
    pub fn next_sweep(&self, now: Instant) -> Option<Instant> {
        (self.queued() > 0)
            .then(|| self.next_deadline.map_or(now + TICK, |deadline| deadline.min(now + TICK)))
    }

    /// Opens or closes the door; a pool that drains or stops never opens it again. Gives back what waits where it can no longer be
    /// served.
    #[must_use]
    pub fn set_availability(&mut self, availability: Availability) -> Vec<J> {
        match (self.availability, availability) {
            (Availability::Over, _) | (Availability::ShuttingDown, Availability::Open) => {}
            // Those that drain are told that no worker comes, and the door stays closed.
            (Availability::ShuttingDown, Availability::Unavailable { .. }) => return self.take_queue(),
            _ => self.availability = availability,
        }
        match availability {
            Availability::Unavailable { .. } | Availability::Over => self.take_queue(),
            Availability::Open | Availability::ShuttingDown => Vec::new(),
        }
    }

    /// Takes out all that waits.
    fn take_queue(&mut self) -> Vec<J> {
        let bound = self.loads.iter_mut().flat_map(|load| load.waiting.drain(..));
        let waiting = self.lanes.iter_mut().flat_map(|lane| lane.drain(..));
        let jobs = bound.chain(waiting).map(|entry| entry.job).collect();
        self.bound = 0;
        jobs
    }

    /// Whether calls are let in.
    #[must_use]
    pub const fn availability(&self) -> Availability {
        self.availability
    }

    /// Why a call would not be let in now.
    #[must_use]
    pub fn refusal(&self, now: Instant) -> Option<Refusal> {
        match self.availability {
            Availability::ShuttingDown | Availability::Over => Some(Refusal::ShuttingDown),
            Availability::Unavailable { retry_at } => {
                Some(Refusal::Unavailable { retry_after: retry_at.saturating_duration_since(now) })
            }
            Availability::Open if self.is_full() => {
                Some(Refusal::Overloaded { retry_after: self.time_for_queue() })
            }
            Availability::Open => None,
        }
    }

    /// How long the queue takes to be worked off, by the estimates; between 1 ms and 10 s.
    fn time_for_queue(&self) -> Duration {
        let known = |entry: &Entry<J>| self.estimates.get(entry.class.id);
        let [first, second] = self.lanes_by_age();
        let head = self.lanes[first].front().or_else(|| self.lanes[second].front());
        let each = head.and_then(known).map_or(self.limits.pipeline_budget, nanos);
        let serving = self.loads.iter().filter(|load| !load.draining).count().max(1);
        let total = each.saturating_mul(u32::try_from(self.queued() / serving).unwrap_or(u32::MAX));
        total.clamp(Duration::from_millis(1), Duration::from_secs(10))
    }

    fn next_bound(&mut self) -> Option<Dispatch<J>> {
        let index = self.loads.iter().position(|load| {
            load.waiting.front().is_some_and(|entry| load.has_room(entry.class, &self.limits))
        })?;
        let entry = self.loads[index].waiting.pop_front()?;
        self.bound -= 1;
        Some(self.dispatch(index, entry))
    }

    fn dispatch(&mut self, index: usize, entry: Entry<J>) -> Dispatch<J> {
        let charge = self.charge(entry.class);
        let load = &mut self.loads[index];
        load.in_flight += 1;
        load.overlapping += u32::from(entry.class.overlapping);
        load.backlog += u64::from(charge);
        self.last = load.key.slot;
        Dispatch { job: entry.job, to: load.key, charge }
    }

    /// A class that was never measured costs the whole budget, so its first calls go one at a time. Overlapping calls cost nothing:
    /// they wait side by side and are bounded by their number.
    fn charge(&self, class: Class) -> u32 {
        if class.overlapping {
            return 0;
        }
        let unknown = || u32::try_from(self.limits.pipeline_budget.as_nanos()).unwrap_or(u32::MAX);
        self.estimates.get(class.id).unwrap_or_else(unknown).max(1)
    }

    fn choose(&mut self, class: Class) -> Option<usize> {
        // One worker needs no choice, and is common.
        if let [load] = self.loads.as_slice() {
            return load.has_room(class, &self.limits).then_some(0);
        }
        self.candidates.clear();
        for load in self.loads.iter().filter(|load| load.has_room(class, &self.limits)) {
            self.candidates.push(Candidate {
                slot: load.key.slot,
                backlog: load.backlog,
                in_flight: load.in_flight,
            });
        }
        let chosen = self.limits.select.choose(&self.candidates, self.last)?;
        let slot = self.candidates[chosen].slot;
        self.loads.iter().position(|load| load.key.slot == slot && load.has_room(class, &self.limits))
    }

    fn home(&self, key: u64) -> Option<usize> {
        let serving = || self.loads.iter().filter(|load| !load.draining);
        let slot = pinned(key, serving().map(|load| load.key.slot))?;
        self.loads.iter().position(|load| load.key.slot == slot && !load.draining)
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

    /// The estimate for a class, for status.
    #[must_use]
    pub fn estimate(&self, class: ClassId) -> Option<Duration> {
        self.estimates.get(class).map(nanos)
    }
}

impl<J> Load<J> {
    fn has_room(&self, class: Class, limits: &Limits) -> bool {
        !self.draining
            && !self.stalled
            && self.in_flight < self.capacity
            && (self.backlog == 0 || u128::from(self.backlog) < limits.pipeline_budget.as_nanos())
            && (!class.overlapping || self.overlapping < limits.max_concurrent)
    }
}

fn lane(class: Class) -> usize {
    usize::from(class.overlapping)
}

fn nanos(n: u32) -> Duration {
    Duration::from_nanos(u64::from(n))
}
