//! Measured latencies. The main structure is [`Sample`].

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// An upper bound of all latencies.
const HOUR_NS: u64 = 3_600_000_000_000;

/// The latencies of measured calls.
pub(crate) struct Sample {
    /// In nanoseconds, with three digits.
    latency: Histogram<u64>,
    elapsed: Duration,
}

/// When a measurement ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Calls(u64),
    For(Duration),
}

impl Sample {
    pub(crate) fn new() -> Self {
        Self {
            // Allocated in full now, so that a measurement of allocations does not count it.
            latency: Histogram::new_with_bounds(1, HOUR_NS, 3).expect("the bounds are valid"),
            elapsed: Duration::ZERO,
        }
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record(nanos);
    }

    pub(crate) fn end(mut self, elapsed: Duration) -> Self {
        self.elapsed = elapsed;
        self
    }

    /// Adds a later measurement.
    pub(crate) fn extend(&mut self, later: &Self) {
        self.latency.add(&later.latency).expect("both have the same digits");
        self.elapsed += later.elapsed;
    }

    pub(crate) fn calls(&self) -> u64 {
        self.latency.len()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.elapsed
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.calls() as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn quantile_us(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }

    pub(crate) fn p50_us(&self) -> f64 {
        self.quantile_us(0.5)
    }

    pub(crate) fn p99_us(&self) -> f64 {
        self.quantile_us(0.99)
    }

    /// The figures that every bench reports.
    pub(crate) fn figures(&self) -> [(&'static str, f64); 5] {
        [
            ("calls", self.calls() as f64),
            ("calls_per_s", self.per_second()),
            ("p50_us", self.p50_us()),
            ("p95_us", self.quantile_us(0.95)),
            ("p99_us", self.p99_us()),
        ]
    }
}

impl Until {
    /// Whether a measurement that started at `start` and has `done` calls ends `now`.
    pub(crate) fn is_over(self, done: u64, start: Instant, now: Instant) -> bool {
        match self {
            Self::Calls(calls) => done >= calls,
            Self::For(time) => now.duration_since(start) >= time,
        }
    }
}

/// The median.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

/// The medians of two measurements that run in turn, so that other load affects both alike, and the
/// median of `b / a`.
pub(crate) struct Pair {
    pub(crate) a: f64,
    pub(crate) b: f64,
    pub(crate) ratio: f64,
}

/// Measures in the order ABBAAB…, after one warm-up turn of each.
pub(crate) fn side_by_side(mut a: impl FnMut() -> f64, mut b: impl FnMut() -> f64) -> Pair {
    a();
    b();
    let pairs: Vec<(f64, f64)> = (0..super::rounds())
        .map(|round| {
            if round % 2 == 0 {
                let first = a();
                (first, b())
            } else {
                let first = b();
                (a(), first)
            }
        })
        .collect();
    Pair {
        a: median(pairs.iter().map(|pair| pair.0)),
        b: median(pairs.iter().map(|pair| pair.1)),
        ratio: median(pairs.iter().map(|(a, b)| b / a)),
    }
}
