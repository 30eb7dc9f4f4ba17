//! The ids that the actors share; the main one is [`CallId`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// The place of a worker in the pool, from 0 to `workers - 1`. It keeps its number when its process
/// is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotId(pub u32);

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which process of a slot is meant: each launch in a pool has the next number, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u32);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one process of the pool, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerKey {
    /// Its slot.
    pub slot: SlotId,
    /// Which process of that slot.
    pub generation: Generation,
}

/// Names one call on one worker: an index into the worker's in-flight table and a sequence number.
///
/// The sequence number changes each time the index is used again, so a late reply is never taken
/// for the reply to another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(u32);

impl CallId {
    /// How many low bits hold the index.
    pub const INDEX_BITS: u32 = 10;
    /// How many calls one worker can have in flight: 1,024.
    pub const MAX_INDEX: usize = 1 << Self::INDEX_BITS;

    /// The id of the use of `index` that has the number `sequence` (its low 22 bits are kept).
    ///
    /// # Panics
    /// If `index` is not below [`CallId::MAX_INDEX`].
    #[must_use]
    pub fn new(index: usize, sequence: u32) -> Self {
        assert!(index < Self::MAX_INDEX, "call index {index} beyond the table");
        Self((sequence << Self::INDEX_BITS) | index as u32)
    }

    /// The id as it came over the wire.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The id as it goes over the wire.
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

/// What the router knows a function by: it keeps one estimate of the service time per class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(pub u32);

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
