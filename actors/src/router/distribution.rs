//! How durations are spread, in little memory. The main structure in this module is
//! [`Distribution`].

use std::time::Duration;

use serde::Serialize;

/// Each doubling is cut into this many buckets, so a quantile is off by 12 % at most.
const PER_OCTAVE: u64 = 4;
/// The last bucket begins at about 34 minutes, and takes all that is longer.
const BUCKETS: usize = 120;

/// Durations in microseconds, counted in buckets that grow with them. It costs 1 KiB, so there can
/// be one per function.
///
/// Two that were taken at different times can be subtracted: what lies between is the distribution
/// of that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Distribution {
    counts: Box<[u64]>,
    sum_us: u64,
    max_us: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into(), sum_us: 0, max_us: 0 }
    }
}

impl Distribution {
    pub(crate) fn record(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(us)] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
        self.max_us = self.max_us.max(us);
    }

    /// How many were measured.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in microseconds.
    #[must_use]
    pub const fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The largest, in microseconds.
    #[must_use]
    pub const fn max_us(&self) -> u64 {
        self.max_us
    }

    /// The buckets that are not empty: a duration in the middle of each, in microseconds, and how
    /// many there are.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let middle = |index| lower(index).midpoint(lower(index + 1));
        (self.counts.iter().enumerate())
            .filter(|(_, count)| **count > 0)
            .map(move |(index, count)| (middle(index).min(self.max_us), *count))
    }

    /// How many are shorter than `2^exponent` microseconds; exact.
    #[must_use]
    pub fn below_power(&self, exponent: u32) -> u64 {
        let end = bucket(1 << exponent.min(63));
        self.counts[..end].iter().sum()
    }

    /// The duration that this share of them does not exceed, in microseconds; 0 if there are none.
    #[must_use]
    pub fn quantile_us(&self, share: f64) -> u64 {
        let count = self.count();
        // The least rank that covers the share; counts are far below 2^52.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "0 to count"
        )]
        let rank = ((count as f64 * share).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        for (index, &inside) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            if seen + inside >= rank {
                let (from, last) = (lower(index), lower(index + 1) - 1);
                return (from + (last - from) * (rank - seen) / inside).min(self.max_us);
            }
            seen += inside;
        }
        0
    }

    /// What came after `earlier`, an older state of the same. Its maximum is that of the last
    /// bucket with something in it.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let counts: Box<[u64]> =
            self.counts.iter().zip(&earlier.counts).map(|(now, then)| now.saturating_sub(*then)).collect();
        let top = counts.iter().rposition(|count| *count > 0);
        let max_us = top.map_or(0, |index| lower(index + 1).min(self.max_us));
        Self { counts, sum_us: self.sum_us.saturating_sub(earlier.sum_us), max_us }
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.max_us = self.max_us.max(other.max_us);
    }
}

/// Below four each duration has its own bucket; from there on the two bits after the leading one
/// choose it.
fn bucket(us: u64) -> usize {
    let index = match us {
        0..PER_OCTAVE => us,
        _ => {
            let octave = u64::from(us.ilog2() - 1);
            octave * PER_OCTAVE + ((us >> (octave - 1)) & (PER_OCTAVE - 1))
        }
    };
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// Where a bucket begins.
fn lower(index: usize) -> u64 {
    let index = index as u64;
    match index {
        0..PER_OCTAVE => index,
        _ => (PER_OCTAVE + index % PER_OCTAVE) << (index / PER_OCTAVE - 1),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BUCKETS, Distribution, bucket, lower};

    fn of(durations: impl IntoIterator<Item = u64>) -> Distribution {
        let mut distribution = Distribution::default();
        durations.into_iter().for_each(|us| distribution.record(Duration::from_micros(us)));
        distribution
    }

    #[test]
    fn each_bucket_begins_where_the_one_before_ends() {
        for index in 0..BUCKETS - 1 {
            assert_eq!(bucket(lower(index)), index);
            assert_eq!(bucket(lower(index + 1) - 1), index);
            assert!(lower(index) < lower(index + 1));
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
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
