//! The ids that the actors share; the main one is [`CallId`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// The place of a worker in the pool, from 0 to `workers - 1`. The number stays when the process is
/// replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotId(pub u32);

impl From<u32> for SlotId {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a launch in its pool, from 1. No two processes of a pool have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u32);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one process of the pool. The key is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerKey {
    /// Its slot.
    pub slot: SlotId,
    /// Which process of that slot.
    pub generation: Generation,
}

impl fmt::Display for WorkerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}, generation {}", self.slot, self.generation)
    }
}

/// Names one call on one worker: an index into the worker's in-flight table and a sequence number.
///
/// The sequence number changes each time the index is reused, so a late reply is never taken for
/// the reply to another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(u32);

impl CallId {
    /// The low bits that hold the index.
    pub const INDEX_BITS: u32 = 10;
    /// How many calls one worker can have in flight.
    pub const MAX_INDEX: usize = 1 << Self::INDEX_BITS;

    /// The id of use number `sequence` of `index`. Only the low 22 bits of the number count.
    ///
    /// # Panics
    /// If `index` is not below [`CallId::MAX_INDEX`].
    #[must_use]
    pub fn new(index: usize, sequence: u32) -> Self {
        assert!(index < Self::MAX_INDEX, "call index {index} beyond the table");
        Self((sequence << Self::INDEX_BITS) | index as u32)
    }

    /// The id from its bits on the wire.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits of the id on the wire.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The index in the in-flight table.
    #[must_use]
    pub const fn index(self) -> usize {
        (self.0 as usize) & (Self::MAX_INDEX - 1)
    }

    /// The id of the next use of the same index.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1 << Self::INDEX_BITS))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a function in its pool. Each name keeps its number for the life of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId(pub u32);

#[cfg(test)]
mod tests {
    use super::CallId;

    #[test]
    fn next_use_of_an_index_has_another_id_and_the_same_index() {
        let id = CallId::new(1023, (1 << 22) - 1);
        assert_eq!(id.index(), 1023);
        assert_eq!(id.next().index(), 1023);
        assert_ne!(id, id.next());
        assert_eq!(id.next(), CallId::new(1023, 0));
        assert_eq!(CallId::from_bits(id.bits()), id);
    }

    #[test]
    #[should_panic(expected = "beyond the table")]
    fn index_beyond_the_table_is_refused() {
        let _ = CallId::new(1024, 0);
    }
}
