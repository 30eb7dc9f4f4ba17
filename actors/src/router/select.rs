//! Chooses a worker among those that have room. The main item in this module is
//! [`Select::choose`].

use serde::{Deserialize, Serialize};

use crate::id::SlotId;
use crate::setting::Settable;

/// How a worker is chosen among those that have room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Select {
    /// The next slot in turn. It suits calls that all cost the same.
    RoundRobin,
    /// The worker with the least estimated work on its socket, then with the fewest calls, then the
    /// next in turn.
    #[default]
    LeastLoaded,
}

impl Settable for Select {
    const SCHEMA: &'static str = r#"{"enum": ["round-robin", "least-loaded"]}"#;
}

/// A worker that has room for a call.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its slot.
    pub slot: SlotId,
    /// The estimated time of its calls, in nanoseconds.
    pub backlog: u64,
    /// How many calls it has.
    pub in_flight: u32,
}

impl Select {
    /// The index of the chosen candidate. `last` is the slot that was chosen before.
    #[must_use]
    pub fn choose(self, candidates: &[Candidate], last: SlotId) -> Option<usize> {
        let turn = |slot: SlotId| slot.0.wrapping_sub(last.0).wrapping_sub(1);
        let indexed = candidates.iter().enumerate();
        match self {
            Self::RoundRobin => indexed.min_by_key(|(_, c)| turn(c.slot)),
            Self::LeastLoaded => indexed.min_by_key(|(_, c)| (c.backlog, c.in_flight, turn(c.slot))),
        }
        .map(|(index, _)| index)
    }
}

/// The slot that calls with `key` go to, by rendezvous hashing. When a slot is added or removed,
/// only its own keys move.
#[must_use]
pub fn pinned(key: u64, slots: impl Iterator<Item = SlotId>) -> Option<SlotId> {
    slots.max_by_key(|slot| (mix(key ^ mix(u64::from(slot.0))), slot.0))
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(loads: &[(u32, u64, u32)]) -> Vec<Candidate> {
        loads
            .iter()
            .map(|&(slot, backlog, in_flight)| Candidate { slot: SlotId(slot), backlog, in_flight })
            .collect()
    }

    fn slot_of(select: Select, loads: &[(u32, u64, u32)], last: u32) -> Option<u32> {
        let all = candidates(loads);
        select.choose(&all, SlotId(last)).map(|i| all[i].slot.0)
    }

    #[test]
    fn round_robin_takes_the_next_slot_and_wraps() {
        let loads = [(0, 9, 9), (1, 0, 0), (3, 5, 5)];
        assert_eq!(slot_of(Select::RoundRobin, &loads, 1), Some(3));
        assert_eq!(slot_of(Select::RoundRobin, &loads, 3), Some(0));
        assert_eq!(slot_of(Select::RoundRobin, &[], 0), None);
    }

    #[test]
    fn least_loaded_takes_the_smallest_backlog_then_count_then_turn() {
        assert_eq!(slot_of(Select::LeastLoaded, &[(0, 2, 0), (1, 1, 9)], 0), Some(1));
        assert_eq!(slot_of(Select::LeastLoaded, &[(0, 1, 3), (1, 1, 2)], 1), Some(1));
        assert_eq!(slot_of(Select::LeastLoaded, &[(0, 0, 0), (1, 0, 0), (2, 0, 0)], 1), Some(2));
    }

    #[test]
    fn a_slot_that_goes_moves_only_its_own_keys() {
        let all = || (0..8).map(SlotId);
        let without_3 = || all().filter(|s| s.0 != 3);
        let mut moved = 0;
        for key in 0..1000 {
            let before = pinned(key, all()).expect("there are slots");
            let after = pinned(key, without_3()).expect("there are slots");
            if before.0 == 3 {
                moved += 1;
            } else {
                assert_eq!(before, after);
            }
        }
        assert!((60..200).contains(&moved), "{moved} of 1000 keys were on one of 8 slots");
    }
}
