//! Frames that are staged for writing. The main structure is [`Outbox`].

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::wire::Header;

/// Payloads of at least this length are shared instead of copied.
const SHARE_FROM: usize = 32 * 1024;

/// The maximum number of slices in one write.
pub(super) const MAX_SLICES: usize = 16;

/// A buffer that has grown beyond this capacity is freed.
const KEEP_CAPACITY: usize = 1 << 20;

/// Frames in the order of writing. Small payloads are copied into one buffer; large ones are
/// shared.
#[derive(Default)]
pub(super) struct Outbox {
    /// The pieces before `tail`.
    front: VecDeque<Bytes>,
    tail: BytesMut,
}

impl Outbox {
    /// Stages a frame whose payload is `prefix` and `payload`.
    pub(super) fn push(&mut self, header: Header, prefix: &[u8], payload: &Bytes) {
        header.encode(prefix.len() + payload.len(), &mut self.tail);
        self.tail.extend_from_slice(prefix);
        if payload.len() < SHARE_FROM {
            self.tail.extend_from_slice(payload);
        } else {
            self.front.push_back(self.tail.split().freeze());
            self.front.push_back(payload.clone());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.front.is_empty()
    }

    /// All staged bytes, if they are in one piece.
    pub(super) fn single(&self) -> Option<&[u8]> {
        self.front.is_empty().then_some(&self.tail[..])
    }

    /// Fills `slices` with the next pieces and returns their number.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let pieces = self.front.iter().map(|piece| &piece[..]).chain([&self.tail[..]]);
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces.filter(|piece| !piece.is_empty())) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    /// Removes the bytes that have been written.
    pub(super) fn advance(&mut self, mut written: usize) {
        while let Some(piece) = self.front.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.front.pop_front();
        }
        self.tail.advance(written);
        if self.tail.is_empty() {
            match self.tail.capacity() > KEEP_CAPACITY {
                true => self.tail = BytesMut::new(),
                false => self.tail.clear(),
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use bytes::{Bytes, BytesMut};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{MAX_SLICES, Outbox, SHARE_FROM};
    use crate::wire::{Header, Kind};

    const HEADER: Header = Header { kind: Kind::Call, codec: 3, function: 1, call: 2 };

    proptest! {
        #[test]
        fn bytes_leave_in_the_order_of_their_frames_whatever_a_write_takes(
            sizes in proptest::collection::vec((any::<bool>(), 0_usize..50), 0..12),
            writes in proptest::collection::vec(1_usize..70_000, 1..6),
        ) {
            let mut outbox = Outbox::default();
            let mut expected = BytesMut::new();
            for (number, (great, size)) in sizes.into_iter().enumerate() {
                let size = size + if great { SHARE_FROM } else { 0 };
                let payload = Bytes::from(vec![number as u8; size]);
                outbox.push(HEADER, b"meta", &payload);
                HEADER.encode(4 + size, &mut expected);
                expected.extend_from_slice(b"meta");
                expected.extend_from_slice(&payload);
            }
            let mut written = Vec::new();
            for take in writes.into_iter().cycle() {
                if outbox.is_empty() {
                    break;
                }
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let count = outbox.slices(&mut slices);
                prop_assert!(count > 0);
                let all: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
                let take = take.min(all.len());
                written.extend_from_slice(&all[..take]);
                outbox.advance(take);
            }
            prop_assert_eq!(&written[..], &expected[..]);
        }
    }

    #[test]
    fn great_payload_is_shared_and_not_copied() {
        let mut outbox = Outbox::default();
        let payload = Bytes::from(vec![7; SHARE_FROM]);
        outbox.push(HEADER, &[], &payload);
        assert!(outbox.single().is_none());
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        assert_eq!(outbox.slices(&mut slices), 2);
        assert_eq!(slices[1].as_ptr(), payload.as_ptr());
        outbox.clear();
        assert!(outbox.is_empty());
    }
}
