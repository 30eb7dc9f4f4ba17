//! Controls simulated processes and remembers what they did. The main structure is [`Script`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::call::ScriptedExit;
use super::process::{Execution, Log, Process};
use crate::alarm::now;
use crate::id::{CallId, FunctionId, Generation, SlotId};

/// How one launch goes.
#[derive(Clone, Copy, Debug)]
pub struct LaunchPlan {
    pub(super) after: Duration,
    pub(super) result: Result<(), &'static str>,
    pub(super) panics: bool,
}

impl LaunchPlan {
    /// The process is ready after this time.
    #[must_use]
    pub const fn ready(after: Duration) -> Self {
        Self { after, result: Ok(()), panics: false }
    }

    /// The launch fails after this time.
    #[must_use]
    pub const fn fails(after: Duration, error: &'static str) -> Self {
        Self { after, result: Err(error), panics: false }
    }

    /// The launch panics after this time, and its supervisor with it.
    #[must_use]
    pub const fn panics(after: Duration) -> Self {
        Self { after, result: Ok(()), panics: true }
    }
}

/// A launch that the supervisor requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchRecord {
    /// The slot.
    pub slot: SlotId,
    /// The process.
    pub generation: Generation,
    /// When.
    pub at: Instant,
}

/// Controls the processes of a test. Clones control the same processes.
///
/// Launches succeed after 10 ms, unless [`Script::expect_launches`] plans them.
#[derive(Clone, Debug, Default)]
pub struct Script(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    /// `None` if every launch succeeds.
    expected: Option<VecDeque<LaunchPlan>>,
    unexpected: Vec<LaunchRecord>,
    launch_time: Option<Duration>,
    launched: Vec<LaunchRecord>,
    capacity: Option<usize>,
    processes: Vec<Rc<RefCell<Process>>>,
    log: Log,
    /// The functions that no process has.
    unknown: Vec<FunctionId>,
}

impl Script {
    /// Every launch succeeds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on launches go like this, one after another. Further launches never end, and
    /// [`Script::assert_drained`] reports them.
    pub fn expect_launches(&self, launches: impl IntoIterator<Item = LaunchPlan>) {
        self.0.borrow_mut().expected.get_or_insert_default().extend(launches);
    }

    /// From now on launches without a plan take this long. Default: 10 ms.
    pub fn set_launch_time(&self, time: Duration) {
        self.0.borrow_mut().launch_time = Some(time);
    }

    /// From now on every launch succeeds again.
    ///
    /// # Panics
    /// If an expected launch is left over.
    pub fn expect_any(&self) {
        self.assert_drained();
        self.0.borrow_mut().expected = None;
    }

    /// Processes that start from now on take this many calls at once. Default: 1,024.
    pub fn set_capacity(&self, calls: usize) {
        self.0.borrow_mut().capacity = Some(calls);
    }

    /// Checks that the launches were the expected ones.
    ///
    /// # Panics
    /// If an expected launch did not happen, or another one did.
    pub fn assert_drained(&self) {
        let state = self.0.borrow();
        let left = state.expected.as_ref().map_or(0, VecDeque::len);
        assert!(left == 0, "{left} expected launches did not happen");
        assert!(state.unexpected.is_empty(), "launches that were not expected: {:?}", state.unexpected);
    }

    /// All launches that were requested.
    #[must_use]
    pub fn launched(&self) -> Vec<LaunchRecord> {
        self.0.borrow().launched.clone()
    }

    /// All calls that have started. Calls of one process are in the order of their starts.
    #[must_use]
    pub fn executions(&self) -> Vec<Execution> {
        self.advance();
        self.0.borrow().log.borrow().clone()
    }

    /// How many processes live.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.advance();
        self.0.borrow().processes.iter().filter(|process| process.borrow().is_alive()).count()
    }

    /// Kills the newest process of a slot, as by a signal from outside.
    pub fn kill(&self, slot: SlotId) {
        self.process(slot).borrow_mut().end(ScriptedExit::Signalled);
    }

    /// Terminates the newest process of a slot, as SIGTERM does: it interrupts what runs, and ends
    /// after this time.
    pub fn terminate(&self, slot: SlotId, after: Duration) {
        self.process(slot).borrow_mut().terminate(after);
    }

    /// Stops the newest process of a slot, as SIGSTOP does.
    pub fn stop(&self, slot: SlotId) {
        self.process(slot).borrow_mut().stop(now());
    }

    /// Continues the newest process of a slot, as SIGCONT does.
    pub fn resume(&self, slot: SlotId) {
        self.process(slot).borrow_mut().resume(now());
    }

    /// Sets the memory of the newest process of a slot.
    pub fn set_rss(&self, slot: SlotId, bytes: u64) {
        self.process(slot).borrow_mut().rss = Some(bytes);
    }

    /// From now on the newest process of a slot does not have this function.
    pub fn set_lacks(&self, slot: SlotId, function: u32) {
        self.process(slot).borrow_mut().lacks.push(FunctionId(function));
    }

    /// From now on the backend rejects calls of this function, as if it was removed.
    pub fn forget(&self, function: u32) {
        self.0.borrow_mut().unknown.push(FunctionId(function));
    }

    pub(super) fn knows(&self, function: FunctionId) -> bool {
        !self.0.borrow().unknown.contains(&function)
    }

    /// The newest process of a slot sends a reply with this id, whether it has such a call or not.
    pub fn inject_reply(&self, slot: SlotId, call: CallId) {
        self.process(slot).borrow_mut().inject_reply(call, now());
    }

    pub(super) fn next_launch(&self, slot: SlotId, generation: Generation) -> Option<LaunchPlan> {
        let mut state = self.0.borrow_mut();
        let launched = LaunchRecord { slot, generation, at: now() };
        state.launched.push(launched);
        let usual = state.launch_time.unwrap_or(Duration::from_millis(10));
        let launch = match &mut state.expected {
            None => Some(LaunchPlan::ready(usual)),
            Some(expected) => expected.pop_front(),
        };
        if launch.is_none() {
            state.unexpected.push(launched);
        }
        launch
    }

    /// Starts a process. Returns it with the number of calls that it takes at once.
    pub(super) fn start(&self, slot: SlotId, generation: Generation) -> (Rc<RefCell<Process>>, usize) {
        let mut state = self.0.borrow_mut();
        let process = Process::new(slot, generation, now(), Rc::clone(&state.log));
        let process = Rc::new(RefCell::new(process));
        state.processes.push(Rc::clone(&process));
        (process, state.capacity.unwrap_or(CallId::MAX_INDEX))
    }

    fn process(&self, slot: SlotId) -> Rc<RefCell<Process>> {
        let state = self.0.borrow();
        let newest = state.processes.iter().rev().find(|process| process.borrow().slot == slot);
        Rc::clone(newest.expect("the slot has had a process"))
    }

    fn advance(&self) {
        for process in &self.0.borrow().processes {
            process.borrow_mut().advance(now());
        }
    }
}
