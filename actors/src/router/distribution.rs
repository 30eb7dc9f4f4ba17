//! The distribution of durations. The main structure in this module is [`Distribution`].

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer durations count as one hour, in microseconds.
const LONGEST_US: u64 = 3_600_000_000;

/// Durations in microseconds, counted in the buckets of an HDR histogram.
///
/// Two states of one distribution can be subtracted: the difference is the distribution of the time
/// between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    counts: Histogram<u64>,
    sum_us: u64,
    max_us: u64,
}

impl Default for Distribution {
    /// Buckets of 6 %, which cost 4 KiB, so that every function can have one.
    fn default() -> Self {
        Self::with_digits(1)
    }
}

impl Distribution {
    /// Quantiles are exact to this many significant digits.
    pub(crate) fn with_digits(digits: u8) -> Self {
        let counts = Histogram::new_with_bounds(1, LONGEST_US, digits).expect("the bounds are valid");
        Self { counts, sum_us: 0, max_us: 0 }
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts.saturating_record(us);
        self.sum_us = self.sum_us.saturating_add(us);
        self.max_us = self.max_us.max(us);
    }

    /// How many durations were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// Their sum, in microseconds.
    #[must_use]
    pub const fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The longest, in microseconds.
    #[must_use]
    pub const fn max_us(&self) -> u64 {
        self.max_us
    }

    /// The buckets that are not empty: the duration in the middle of each, in microseconds, and how
    /// many durations it holds.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts.iter_recorded().map(|bucket| {
            let middle = self.counts.median_equivalent(bucket.value_iterated_to());
            (middle.min(self.max_us), bucket.count_since_last_iteration())
        })
    }

    /// How many are shorter than `2^exponent` microseconds; exact, because buckets end at powers of
    /// two.
    #[must_use]
    pub fn below_power(&self, exponent: u32) -> u64 {
        match (1_u64 << exponent.min(63)) - 1 {
            last if last < LONGEST_US => self.counts.count_between(0, last),
            _ => self.count(),
        }
    }

    /// The duration that this share of them does not exceed, in microseconds; 0 if there are none.
    #[must_use]
    pub fn quantile_us(&self, share: f64) -> u64 {
        self.counts.value_at_quantile(share).min(self.max_us)
    }

    /// What was recorded since `earlier`, an older state of this distribution. Its maximum is the
    /// end of its last bucket.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts.clone();
        if counts.subtract(&earlier.counts).is_err() {
            // `earlier` is not an older state of this one: the pool was replaced.
            return self.clone();
        }
        let max_us = if counts.is_empty() { 0 } else { counts.max().min(self.max_us) };
        Self { counts, sum_us: self.sum_us.saturating_sub(earlier.sum_us), max_us }
    }

    /// Adds the durations of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.counts.add(&other.counts).expect("all distributions have the same bounds");
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.max_us = self.max_us.max(other.max_us);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Distribution;

    fn of(durations: impl IntoIterator<Item = u64>) -> Distribution {
        let mut distribution = Distribution::default();
        durations.into_iter().for_each(|us| distribution.record(Duration::from_micros(us)));
        distribution
    }

    #[test]
    fn quantiles_are_close_and_never_above_the_maximum() {
        let distribution = of(1..=10_000);
        assert_eq!(
            (distribution.count(), distribution.sum_us(), distribution.max_us()),
            (10_000, 50_005_000, 10_000)
        );
        for (share, exact) in [(0.0, 1), (0.5, 5_000), (0.95, 9_500), (0.99, 9_900), (1.0, 10_000)] {
            let found = distribution.quantile_us(share);
            assert!(found.abs_diff(exact) * 8 <= exact, "{share}: {found}");
            assert!(found <= 10_000);
        }
        assert_eq!(Distribution::default().quantile_us(0.5), 0);
        assert_eq!(of([7]).quantile_us(0.99), 7);
    }

    #[test]
    fn durations_beyond_an_hour_are_counted_and_their_maximum_is_exact() {
        let distribution = of([1, 7_200_000_000]);
        assert_eq!((distribution.count(), distribution.max_us()), (2, 7_200_000_000));
        assert_eq!((distribution.below_power(31), distribution.below_power(40)), (1, 2));
    }

    #[test]
    fn powers_of_two_are_counted_exactly() {
        let distribution = of([0, 63, 64, 127, 128, 5_000_000]);
        assert_eq!(
            (distribution.below_power(6), distribution.below_power(7), distribution.below_power(8)),
            (2, 4, 5)
        );
        assert_eq!(distribution.below_power(26), 6);
    }

    #[test]
    fn difference_is_what_came_between_and_merging_gives_it_back() {
        let earlier = of([10, 20]);
        let later = of([10, 20, 400, 500]);
        let between = later.since(&earlier);
        assert_eq!((between.count(), between.sum_us()), (2, 900));
        assert!(between.max_us() >= 500 || between.max_us() == later.max_us());
        let mut sum = earlier;
        sum.merge(&between);
        assert_eq!(sum.count(), later.count());
        assert_eq!(sum.buckets().map(|(_, count)| count).sum::<u64>(), 4);
    }
}
