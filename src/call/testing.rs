//! What tests of code that calls a pool need: arguments to read, replies to write. The main item is
//! [`Call::reply`].

use std::time::Duration;

use actix_pyproc_actors::id::SlotId;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::{Call, Reply};
use crate::error::CallError;
use crate::wire::Codec;
use crate::wire::codec::{CodecError, to_json, to_msgpack};
use crate::wire::frame::ServiceTime;

/// With the feature `testing`.
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
impl Call {
    /// Decodes the argument with the codec that it was encoded with, for the closure of
    /// [`Pool::fake`](crate::Pool::fake). An absent argument reads as null.
    ///
    /// # Errors
    /// [`CallError::Decode`] if the argument is not a `T`; the function counts as not run.
    pub fn argument<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        let decoded = match self.absent {
            true => Codec::Json.decode(b"null"),
            false => self.codec.decode(&self.payload),
        };
        decoded.map_err(|error| CallError::Decode { message: error.to_string().into(), ran: false })
    }

    /// The reply of a worker that returned `value`: MessagePack for a MessagePack call, else JSON.
    ///
    /// ```
    /// use actix_pyproc::{Call, CallError};
    ///
    /// # fn main() -> Result<(), CallError> {
    /// let call = Call::msgpack("double", &21)?;
    /// let reply = call.reply(&(call.argument::<i64>()? * 2))?;
    /// assert_eq!(reply.msgpack::<i64>()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError::Encode`] if the value cannot be serialized.
    pub fn reply(&self, value: &(impl Serialize + ?Sized)) -> Result<Reply, CallError> {
        match self.codec {
            Codec::Msgpack => Reply::from_msgpack(value),
            Codec::Json | Codec::Bytes => Reply::from_json(value),
        }
    }
}

/// With the feature `testing`.
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
impl Reply {
    /// A reply whose result is JSON.
    ///
    /// ```
    /// # fn main() -> Result<(), actix_pyproc::CallError> {
    /// let reply = actix_pyproc::Reply::from_json(&[1, 2, 3])?;
    /// assert_eq!(reply.json::<Vec<i64>>()?, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError::Encode`] if the value cannot be serialized.
    pub fn from_json(value: &(impl Serialize + ?Sized)) -> Result<Self, CallError> {
        Ok(Self::unserved(Codec::Json, to_json(value).map_err(unencodable)?))
    }

    /// A reply whose result is MessagePack.
    ///
    /// # Errors
    /// [`CallError::Encode`] if the value cannot be serialized.
    pub fn from_msgpack(value: &(impl Serialize + ?Sized)) -> Result<Self, CallError> {
        Ok(Self::unserved(Codec::Msgpack, to_msgpack(value).map_err(unencodable)?))
    }

    /// A reply whose result is raw bytes, as of a function that returns `bytes`.
    pub fn from_bytes(payload: impl Into<Bytes>) -> Self {
        Self::unserved(Codec::Bytes, payload.into())
    }

    /// The same result from a worker.
    pub(crate) fn served(self, slot: SlotId, pid: u32, service: Duration) -> Self {
        Self::new(self.codec(), self.bytes(), slot, pid, service.into())
    }

    fn unserved(codec: Codec, payload: Bytes) -> Self {
        Self::new(codec, payload, SlotId(0), 0, ServiceTime(0))
    }
}

fn unencodable(error: CodecError) -> CallError {
    CallError::Encode { message: error.to_string().into(), ran: true }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::call::{Call, Reply};
    use crate::error::CallError;
    use crate::wire::Codec;

    #[test]
    fn argument_is_read_with_the_codec_of_the_call_and_an_absent_one_is_null() {
        let calls = [Call::json("f", &[1, 2]), Call::msgpack("f", &[1, 2])];
        for call in calls {
            let argument: Vec<i64> = call.and_then(|call| call.argument()).expect("it is a list");
            assert_eq!(argument, [1, 2]);
        }
        let absent = Call::empty("f");
        assert_eq!(absent.argument::<Option<i64>>().expect("null is none"), None);
        let wrong = absent.argument::<i64>();
        assert!(matches!(wrong, Err(CallError::Decode { ran: false, .. })), "{wrong:?}");
    }

    #[test]
    fn reply_has_the_codec_of_the_call() {
        let value = json!({"a": [1, null]});
        for (call, codec) in [
            (Call::json("f", &1).expect("it encodes"), Codec::Json),
            (Call::msgpack("f", &1).expect("it encodes"), Codec::Msgpack),
            (Call::bytes("f", "1"), Codec::Json),
        ] {
            let reply = call.reply(&value).expect("it encodes");
            assert_eq!((reply.codec(), reply.decode::<Value>().expect("it decodes")), (codec, value.clone()));
        }
        assert_eq!(Reply::from_bytes("ab").bytes(), "ab");
    }
}
