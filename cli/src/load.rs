//! Callers that make one call after the other. The main structure is [`Load`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_pyproc::{Call, CallError, Pool};
use hdrhistogram::Histogram;
use tokio::task::JoinHandle;

/// The longest pause of a caller that was told to come back later.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// When callers stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// After so many calls of all together.
    Calls(u64),
    /// After so long.
    Time(Duration),
}

/// Callers at work. They are tasks of this arbiter, the pool's own, so that a call crosses no
/// thread.
pub(crate) struct Load {
    shared: Rc<Shared>,
    callers: Vec<JoinHandle<()>>,
}

struct Shared {
    start: Instant,
    limit: Limit,
    stopped: Cell<bool>,
    tally: RefCell<Tally>,
}

/// What callers were told.
pub(crate) struct Tally {
    /// Calls that were made.
    pub(crate) calls: u64,
    /// Calls that returned.
    pub(crate) ok: u64,
    /// Calls that did not, by the kind of their error.
    pub(crate) errors: BTreeMap<&'static str, u64>,
    /// How long calls took that returned, in nanoseconds.
    latency: Histogram<u64>,
    pub(crate) last_error: Option<CallError>,
    /// Until the last answer.
    pub(crate) elapsed: Duration,
}

impl Load {
    /// Lets `callers` call until the limit.
    pub(crate) fn start(pool: &Pool, call: &Call, callers: usize, limit: Limit) -> Self {
        let shared = Rc::new(Shared {
            start: Instant::now(),
            limit,
            stopped: Cell::new(false),
            tally: RefCell::new(Tally::new()),
        });
        let caller = || actix_rt::spawn(Rc::clone(&shared).call(pool.clone(), call.clone()));
        let callers = (0..callers).map(|_| caller()).collect();
        Self { shared, callers }
    }

    /// Looks at what there is so far.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Tally) -> T) -> T {
        look(&self.shared.tally.borrow())
    }

    /// How far it has come to its limit, from 0 to 1.
    pub(crate) fn progress(&self) -> f64 {
        let part = match self.shared.limit {
            Limit::Calls(calls) => self.look(Tally::answered) as f64 / calls.max(1) as f64,
            Limit::Time(time) => self.shared.start.elapsed().as_secs_f64() / time.as_secs_f64().max(1e-9),
        };
        part.min(1.0)
    }

    /// Whether all callers have stopped.
    pub(crate) fn is_finished(&self) -> bool {
        self.callers.iter().all(JoinHandle::is_finished)
    }

    /// Waits until all callers have stopped, each after its last answer. When its future is dropped
    /// the callers go on; they stop with the pool.
    pub(crate) async fn finish(&mut self) -> Tally {
        for caller in self.callers.drain(..) {
            caller.await.expect("a caller does not panic, and nobody aborts it");
        }
        self.shared.tally.replace(Tally::new())
    }
}

impl Shared {
    async fn call(self: Rc<Self>, pool: Pool, call: Call) {
        // One look at the clock for each call: an answer is the moment of the next call.
        let mut now = Instant::now();
        while self.begin(now) {
            let answer = pool.request(call.clone()).await;
            let end = Instant::now();
            let pause = self.end(answer.map(drop), end - now, end);
            now = end;
            if let Some(pause) = pause {
                actix_rt::time::sleep(pause.min(LONGEST_PAUSE)).await;
                now = Instant::now();
            }
        }
    }

    /// Counts a call that is about to be made, unless it is time to stop.
    fn begin(&self, now: Instant) -> bool {
        let mut tally = self.tally.borrow_mut();
        let over = match self.limit {
            Limit::Calls(calls) => tally.calls >= calls,
            Limit::Time(time) => now.duration_since(self.start) >= time,
        };
        let begins = !over && !self.stopped.get();
        tally.calls += u64::from(begins);
        begins
    }

    /// Counts an answer; says how long to wait if the pool asks for that.
    fn end(&self, answer: Result<(), CallError>, took: Duration, now: Instant) -> Option<Duration> {
        let mut tally = self.tally.borrow_mut();
        tally.elapsed = now - self.start;
        let error = match answer {
            Ok(()) => {
                tally.returned(took);
                return None;
            }
            Err(error) => error,
        };
        let pause = match &error {
            CallError::Overloaded { retry_after } | CallError::Unavailable { retry_after, .. } => {
                Some(*retry_after)
            }
            CallError::ShuttingDown => {
                self.stopped.set(true);
                None
            }
            _ => None,
        };
        *tally.errors.entry(error.kind()).or_default() += 1;
        tally.last_error = Some(error);
        pause
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            calls: 0,
            ok: 0,
            errors: BTreeMap::new(),
            latency: Histogram::new(3).expect("three digits are possible"),
            last_error: None,
            elapsed: Duration::ZERO,
        }
    }

    fn returned(&mut self, took: Duration) {
        self.ok += 1;
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.latency.record(nanos).expect("a histogram that grows takes any number");
    }

    /// Calls that have ended, one way or another. What is missing to `calls` was never answered.
    pub(crate) fn answered(&self) -> u64 {
        self.ok + self.errors.values().sum::<u64>()
    }

    /// Calls that returned in a second.
    pub(crate) fn rate(&self) -> f64 {
        match self.elapsed.as_secs_f64() {
            0.0 => 0.0,
            seconds => self.ok as f64 / seconds,
        }
    }

    /// What this part of the calls that returned took at most, in microseconds.
    pub(crate) fn quantile_us(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }
}
