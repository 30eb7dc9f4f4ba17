//! Frames, section 2 of `docs/protocol.md`. The main structure is [`Frame`].

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::byte_enum::byte_enum;

/// The bytes before the payload, including the length.
pub const HEADER_LEN: usize = 12;

/// The bytes of the header that the length counts.
pub const COUNTED_LEN: usize = 8;

/// How many calls a worker can have in flight: the low 10 bits of a call id are an index.
pub const CALL_INDEXES: usize = 1 << 10;

byte_enum! {
    /// What a frame is for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Kind {
        /// The first frame of the host.
        Hello = 1,
        /// The first frame of the worker.
        Welcome = 2,
        /// The worker serves; the payload lists its functions.
        Ready = 3,
        /// The worker failed to start.
        Failed = 4,
        /// A call.
        Call = 16,
        /// Asks the worker to finish its calls and exit.
        Drain = 17,
        /// Asks the worker for a [`Kind::Pong`]. The host does not send it.
        Ping = 18,
        /// Makes the worker misbehave, for tests.
        Fault = 63,
        /// The result of a call.
        Reply = 32,
        /// A call without a result.
        Error = 33,
        /// The answer to a [`Kind::Ping`].
        Pong = 34,
    }
}

/// The header of a frame. The meaning of `codec` and `function` depends on the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is for.
    pub kind: Kind,
    /// The codec of the payload; in an Error, the error code.
    pub codec: u8,
    /// The function of a Call; a Reply or an Error has its [`Header::service_time`] here.
    pub function: u16,
    /// The id of the call.
    pub call: u32,
}

impl Header {
    /// The header of a frame that belongs to no call.
    #[must_use]
    pub const fn control(kind: Kind, codec: u8) -> Self {
        Self { kind, codec, function: 0, call: 0 }
    }

    /// In a Reply or an Error: how long the call occupied the worker.
    #[must_use]
    pub const fn service_time(&self) -> ServiceTime {
        ServiceTime(self.function)
    }

    /// Appends the header of a frame whose payload has `payload_len` bytes.
    ///
    /// # Panics
    /// If the length does not fit into a `u32`. Callers check the payload against a much lower
    /// limit.
    pub fn encode(&self, payload_len: usize, out: &mut BytesMut) {
        let length =
            u32::try_from(payload_len + COUNTED_LEN).expect("callers check the payload against max_frame");
        out.reserve(HEADER_LEN);
        out.put_u32(length);
        out.put_u8(self.kind as u8);
        out.put_u8(self.codec);
        out.put_u16(self.function);
        out.put_u32(self.call);
    }
}

/// How long a call occupied its worker, in 16 bits: exact below 32.768 ms, else a floating-point
/// number of 11 bits, rounded up. The greatest value, four years, stands for longer times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceTime(pub u16);

impl ServiceTime {
    const FLOAT: u16 = 1 << 15;
    /// The least exponent, and the bits of the mantissa behind its leading 1.
    const LEAST_SHIFT: u32 = 5;
    const MANTISSA_BITS: u32 = 10;

    /// The time that a value stands for.
    #[must_use]
    pub const fn duration(self) -> Duration {
        if self.0 < Self::FLOAT {
            return Duration::from_micros(self.0 as u64);
        }
        let lead = 1 << Self::MANTISSA_BITS;
        let mantissa = lead | (self.0 as u64 & (lead - 1));
        let exponent = (self.0 & !Self::FLOAT) as u32 >> Self::MANTISSA_BITS;
        Duration::from_micros(mantissa << (exponent + Self::LEAST_SHIFT))
    }
}

impl From<Duration> for ServiceTime {
    fn from(duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
        if micros < u64::from(Self::FLOAT) {
            return Self(micros as u16);
        }
        let shift = micros.ilog2() - Self::MANTISSA_BITS;
        let mantissa = micros.div_ceil(1 << shift) - (1 << Self::MANTISSA_BITS);
        // A mantissa that is rounded up to the next power of two carries into the exponent.
        let bits = (u64::from(shift - Self::LEAST_SHIFT) << Self::MANTISSA_BITS) + mantissa;
        Self(u16::try_from(u64::from(Self::FLOAT) + bits).unwrap_or(u16::MAX))
    }
}

/// A frame. The payload shares memory with the read buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The header.
    pub header: Header,
    /// The payload.
    pub payload: Bytes,
}

/// Why bytes are not a frame. The connection cannot recover from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is shorter than the header.
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
        /// The limit.
        max: u32,
    },
    /// The kind is unknown.
    #[error("a frame of unknown kind {kind}")]
    UnknownKind {
        /// The kind that was read.
        kind: u8,
    },
}

/// Splits frames off the front of a read buffer.
#[derive(Clone, Copy, Debug)]
pub struct FrameDecoder {
    max_frame: u32,
}

impl FrameDecoder {
    /// A decoder that rejects lengths above `max_frame`, which counts the payload and 8 bytes of
    /// the header, as in Hello.
    #[must_use]
    pub const fn new(max_frame: u32) -> Self {
        Self { max_frame }
    }

    /// The next frame, or `None` if it is incomplete. Payloads are neither copied nor allocated.
    ///
    /// # Errors
    /// If the buffer does not start with a frame. An incomplete header suffices to detect it.
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

    /// How many bytes the frame at the front lacks; with an incomplete header, how many the header
    /// lacks.
    ///
    /// # Errors
    /// If the buffer does not start with a frame.
    pub fn missing(&self, buf: &[u8]) -> Result<usize, FrameError> {
        let wanted = self.payload_len(buf)?.unwrap_or(0) + HEADER_LEN;
        Ok(wanted.saturating_sub(buf.len()))
    }

    /// The checked length of the payload, or `None` if the buffer ends before the kind.
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
                while let Some(frame) = DECODER.decode(&mut buf).expect("the input is valid") {
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
            prop_assert_eq!(DECODER.missing(&bytes[..cut]).expect("the input is valid"), bytes.len() - cut);
        }
    }

    #[test]
    fn bad_length_is_told_by_its_four_bytes_alone() {
        let mut short = BytesMut::from(&[0, 0, 0, 7][..]);
        assert_eq!(DECODER.decode(&mut short), Err(FrameError::TooShort { length: 7 }));
        let mut long = BytesMut::from(&[0xff, 0xff, 0xff, 0xff][..]);
        assert_eq!(DECODER.decode(&mut long), Err(FrameError::TooLong { length: u32::MAX, max: 4096 }));
        assert!(long.capacity() < 64, "a rejected length must not allocate");
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
