//! Frames, section 2 of `docs/protocol.md`. The main structure is [`Frame`].

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The bytes that stand before the payload, the length among them.
pub const HEADER_LEN: usize = 12;

/// The bytes of a frame that its length counts although they are not payload.
pub const COUNTED_LEN: usize = 8;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The host's first frame.
    Hello = 1,
    /// The worker's first frame.
    Welcome = 2,
    /// The worker serves, and says what.
    Ready = 3,
    /// The worker cannot start.
    Failed = 4,
    /// A call.
    Call = 16,
    /// The worker is to finish what it has, and exit.
    Drain = 17,
    /// The worker is to answer with [`Kind::Pong`].
    Ping = 18,
    /// The worker is to do something wrong, for tests.
    Fault = 63,
    /// The result of a call.
    Reply = 32,
    /// A call that gave no result.
    Error = 33,
    /// The answer to [`Kind::Ping`].
    Pong = 34,
}

impl Kind {
    /// The kind that `byte` stands for.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Ready,
            4 => Self::Failed,
            16 => Self::Call,
            17 => Self::Drain,
            18 => Self::Ping,
            63 => Self::Fault,
            32 => Self::Reply,
            33 => Self::Error,
            34 => Self::Pong,
            _ => return None,
        })
    }
}

/// What stands before the payload. What `codec` and `function` mean depends on the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is for.
    pub kind: Kind,
    /// How the payload is encoded; in an Error, its code.
    pub codec: u8,
    /// The function that is called; in a Reply or an Error, the service time.
    pub function: u16,
    /// Which call.
    pub call: u32,
}

impl Header {
    /// A header of a frame that belongs to no call.
    #[must_use]
    pub const fn control(kind: Kind, codec: u8) -> Self {
        Self { kind, codec, function: 0, call: 0 }
    }

    /// Appends the header of a frame whose payload has `payload_len` bytes.
    ///
    /// # Panics
    /// If the frame is longer than a `u32` can tell. Callers check the payload against a limit that
    /// is far below.
    pub fn encode(&self, payload_len: usize, out: &mut BytesMut) {
        let length =
            u32::try_from(payload_len + COUNTED_LEN).expect("a payload is checked against max_frame before");
        out.reserve(HEADER_LEN);
        out.put_u32(length);
        out.put_u8(self.kind as u8);
        out.put_u8(self.codec);
        out.put_u16(self.function);
        out.put_u32(self.call);
    }
}

/// One frame, its payload shared with the buffer that it was read into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What stands before the payload.
    pub header: Header,
    /// The rest.
    pub payload: Bytes,
}

/// Why bytes are no frame. The connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length does not cover the header.
    #[error("a frame of length {length}, below its header")]
    TooShort {
        /// The length that was read.
        length: u32,
    },
    /// The length is above the limit.
    #[error("a frame of length {length}, above the limit of {max}")]
    TooLong {
        /// The length that was read.
        length: u32,
        /// The highest that is taken.
        max: u32,
    },
    /// The kind is unknown.
    #[error("a frame of unknown kind {kind}")]
    UnknownKind {
        /// The kind that was read.
        kind: u8,
    },
}

/// Cuts frames off the front of a read buffer.
#[derive(Clone, Copy, Debug)]
pub struct FrameDecoder {
    max_frame: u32,
}

impl FrameDecoder {
    /// A decoder that refuses lengths above `max_frame` (as Hello tells it: the payload and 8).
    #[must_use]
    pub const fn new(max_frame: u32) -> Self {
        Self { max_frame }
    }

    /// The next frame, or `None` if it is not all there. Nothing is copied or allocated for a
    /// payload.
    ///
    /// # Errors
    /// If the buffer does not start with a frame; it is told as soon as the bytes that show it are
    /// there.
    pub fn decode(&self, buf: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some(payload_len) = self.payload_len(buf)? else {
            return Ok(None);
        };
        if buf.len() < HEADER_LEN + payload_len {
            return Ok(None);
        }
        let kind = Kind::from_byte(buf[4]).expect("payload_len has checked the kind");
        let header = Header {
            kind,
            codec: buf[5],
            function: u16::from_be_bytes([buf[6], buf[7]]),
            call: u32::from_be_bytes([buf[8], buf[9], buf[10], buf[11]]),
        };
        buf.advance(HEADER_LEN);
        Ok(Some(Frame { header, payload: buf.split_to(payload_len).freeze() }))
    }

    /// How many bytes are missing to the frame at the front, as far as can be told.
    ///
    /// # Errors
    /// If the buffer does not start with a frame.
    pub fn missing(&self, buf: &[u8]) -> Result<usize, FrameError> {
        let wanted = self.payload_len(buf)?.unwrap_or(0) + HEADER_LEN;
        Ok(wanted.saturating_sub(buf.len()))
    }

    /// The payload's length, checked, if the buffer has enough to tell it.
    fn payload_len(&self, buf: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = buf.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix);
        if (length as usize) < COUNTED_LEN {
            return Err(FrameError::TooShort { length });
        }
        if length > self.max_frame {
            return Err(FrameError::TooLong { length, max: self.max_frame });
        }
        let Some(&kind) = buf.get(4) else {
            return Ok(None);
        };
        if Kind::from_byte(kind).is_none() {
            return Err(FrameError::UnknownKind { kind });
        }
        Ok(Some(length as usize - COUNTED_LEN))
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::{Frame, FrameDecoder, FrameError, Header, Kind};

    const DECODER: FrameDecoder = FrameDecoder::new(4096);

    fn encoded(frames: &[Frame]) -> BytesMut {
        let mut out = BytesMut::new();
        for frame in frames {
            frame.header.encode(frame.payload.len(), &mut out);
            out.extend_from_slice(&frame.payload);
        }
        out
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let kind = prop_oneof![
            Just(Kind::Hello),
            Just(Kind::Failed),
            Just(Kind::Call),
            Just(Kind::Drain),
            Just(Kind::Reply),
            Just(Kind::Pong)
        ];
        (kind, any::<u8>(), any::<u16>(), any::<u32>(), proptest::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(kind, codec, function, call, payload)| Frame {
                header: Header { kind, codec, function, call },
                payload: Bytes::from(payload),
            })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_however_it_is_split(
            frames in proptest::collection::vec(frame(), 0..6),
            chunk in 1_usize..40,
        ) {
            let bytes = encoded(&frames);
            let mut buf = BytesMut::new();
            let mut seen = Vec::new();
            for piece in bytes.chunks(chunk) {
                buf.extend_from_slice(piece);
                while let Some(frame) = DECODER.decode(&mut buf).expect("the bytes are frames") {
                    seen.push(frame);
                }
            }
            prop_assert_eq!(seen, frames);
            prop_assert!(buf.is_empty());
        }

        #[test]
        fn any_bytes_are_frames_or_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut buf = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = DECODER.decode(&mut buf) {}
        }

        #[test]
        fn missing_is_what_makes_the_frame_whole(frame in frame(), cut in any::<proptest::sample::Index>()) {
            let bytes = encoded(&[frame]);
            let cut = 5 + cut.index(bytes.len() - 5);
            prop_assert_eq!(DECODER.missing(&bytes[..cut]).expect("the bytes are a frame"), bytes.len() - cut);
        }
    }

    #[test]
    fn bad_length_is_told_by_its_four_bytes_alone() {
        let mut short = BytesMut::from(&[0, 0, 0, 7][..]);
        assert_eq!(DECODER.decode(&mut short), Err(FrameError::TooShort { length: 7 }));
        let mut long = BytesMut::from(&[0xff, 0xff, 0xff, 0xff][..]);
        assert_eq!(DECODER.decode(&mut long), Err(FrameError::TooLong { length: u32::MAX, max: 4096 }));
        assert!(long.capacity() < 64, "nothing was allocated for it");
    }

    #[test]
    fn frame_as_long_as_the_limit_is_taken_and_one_byte_more_is_not() {
        let mut buf = BytesMut::new();
        Header::control(Kind::Drain, 0).encode(4096 - 8, &mut buf);
        assert_eq!(DECODER.decode(&mut buf), Ok(None));
        assert_eq!(DECODER.missing(&buf), Ok(4096 - 8));
        let mut buf = BytesMut::new();
        Header::control(Kind::Drain, 0).encode(4096 - 7, &mut buf);
        assert_eq!(DECODER.decode(&mut buf), Err(FrameError::TooLong { length: 4097, max: 4096 }));
    }

    #[test]
    fn unknown_kind_is_told_before_its_payload_is_there() {
        let mut buf = BytesMut::from(&[0, 0, 0, 200, 48][..]);
        assert_eq!(DECODER.decode(&mut buf), Err(FrameError::UnknownKind { kind: 48 }));
    }
}
