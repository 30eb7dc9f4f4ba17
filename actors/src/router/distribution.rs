//! The distribution of durations. The main structure in this module is [`Distribution`].

use std::time::Duration;

use super::buckets::{self, BOUNDS_US};

/// Durations in whole microseconds, counted in buckets of at most 6 %.
///
/// Two states of one distribution can be subtracted: the difference is the distribution of the time
/// between them. Its memory grows with the longest duration: 1 KiB for 1 ms, 4 KiB at most.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// The last one is not zero.
    counts: Vec<u64>,
    count: u64,
    sum_us: u64,
    max_us: u64,
}

impl Distribution {
    /// The bounds that [`Distribution::below_bounds`] counts up to, in microseconds: 1, 2.5 and 5
    /// times a power of ten, from 10 µs to 100 s.
    pub const BOUNDS_US: [u32; 22] = BOUNDS_US;

    pub(crate) fn record(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = buckets::of(us);
        if bucket >= self.counts.len() {
            self.grow(bucket + 1);
        }
        self.counts[bucket] += 1;
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(us);
        self.max_us = self.max_us.max(us);
    }

    /// Grows rarely and to few buckets, so it takes no more memory than they need.
    fn grow(&mut self, buckets: usize) {
        self.counts.reserve_exact(buckets - self.counts.len());
        self.counts.resize(buckets, 0);
    }

    /// How many durations were recorded.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
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
        let recorded = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        recorded.map(|(bucket, &count)| {
            let middle = u64::midpoint(buckets::first_us(bucket), buckets::last_us(bucket));
            (middle.min(self.max_us), count)
        })
    }

    /// How many are shorter than each of [`Distribution::BOUNDS_US`]; exact, because each bound is
    /// the edge of a bucket.
    #[must_use]
    pub fn below_bounds(&self) -> [u64; BOUNDS_US.len()] {
        let (mut below, mut from) = (0, 0);
        BOUNDS_US.map(|bound| {
            let to = buckets::of(bound.into()).min(self.counts.len());
            below += self.counts[from..to].iter().sum::<u64>();
            from = to;
            below
        })
    }

    /// The duration that this share of them does not exceed, in microseconds; 0 if there are none.
    #[must_use]
    pub fn quantile_us(&self, share: f64) -> u64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank is about as exact as a bucket"
        )]
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut counted = 0;
        let bucket = self.counts.iter().position(|count| {
            counted += count;
            counted >= rank
        });
        bucket.map_or(0, |bucket| buckets::last_us(bucket).min(self.max_us))
    }

    /// What was recorded since `earlier`, an older state of this distribution. Its maximum is the
    /// end of its last bucket.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let earlier_counts = earlier.counts.iter().chain(std::iter::repeat(&0));
        let differences = self.counts.iter().zip(earlier_counts).map(|(now, then)| now.checked_sub(*then));
        let counts = differences.collect::<Option<Vec<u64>>>();
        let Some(mut counts) = counts.filter(|_| earlier.counts.len() <= self.counts.len()) else {
            // `earlier` is not an older state of this one: the pool was replaced.
            return self.clone();
        };
        let used = counts.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
        counts.truncate(used);
        Self {
            max_us: used.checked_sub(1).map_or(0, |last| buckets::last_us(last).min(self.max_us)),
            counts,
            count: self.count - earlier.count,
            sum_us: self.sum_us.saturating_sub(earlier.sum_us),
        }
    }

    /// Adds the durations of `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.counts.len() > self.counts.len() {
            self.grow(other.counts.len());
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.count += other.count;
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
        assert_eq!(distribution.below_bounds()[21], 1);
        assert_eq!(distribution.quantile_us(1.0), 3_600_000_000);
    }

    #[test]
    fn durations_below_each_bound_are_counted_exactly() {
        let distribution = of([0, 9, 10, 24, 25, 249, 250, 2_499_999, 2_500_000, 99_999_999, 100_000_000]);
        let below = distribution.below_bounds();
        let count = |bound| {
            let at = Distribution::BOUNDS_US.iter().position(|&known| known == bound);
            below[at.expect("it is a bound")]
        };
        assert_eq!([10, 25, 50, 250, 500].map(count), [2, 4, 5, 6, 7]);
        assert_eq!([2_500_000, 5_000_000, 100_000_000].map(count), [8, 9, 10]);
        assert_eq!(of([3]).below_bounds(), [1; 22]);
        assert_eq!(Distribution::default().below_bounds(), [0; 22]);
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

    #[test]
    fn difference_to_a_state_of_another_distribution_is_the_whole() {
        let (fast, slow) = (of([10]), of([10_000]));
        assert_eq!(fast.since(&slow), fast);
        assert_eq!(slow.since(&fast), slow);
        assert_eq!(slow.since(&slow), Distribution::default());
    }

    #[test]
    fn memory_is_that_of_the_longest_duration() {
        let bytes = |longest: u64| {
            let rising = (0..64).map(|shift| 1 << shift).take_while(|&us| us < longest);
            of(rising.chain([longest])).counts.capacity() * size_of::<u64>()
        };
        for (longest, limit) in [(1_000, 1 << 10), (60_000_000, 3 << 10), (u64::MAX, 4 << 10)] {
            assert!(bytes(longest) <= limit, "{longest}: {}", bytes(longest));
        }
    }
}
