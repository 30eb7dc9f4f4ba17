//! Quantiles of durations. The main structures in this module are [`LatencyStatus`] and
//! [`Quantiles`].

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::distribution::Distribution;

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

/// Quantiles in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LatencyStatus {
    /// How many calls were measured.
    pub count: u64,
    /// The median.
    pub p50_us: u64,
    /// 95 % are at most this.
    pub p95_us: u64,
    /// 99 % are at most this.
    pub p99_us: u64,
    /// The largest.
    pub max_us: u64,
}

impl From<&Distribution> for LatencyStatus {
    fn from(distribution: &Distribution) -> Self {
        Self {
            count: distribution.count(),
            p50_us: distribution.quantile_us(0.50),
            p95_us: distribution.quantile_us(0.95),
            p99_us: distribution.quantile_us(0.99),
            max_us: distribution.max_us(),
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
