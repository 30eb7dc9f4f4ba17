//! Admission, the queue, late binding and deadlines of the router, without actors or clock. The
//! main structure is [`Core`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::estimate::Estimates;
use super::select::{Candidate, Select, pinned};
use crate::backend::Class;
use crate::id::{ClassId, SlotId, WorkerKey};

/// How often what waits is looked over for callers that are gone.
pub(crate) const TICK: Duration = Duration::from_millis(5);

/// What the router is allowed to do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many calls may wait.
    pub max_queue: usize,
    /// How many bytes of arguments may wait; a single call may exceed it.
    pub max_queue_bytes: usize,
    /// How many workers one function may occupy while abandoned calls of it do not end; `None` for
    /// all but one.
    pub max_abandoned: Option<usize>,
    /// A worker with this much estimated work on its socket gets no more.
    pub pipeline_budget: Duration,
    /// How many overlapping calls one worker may have.
    pub max_concurrent: u32,
    /// How a worker is chosen among those with room.
    pub select: Select,
}

/// Whether the router admits calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Availability {
    /// It does.
    Open,
    /// It rejects calls: no worker serves.
    Unavailable {
        /// When the next start is tried.
        retry_at: Instant,
    },
    /// It rejects new calls; those that were admitted continue.
    ShuttingDown,
    /// It rejects calls, and sends nothing to a worker any more.
    #[default]
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
    /// The length of its arguments, in bytes.
    pub size: usize,
    /// Whether it must run alone in its worker.
    pub alone: bool,
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
    reserved: Reserved,
    /// Functions that its process does not have.
    lacks: Vec<ClassId>,
    /// The function whose abandoned call occupies it.
    abandoned: Option<ClassId>,
    /// The function of the latest call that is not overlapping.
    latest: Option<ClassId>,
    /// Calls bound to this worker by affinity that wait for room.
    waiting: VecDeque<Entry<J>>,
}

/// Whether a worker is kept for calls that must run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reserved {
    No,
    /// It gets no other call, so that it becomes idle.
    Clearing,
    /// It runs one.
    Occupied,
}

/// The router's decisions.
#[derive(Debug)]
pub struct Core<J> {
    limits: Limits,
    availability: Availability,
    /// Calls that go one after another and overlapping calls: where one kind has no room, the other
    /// may have.
    lanes: [VecDeque<Entry<J>>; 2],
    bound: usize,
    /// Calls that must run alone.
    alone: VecDeque<Entry<J>>,
    /// Calls that let others pass: see [`Core::is_held`].
    held: VecDeque<Entry<J>>,
    /// Slots whose process was killed for an abandoned call of this function, until the next one
    /// serves.
    vacated: Vec<(SlotId, ClassId)>,
    /// Whether some worker lacks a function or is occupied by an abandoned call, or was until it
    /// was killed.
    restricted: bool,
    /// Whether something has changed that may let held calls go on: room, or a worker.
    recheck: bool,
    queued_bytes: usize,
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

    /// Lets a call into the queue, or says why not. At a full queue call [`Core::next_dispatch`]
    /// until it is `None`, then try again.
    ///
    /// # Errors
    /// The entry that was not taken, with the reason.
    pub fn admit(&mut self, entry: Entry<J>, now: Instant) -> Result<(), (Entry<J>, Refusal)> {
        let refusal = self.refusal(now).or_else(|| {
            self.is_full(entry.size).then(|| Refusal::Overloaded { retry_after: self.time_for_queue() })
        });
        match refusal {
            Some(refusal) => Err((entry, refusal)),
            None => {
                self.note_deadline(&entry);
                self.queued_bytes += entry.size;
                self.lanes[lane(entry.class)].push_back(entry);
                Ok(())
            }
        }
    }

    /// Whether a call with arguments of `size` bytes is beyond the queue's bounds.
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

    /// Puts calls that had not started back in their places, before those that came later. The
    /// queue's bound does not apply to them. Gives them back where no worker can be expected to
    /// take them; [`Core::refusal`] says why.
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
            Availability::Unavailable { .. } | Availability::Over => {
                entries.into_iter().map(|entry| entry.job).collect()
            }
        }
    }

    fn put_back(&mut self, entry: Entry<J>) {
        self.note_deadline(&entry);
        let queue = if entry.alone { &mut self.alone } else { &mut self.lanes[lane(entry.class)] };
        queue.insert(queue.partition_point(|other| other.order < entry.order), entry);
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
            reserved: Reserved::No,
            lacks: Vec::new(),
            abandoned: None,
            latest: None,
            waiting: VecDeque::new(),
        });
        self.not_replaced(key.slot);
    }

    /// A worker gets no more calls; those it has go on. Its slot has another worker already, or
    /// goes.
    pub fn worker_draining(&mut self, key: WorkerKey) {
        self.leave_out(key);
        self.not_replaced(key.slot);
    }

    /// A worker is being killed and gets no more calls. If that is for an abandoned call, the call
    /// counts as long as its slot has no other worker: otherwise one function could take one worker
    /// after another.
    pub fn worker_killed(&mut self, key: WorkerKey, abandoned: Option<ClassId>) {
        let serves = self.loads.iter().any(|load| load.key == key && !load.draining);
        self.vacated.extend(abandoned.filter(|_| serves).map(|class| (key.slot, class)));
        self.leave_out(key);
        self.note_restrictions();
    }

    /// Nothing is to be expected of a slot that was vacated: its next process serves, or does not
    /// come.
    pub fn not_replaced(&mut self, slot: SlotId) {
        self.vacated.retain(|(vacated, _)| *vacated != slot);
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

    /// A worker is gone, with all that was still counted on it.
    pub fn worker_down(&mut self, key: WorkerKey) {
        if let Some(index) = self.loads.iter().position(|load| load.key == key) {
            let load = self.loads.swap_remove(index);
            self.unbind(load.waiting);
            self.note_restrictions();
        }
    }

    /// A worker has given back a call of a function that its process does not have.
    pub fn worker_lacks(&mut self, key: WorkerKey, class: ClassId) {
        if let Some(load) = self.load_mut(key).filter(|load| !load.lacks.contains(&class)) {
            load.lacks.push(class);
            // Calls of that function that are bound to it go elsewhere.
            let waiting = std::mem::take(&mut load.waiting);
            self.unbind(waiting);
            self.note_restrictions();
        }
    }

    /// The function whose abandoned call occupies a worker: a call without a caller that does not
    /// end.
    pub fn worker_occupied(&mut self, key: WorkerKey, abandoned: Option<ClassId>) {
        if let Some(load) = self.load_mut(key).filter(|load| load.abandoned != abandoned) {
            load.abandoned = abandoned;
            self.note_restrictions();
        }
    }

    fn note_restrictions(&mut self) {
        let restricts = |load: &Load<J>| !load.lacks.is_empty() || load.abandoned.is_some();
        self.restricted = !self.vacated.is_empty() || self.loads.iter().any(restricts);
        self.recheck = true;
    }

    /// Takes out the calls that are held, to be judged again and put back.
    #[must_use]
    pub fn take_held(&mut self) -> Vec<J> {
        let held = std::mem::take(&mut self.held);
        self.queued_bytes -= held.iter().map(|entry| entry.size).sum::<usize>();
        held.into_iter().map(|entry| entry.job).collect()
    }

    /// A worker is done with a call, however it ended.
    pub fn settled(&mut self, key: WorkerKey, class: Class, charge: u32, service: Option<Duration>) {
        self.recheck = true;
        if let Some(service) = service {
            self.estimates.measured(class.id, service);
        }
        if let Some(load) = self.load_mut(key) {
            load.in_flight -= 1;
            load.overlapping -= u32::from(class.overlapping);
            load.backlog -= u64::from(charge);
            if load.reserved == Reserved::Occupied && load.in_flight == 0 {
                load.reserved = Reserved::No;
            }
        }
    }

    /// Whether a worker makes no progress; one that stalls gets nothing until it goes on.
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
            let (class, affinity) = (head.class, head.affinity);
            let index = match affinity {
                None => self.choose(class),
                Some(key) => self.home(class, key),
            };
            if self.is_held(class) {
                let entry = self.lanes[lane].pop_front()?;
                self.hold(entry);
                continue;
            }
            let index = index?;
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
        let mut swept: Vec<(J, usize, Swept)> = Vec::new();
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
                        Some(why) => swept.push((entry.job, entry.size, why)),
                        None => entries.push_back(entry),
                    }
                }
            }
            for deadline in entries.iter().filter_map(|entry| entry.deadline) {
                next_deadline = Some(next_deadline.map_or(deadline, |next: Instant| next.min(deadline)));
            }
        };
        self.lanes.iter_mut().chain([&mut self.alone, &mut self.held]).for_each(&mut judge);
        for load in &mut self.loads {
            let before = load.waiting.len();
            judge(&mut load.waiting);
            self.bound -= before - load.waiting.len();
        }
        self.next_deadline = next_deadline;
        self.queued_bytes -= swept.iter().map(|(_, size, _)| size).sum::<usize>();
        if self.alone.is_empty() {
            self.release_kept(None);
        }
        swept.into_iter().map(|(job, _, why)| (job, why)).collect()
    }

    /// When [`Core::sweep`] is due.
    #[must_use]
    pub fn next_sweep(&self, now: Instant) -> Option<Instant> {
        (self.queued() > 0)
            .then(|| self.next_deadline.map_or(now + TICK, |deadline| deadline.min(now + TICK)))
    }

    /// Opens or closes the door; a pool that drains or stops never opens it again. Gives back what
    /// waits where it can no longer be served.
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
        let special = self.alone.drain(..).chain(self.held.drain(..));
        let jobs = bound.chain(waiting).chain(special).map(|entry| entry.job).collect();
        self.bound = 0;
        self.queued_bytes = 0;
        self.release_kept(None);
        jobs
    }

    /// Whether calls are let in.
    #[must_use]
    pub const fn availability(&self) -> Availability {
        self.availability
    }

    /// Why no call is let in now, if that is not for the length of the queue.
    #[must_use]
    pub fn refusal(&self, now: Instant) -> Option<Refusal> {
        match self.availability {
            Availability::ShuttingDown | Availability::Over => Some(Refusal::ShuttingDown),
            Availability::Unavailable { retry_at } => {
                Some(Refusal::Unavailable { retry_after: retry_at.saturating_duration_since(now) })
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

    /// The next of the calls that are not simply in their lane.
    fn next_special(&mut self) -> Option<Dispatch<J>> {
        if std::mem::take(&mut self.recheck) {
            self.recheck = self.release_held();
        }
        self.next_alone().or_else(|| self.next_bound())
    }

    /// Puts calls of functions that are not held any more back in their lanes, of each function no
    /// more than the first that any worker may take: there may be room for few of many, and the
    /// next follows with the next dispatch. Returns whether there were any.
    fn release_held(&mut self) -> bool {
        let mut judged: Vec<ClassId> = Vec::new();
        let mut released = false;
        let mut index = 0;
        while let Some(&Entry { class, affinity, .. }) = self.held.get(index) {
            let skip = judged.contains(&class.id);
            let held = skip || self.is_held(class);
            if !skip && (held || affinity.is_none()) {
                judged.push(class.id);
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

    fn hold(&mut self, entry: Entry<J>) {
        let place = self.held.partition_point(|other| other.order < entry.order);
        self.held.insert(place, entry);
    }

    /// Gives the next call that must run alone to a worker that is idle. If none is, one is kept
    /// from other calls until it is. At most one worker is kept or has such a call.
    fn next_alone(&mut self) -> Option<Dispatch<J>> {
        if self.alone.is_empty() || self.loads.iter().any(|load| load.reserved == Reserved::Occupied) {
            return None;
        }
        let usable = |load: &Load<J>, class| !load.draining && !load.stalled && !load.lacks.contains(&class);
        // A function that no worker has holds up no other.
        let next =
            self.alone.iter().position(|entry| self.loads.iter().any(|load| usable(load, entry.class.id)))?;
        let class = self.alone[next].class.id;
        let loads = self.loads.iter().enumerate().filter(|(_, load)| usable(load, class));
        let (index, _) = loads.min_by_key(|(_, load)| {
            (load.in_flight > 0, load.reserved == Reserved::No, load.backlog, load.in_flight)
        })?;
        self.release_kept(Some(index));
        if self.loads[index].in_flight > 0 {
            self.loads[index].reserved = Reserved::Clearing;
            return None;
        }
        self.loads[index].reserved = Reserved::Occupied;
        let entry = self.alone.remove(next)?;
        Some(self.dispatch(index, entry))
    }

    /// A worker that is kept gets calls again, unless it is this one.
    fn release_kept(&mut self, but: Option<usize>) {
        for (index, load) in self.loads.iter_mut().enumerate() {
            if load.reserved == Reserved::Clearing && but != Some(index) {
                load.reserved = Reserved::No;
                self.recheck = true;
            }
        }
    }

    fn next_bound(&mut self) -> Option<Dispatch<J>> {
        loop {
            let index = self.loads.iter().position(|load| {
                load.waiting.front().is_some_and(|entry| load.has_room(entry.class, &self.limits))
            })?;
            let entry = self.loads[index].waiting.pop_front()?;
            self.bound -= 1;
            if !self.is_held(entry.class) {
                return Some(self.dispatch(index, entry));
            }
            self.hold(entry);
        }
    }

    /// Whether calls of a function have to wait although a worker has room, so that those behind
    /// them go first: the workers with room lack the function, or its abandoned calls occupy as
    /// many workers as they may.
    fn is_held(&self, class: Class) -> bool {
        if !self.restricted {
            return false;
        }
        let lacking = self.serving().any(|load| load.lacks.contains(&class.id));
        let unable = lacking && !self.serving().any(|load| load.has_room(class, &self.limits));
        unable || self.is_limited(class.id)
    }

    /// Whether a function whose abandoned calls occupy workers has as many workers as it may. Those
    /// that run other calls of it count too: these may be abandoned next.
    fn is_limited(&self, class: ClassId) -> bool {
        let slots = self.serving().count() + self.vacated.len();
        // Of two workers, one that is being replaced would leave none to the function.
        let vacated = if slots > 2 { self.vacated.iter().filter(|(_, by)| *by == class).count() } else { 0 };
        let abandoned = vacated > 0 || self.serving().any(|load| load.abandoned == Some(class));
        let most = self.limits.max_abandoned.unwrap_or(slots.saturating_sub(1)).max(1);
        abandoned && vacated + self.serving().filter(|load| load.has_call_of(class)).count() >= most
    }

    fn serving(&self) -> impl Iterator<Item = &Load<J>> {
        self.loads.iter().filter(|load| !load.draining)
    }

    fn dispatch(&mut self, index: usize, entry: Entry<J>) -> Dispatch<J> {
        let charge = self.charge(entry.class);
        self.queued_bytes -= entry.size;
        let load = &mut self.loads[index];
        load.in_flight += 1;
        load.overlapping += u32::from(entry.class.overlapping);
        load.backlog += u64::from(charge);
        if !entry.class.overlapping {
            load.latest = Some(entry.class.id);
        }
        self.last = load.key.slot;
        Dispatch { job: entry.job, to: load.key, charge }
    }

    /// A class that was never measured costs the whole budget, so its first calls go one at a time.
    /// Overlapping calls cost nothing: they wait side by side and are bounded by their number.
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

    fn home(&self, class: Class, key: u64) -> Option<usize> {
        let serves = |load: &Load<J>| !load.draining && !load.lacks.contains(&class.id);
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

    /// The estimate for a class, for status.
    #[must_use]
    pub fn estimate(&self, class: ClassId) -> Option<Duration> {
        self.estimates.get(class).map(nanos)
    }
}

impl<J> Load<J> {
    /// Whether it has a call of this function that is not overlapping, as far as the latest call
    /// tells.
    fn has_call_of(&self, class: ClassId) -> bool {
        self.abandoned == Some(class) || (self.latest == Some(class) && self.in_flight > self.overlapping)
    }

    fn has_room(&self, class: Class, limits: &Limits) -> bool {
        !self.draining
            && !self.stalled
            && self.reserved == Reserved::No
            && !self.lacks.contains(&class.id)
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
