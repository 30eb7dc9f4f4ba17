//! A load of callers, each of which makes one call after the other. The main structure is [`Load`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_pyproc::{Call, CallError, Pool};
use hdrhistogram::Histogram;
use tokio::task::JoinHandle;

/// The longest pause of a caller after the pool asked it to retry later.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// When the callers stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// After this many calls in total.
    Calls(u64),
    /// After this time.
    Time(Duration),
}

/// Running callers. They are tasks of this arbiter, which is the pool's own, so that a call crosses
/// no thread.
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

/// The outcomes of the calls.
pub(crate) struct Tally {
    /// Calls that started.
    pub(crate) calls: u64,
    /// Calls that returned.
    pub(crate) ok: u64,
    /// Calls that failed, by the kind of the error.
    pub(crate) errors: BTreeMap<&'static str, u64>,
    /// Latencies of the calls that returned, in nanoseconds.
    latency: Histogram<u64>,
    pub(crate) last_error: Option<CallError>,
    /// From the start to the last answer.
    pub(crate) elapsed: Duration,
}

impl Load {
    /// Starts `callers`, which call until the limit.
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

    /// Reads the outcomes so far.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Tally) -> T) -> T {
        read(&self.shared.tally.borrow())
    }

    /// The progress towards the limit, from 0 to 1.
    pub(crate) fn progress(&self) -> f64 {
        let part = match self.shared.limit {
            Limit::Calls(calls) => self.read(Tally::answered) as f64 / calls.max(1) as f64,
            Limit::Time(time) => self.shared.start.elapsed().as_secs_f64() / time.as_secs_f64().max(1e-9),
        };
        part.min(1.0)
    }

    /// Whether all callers have stopped.
    pub(crate) fn is_finished(&self) -> bool {
        self.callers.iter().all(JoinHandle::is_finished)
    }

    /// Waits until all callers have stopped, each after its last answer. If the future is dropped,
    /// the callers keep calling until the pool stops.
    pub(crate) async fn finish(&mut self) -> Tally {
        for caller in self.callers.drain(..) {
            caller.await.expect("callers do not panic, and nothing aborts them");
        }
        self.shared.tally.replace(Tally::new())
    }
}

impl Shared {
    async fn call(self: Rc<Self>, pool: Pool, call: Call) {
        // One clock read per call: the end of a call is the start of the next one.
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

    /// Counts a call that is about to start; `false` if it is time to stop.
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

    /// Counts an answer; returns how long to wait if the pool asks for a pause.
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
            latency: Histogram::new(3).expect("three digits are valid"),
            last_error: None,
            elapsed: Duration::ZERO,
        }
    }

    fn returned(&mut self, took: Duration) {
        self.ok += 1;
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.latency.record(nanos).expect("a histogram that resizes takes any value");
    }

    /// Calls that ended, with a result or an error. The others in `calls` were never answered.
    pub(crate) fn answered(&self) -> u64 {
        self.ok + self.errors.values().sum::<u64>()
    }

    /// Calls that returned, per second.
    pub(crate) fn rate(&self) -> f64 {
        match self.elapsed.as_secs_f64() {
            0.0 => 0.0,
            seconds => self.ok as f64 / seconds,
        }
    }

    /// A quantile of the latencies, in microseconds.
    pub(crate) fn quantile_us(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }
}
