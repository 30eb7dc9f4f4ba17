//! Controls simulated processes and remembers what they did. The main structure is [`Script`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::ScriptedExit;
use super::process::{Process, ScriptedLink};
use crate::alarm::now;
use crate::id::{CallId, ClassId, Generation, SlotId};

/// How one launch goes.
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    pub(super) after: Duration,
    pub(super) result: Result<(), &'static str>,
    pub(super) panics: bool,
}

impl Launch {
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

/// A launch that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launched {
    /// For which slot.
    pub slot: SlotId,
    /// Which process.
    pub generation: Generation,
    /// When.
    pub at: Instant,
}

/// A call whose function started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Which call.
    pub seq: u64,
    /// Where.
    pub slot: SlotId,
    /// In which process.
    pub generation: Generation,
    /// Under which id.
    pub call: CallId,
    /// From when.
    pub start: Instant,
    /// Until when; `None` while it runs, and if its process died of something else.
    pub end: Option<Instant>,
}

/// The test's hand on the processes. Clones control the same ones.
///
/// Launches succeed after 10 ms, until [`Script::expect_launches`] says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Script(Rc<RefCell<State>>);

/// What simulated processes have executed.
pub(super) type Log = Rc<RefCell<Vec<Execution>>>;

#[derive(Debug, Default)]
struct State {
    /// `None`: every launch succeeds.
    expected: Option<VecDeque<Launch>>,
    unexpected: Vec<Launched>,
    launch_time: Option<Duration>,
    launched: Vec<Launched>,
    capacity: Option<usize>,
    processes: Vec<Rc<RefCell<Process>>>,
    log: Log,
    /// The functions that no process has.
    unknown: Vec<ClassId>,
}

impl Script {
    /// Every launch succeeds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on launches go like this, one after another; one more never ends, and
    /// [`Script::assert_drained`] tells.
    pub fn expect_launches(&self, launches: impl IntoIterator<Item = Launch>) {
        self.0.borrow_mut().expected.get_or_insert_default().extend(launches);
    }

    /// From now on launches that nobody expects take this long; 10 ms if it was never said.
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

    /// Processes that start from now on take this many calls at once; 1,024 if it was never said.
    pub fn set_capacity(&self, calls: usize) {
        self.0.borrow_mut().capacity = Some(calls);
    }

    /// Checks that the launches were those that were expected.
    ///
    /// # Panics
    /// If one is left over or was not expected.
    pub fn assert_drained(&self) {
        let state = self.0.borrow();
        let left = state.expected.as_ref().map_or(0, VecDeque::len);
        assert!(left == 0, "{left} expected launches did not happen");
        assert!(state.unexpected.is_empty(), "launches that were not expected: {:?}", state.unexpected);
    }

    /// All launches that were asked for.
    #[must_use]
    pub fn launched(&self) -> Vec<Launched> {
        self.0.borrow().launched.clone()
    }

    /// All calls that have started, in the order of their starts in each process.
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
    pub fn kill(&self, slot: u32) {
        self.process(slot).borrow_mut().end(ScriptedExit::Signalled);
    }

    /// Tells the newest process of a slot to end, as SIGTERM does: it interrupts what runs, and is
    /// gone after this time.
    pub fn terminate(&self, slot: u32, after: Duration) {
        self.process(slot).borrow_mut().terminate(after);
    }

    /// Stops the newest process of a slot, as SIGSTOP does.
    pub fn stop(&self, slot: u32) {
        self.process(slot).borrow_mut().stop(now());
    }

    /// Lets it go on.
    pub fn go_on(&self, slot: u32) {
        self.process(slot).borrow_mut().go_on(now());
    }

    /// The memory that the newest process of a slot holds.
    pub fn set_rss(&self, slot: u32, bytes: u64) {
        self.process(slot).borrow_mut().rss = Some(bytes);
    }

    /// The newest process of a slot has no such function.
    pub fn set_lacks(&self, slot: u32, class: u32) {
        self.process(slot).borrow_mut().lacks.push(ClassId(class));
    }

    /// From now on the backend refuses calls of this class: the function was removed.
    pub fn forget(&self, class: u32) {
        self.0.borrow_mut().unknown.push(ClassId(class));
    }

    pub(super) fn knows(&self, class: ClassId) -> bool {
        !self.0.borrow().unknown.contains(&class)
    }

    /// The newest process of a slot answers this id once more, whatever it is.
    pub fn inject_reply(&self, slot: u32, call: CallId) {
        self.process(slot).borrow_mut().inject_reply(call, now());
    }

    pub(super) fn next_launch(&self, slot: SlotId, generation: Generation) -> Option<Launch> {
        let mut state = self.0.borrow_mut();
        let launched = Launched { slot, generation, at: now() };
        state.launched.push(launched);
        let usual = state.launch_time.unwrap_or(Duration::from_millis(10));
        let launch = match &mut state.expected {
            None => Some(Launch::ready(usual)),
            Some(expected) => expected.pop_front(),
        };
        if launch.is_none() {
            state.unexpected.push(launched);
        }
        launch
    }

    pub(super) fn started(&self, slot: SlotId, generation: Generation) -> ScriptedLink {
        let mut state = self.0.borrow_mut();
        let process = Process::new(slot, generation, now(), Rc::clone(&state.log));
        let process = Rc::new(RefCell::new(process));
        state.processes.push(Rc::clone(&process));
        ScriptedLink::new(process, state.capacity.unwrap_or(CallId::MAX_INDEX))
    }

    fn process(&self, slot: u32) -> Rc<RefCell<Process>> {
        let state = self.0.borrow();
        let newest = state.processes.iter().rev().find(|process| process.borrow().slot == SlotId(slot));
        Rc::clone(newest.expect("the slot has had a process"))
    }

    fn advance(&self) {
        for process in &self.0.borrow().processes {
            process.borrow_mut().advance(now());
        }
    }
}
