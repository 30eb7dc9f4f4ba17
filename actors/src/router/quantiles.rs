//! Quantiles of all calls of a pool. The main structure in this module is [`Quantiles`].

use std::time::Duration;

use hdrhistogram::Histogram;

use super::stats::LatencyStatus;

/// Longer durations count as one hour.
const LONGEST_US: u64 = 3_600_000_000;

/// Durations whose quantiles are exact to three digits. It takes 180 KiB, so only the pool as a
/// whole has such ones.
pub(super) struct Quantiles {
    counts: Histogram<u64>,
    max_us: u64,
}

impl Quantiles {
    pub(super) fn new() -> Self {
        let counts = Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are valid");
        Self { counts, max_us: 0 }
    }

    pub(super) fn record(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts.saturating_record(us);
        self.max_us = self.max_us.max(us);
    }

    pub(super) fn status(&self) -> LatencyStatus {
        let quantile = |share| self.counts.value_at_quantile(share).min(self.max_us);
        LatencyStatus {
            count: self.counts.len(),
            p50_us: quantile(0.50),
            p95_us: quantile(0.95),
            p99_us: quantile(0.99),
            max_us: self.max_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Quantiles;

    #[test]
    fn quantiles_are_exact_to_three_digits() {
        let mut quantiles = Quantiles::new();
        (1..=10_000).for_each(|us| quantiles.record(Duration::from_micros(us)));
        let status = quantiles.status();
        for (found, exact) in [(status.p50_us, 5_000), (status.p95_us, 9_500), (status.p99_us, 9_900)] {
            assert!(u64::abs_diff(found, exact) * 1000 <= exact, "{found} and {exact}");
        }
        assert_eq!((status.count, status.max_us), (10_000, 10_000));
    }
}
