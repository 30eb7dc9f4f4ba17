//! The buckets that durations are counted in. The main item in this module is [`of`].
//!
//! There are sixteen to each power of two. One that contains a bound of [`BOUNDS_US`] is split
//! there, so that each bound is the edge of a bucket.

/// The bounds of the buckets that metrics systems get, in microseconds: 1, 2.5 and 5 times a power
/// of ten, from 10 µs to 100 s.
pub(super) const BOUNDS_US: [u32; 22] = bounds();

/// Longer durations count as one hour.
const LONGEST_US: u32 = 3_600_000_000;

/// How many buckets there would be if none was split.
const CELLS: usize = cell_of(LONGEST_US) + 1;

/// How many buckets there are.
pub(super) const BUCKETS: usize = {
    let last = TABLE[CELLS - 1];
    last.bucket as usize + 1
};

static TABLE: [Cell; CELLS] = cells();

/// The first duration of each bucket.
static FIRST_US: [u32; BUCKETS] = firsts();

/// One bucket, or two.
#[derive(Clone, Copy)]
struct Cell {
    /// The first of its buckets.
    bucket: u16,
    /// Durations from here on are in its second bucket.
    split_us: u32,
}

/// The bucket of a duration.
pub(super) fn of(us: u64) -> usize {
    let us = u32::try_from(us).map_or(LONGEST_US, |us| us.min(LONGEST_US));
    let cell = TABLE[cell_of(us)];
    usize::from(cell.bucket) + usize::from(us >= cell.split_us)
}

/// The shortest duration of a bucket.
pub(super) fn first_us(bucket: usize) -> u64 {
    FIRST_US[bucket].into()
}

/// The longest duration of a bucket.
pub(super) fn last_us(bucket: usize) -> u64 {
    FIRST_US.get(bucket + 1).map_or(u64::from(LONGEST_US), |&next| u64::from(next) - 1)
}

/// Up to 31 µs a cell has one duration; after that it has 2, 4, 8 and so on.
const fn cell_of(us: u32) -> usize {
    let power = 27 - (us | 31).leading_zeros();
    (16 * power + (us >> power)) as usize
}

const fn first_of(cell: usize) -> u32 {
    if cell < 32 {
        return cell as u32;
    }
    let power = cell / 16 - 1;
    ((cell - 16 * power) as u32) << power
}

const fn bounds() -> [u32; 22] {
    let mut bounds = [0; 22];
    let (mut power, mut at) = (10, 0);
    while at < bounds.len() {
        bounds[at] = match at % 3 {
            0 => power,
            1 => power / 2 * 5,
            _ => power * 5,
        };
        if at % 3 == 2 {
            power *= 10;
        }
        at += 1;
    }
    bounds
}

const fn cells() -> [Cell; CELLS] {
    let mut cells = [Cell { bucket: 0, split_us: u32::MAX }; CELLS];
    let (mut bucket, mut bound, mut cell) = (0, 0, 0);
    while cell < CELLS {
        cells[cell].bucket = bucket;
        bucket += 1;
        while bound < BOUNDS_US.len() && BOUNDS_US[bound] <= first_of(cell) {
            bound += 1;
        }
        if bound < BOUNDS_US.len() && BOUNDS_US[bound] < first_of(cell + 1) {
            cells[cell].split_us = BOUNDS_US[bound];
            bucket += 1;
        }
        cell += 1;
    }
    cells
}

const fn firsts() -> [u32; BUCKETS] {
    let (mut firsts, mut cell) = ([0; BUCKETS], 0);
    while cell < CELLS {
        let Cell { bucket, split_us } = TABLE[cell];
        firsts[bucket as usize] = first_of(cell);
        if split_us != u32::MAX {
            firsts[bucket as usize + 1] = split_us;
        }
        cell += 1;
    }
    firsts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BOUNDS_US, BUCKETS, LONGEST_US, first_us, last_us, of};

    #[test]
    fn bounds_are_1_and_2_5_and_5_times_powers_of_ten() {
        assert_eq!(BOUNDS_US[..7], [10, 25, 50, 100, 250, 500, 1000]);
        assert_eq!(BOUNDS_US[19..], [25_000_000, 50_000_000, 100_000_000]);
    }

    #[test]
    fn each_bound_is_the_edge_of_a_bucket() {
        for bound in BOUNDS_US.map(u64::from) {
            assert_eq!(first_us(of(bound)), bound);
            assert_eq!(last_us(of(bound - 1)), bound - 1);
        }
    }

    #[test]
    fn buckets_follow_each_other_and_are_narrow() {
        for bucket in 0..BUCKETS {
            let (first, last) = (first_us(bucket), last_us(bucket));
            assert_eq!((of(first), of(last)), (bucket, bucket), "{first}..={last}");
            assert!((last - first) * 16 <= first, "{first}..={last}");
        }
        assert_eq!((of(u64::from(LONGEST_US)), of(u64::MAX)), (BUCKETS - 1, BUCKETS - 1));
    }

    proptest! {
        #[test]
        fn a_duration_is_in_its_bucket(us in 0..u64::from(LONGEST_US)) {
            prop_assert!((first_us(of(us))..=last_us(of(us))).contains(&us));
        }
    }
}
