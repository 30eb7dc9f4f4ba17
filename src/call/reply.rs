//! The result of a call. The main structure is [`Reply`].

use std::time::Duration;

use actix_pyproc_actors::id::SlotId;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::error::CallError;
use crate::wire::Codec;
use crate::wire::codec::CodecError;
use crate::wire::frame::ServiceTime;

/// The result that a function returned.
#[derive(Clone, Debug)]
pub struct Reply {
    payload: Bytes,
    codec: Codec,
    slot: SlotId,
    pid: u32,
    service: ServiceTime,
}

impl Reply {
    pub(crate) fn new(codec: Codec, payload: Bytes, slot: SlotId, pid: u32, service: ServiceTime) -> Self {
        Self { payload, codec, slot, pid, service }
    }

    /// Decodes the result with the codec that it was encoded with.
    ///
    /// # Errors
    /// [`CallError::Decode`] if the result is not a `T`. Raw bytes decode only into types that
    /// accept bytes, such as [`Bytes`].
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        self.codec.decode(&self.payload).map_err(undecodable)
    }

    /// Decodes the result as JSON.
    ///
    /// # Errors
    /// [`CallError::Decode`] if it is not the JSON of a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        Codec::Json.decode(&self.payload).map_err(undecodable)
    }

    /// Decodes the result as MessagePack.
    ///
    /// # Errors
    /// [`CallError::Decode`] if it is not the MessagePack of a `T`.
    pub fn msgpack<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        Codec::Msgpack.decode(&self.payload).map_err(undecodable)
    }

    /// The encoded result. It shares memory with the socket's read buffer: copy a small result that
    /// you keep for long.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.payload.clone()
    }

    /// The result as a JSON value, whatever its codec. Raw bytes become a string if they are UTF-8,
    /// else an array of numbers.
    ///
    /// # Errors
    /// [`CallError::Decode`] if the result cannot be expressed in JSON.
    pub fn value(&self) -> Result<serde_json::Value, CallError> {
        match self.codec {
            Codec::Bytes => Ok(match std::str::from_utf8(&self.payload) {
                Ok(text) => text.into(),
                Err(_) => self.payload.to_vec().into(),
            }),
            Codec::Json | Codec::Msgpack => self.decode(),
        }
    }

    /// How the result is encoded.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The slot of the worker that ran the call.
    #[must_use]
    pub const fn served_by(&self) -> SlotId {
        self.slot
    }

    /// The process id of the worker that ran the call.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// How long the call occupied its worker, in microseconds; from 32.768 ms on it is rounded up
    /// by less than 0.1 %.
    #[must_use]
    pub const fn service_time(&self) -> Duration {
        self.service.duration()
    }
}

fn undecodable(error: CodecError) -> CallError {
    CallError::Decode { message: error.to_string().into(), ran: true }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_pyproc_actors::id::SlotId;
    use bytes::Bytes;
    use serde_json::json;

    use super::Reply;
    use crate::error::CallError;
    use crate::wire::Codec;
    use crate::wire::frame::ServiceTime;

    fn reply(codec: Codec, payload: &'static [u8]) -> Reply {
        Reply::new(codec, Bytes::from_static(payload), SlotId(2), 77, ServiceTime(40))
    }

    #[test]
    fn reply_of_each_codec_gives_its_value() {
        assert_eq!(reply(Codec::Json, b"{\"a\":1}").value().expect("it is JSON"), json!({"a": 1}));
        assert_eq!(reply(Codec::Msgpack, b"\x81\xa1a\x01").value().expect("it is a map"), json!({"a": 1}));
        assert_eq!(reply(Codec::Bytes, b"ab").value().expect("it is text"), json!("ab"));
        assert_eq!(reply(Codec::Bytes, b"\xff").value().expect("it is bytes"), json!([255]));
        assert_eq!(reply(Codec::Bytes, b"ab").decode::<Bytes>().expect("it is bytes"), "ab");
        assert_eq!(reply(Codec::Json, b"3").json::<i32>().expect("it is a number"), 3);
        assert_eq!(reply(Codec::Msgpack, b"\x03").msgpack::<i32>().expect("it is a number"), 3);
        let wrong = reply(Codec::Json, b"3").decode::<String>();
        assert!(matches!(wrong, Err(CallError::Decode { ran: true, .. })));
    }

    #[test]
    fn reply_says_who_gave_it_and_how_long_it_took() {
        let reply = reply(Codec::Json, b"3");
        assert_eq!(
            (reply.served_by(), reply.pid(), reply.service_time()),
            (SlotId(2), 77, Duration::from_micros(40))
        );
    }
}
