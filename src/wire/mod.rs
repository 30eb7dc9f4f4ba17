//! The protocol of `docs/protocol.md`: bytes in, bytes out, no I/O. The main structure is
//! [`Frame`].

pub(crate) mod byte_enum;
pub mod codec;
pub mod frame;
pub mod function;
pub mod message;
#[cfg(test)]
mod vectors;

pub use codec::{Codec, CodecError};
pub use frame::{Frame, FrameDecoder, FrameError, Header, Kind};
