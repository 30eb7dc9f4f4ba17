//! The message of a call and its reply. The main structure is [`Call`].

mod affinity;
mod reply;
#[cfg(feature = "testing")]
mod testing;

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::Duration;

use actix_pyproc_actors::backend::Routable;
use bytes::{Bytes, BytesMut};
use serde::Serialize;

use crate::error::CallError;
use crate::wire::Codec;
use crate::wire::codec::{ABSENT_BIT, CodecError, METADATA_BIT, put_metadata, to_json, to_msgpack};

pub use affinity::AffinityKey;
pub use reply::Reply;

/// A call of a Python function: an actor message whose result is a [`Reply`] or a [`CallError`].
///
/// ```
/// use actix_pyproc::{Call, CallError};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), CallError> {
/// let call = Call::json("predict", &[1, 2, 3])?
///     .timeout(Duration::from_secs(2))
///     .idempotent()
///     .affinity("customer 7");
/// assert_eq!(call.function(), "predict");
/// assert_eq!(&call.payload()[..], b"[1,2,3]");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Call {
    function: Cow<'static, str>,
    payload: Bytes,
    timeout: Option<Duration>,
    affinity: Option<u64>,
    metadata: Option<Box<Metadata>>,
    codec: Codec,
    idempotent: bool,
    absent: bool,
}

/// The strings that go with a call, and their block as encoded for the wire.
#[derive(Clone, Debug, Default)]
struct Metadata {
    entries: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// Encoded when it is first read; the message of the error if the entries are too long for it.
    block: OnceLock<Result<Bytes, Box<str>>>,
}

impl Metadata {
    fn encode(&self) -> Result<Bytes, Box<str>> {
        let mut block = BytesMut::new();
        put_metadata(self.entries.iter().map(|(key, value)| (&**key, &**value)), &mut block)
            .map_err(|error| error.to_string())?;
        Ok(block.freeze())
    }
}

impl Call {
    /// Creates a call with a JSON argument. Values that JSON cannot express, such as NaN, become
    /// `null`, as serde_json writes them.
    ///
    /// # Errors
    /// [`CallError::Encode`] if the argument cannot be serialized to JSON.
    pub fn json(
        function: impl Into<Cow<'static, str>>,
        argument: &(impl Serialize + ?Sized),
    ) -> Result<Self, CallError> {
        Ok(Self::new(function.into(), Codec::Json, to_json(argument).map_err(unencodable)?))
    }

    /// Creates a call whose argument and result are MessagePack.
    ///
    /// # Errors
    /// [`CallError::Encode`] if the argument cannot be serialized to MessagePack.
    pub fn msgpack(
        function: impl Into<Cow<'static, str>>,
        argument: &(impl Serialize + ?Sized),
    ) -> Result<Self, CallError> {
        Ok(Self::new(function.into(), Codec::Msgpack, to_msgpack(argument).map_err(unencodable)?))
    }

    /// Creates a call whose argument is raw bytes, which go to the socket without a copy.
    pub fn bytes(function: impl Into<Cow<'static, str>>, argument: impl Into<Bytes>) -> Self {
        Self::new(function.into(), Codec::Bytes, argument.into())
    }

    /// Creates a call whose argument is JSON text. The text is not checked here; the worker rejects
    /// invalid JSON.
    pub fn raw_json(function: impl Into<Cow<'static, str>>, argument: impl Into<Bytes>) -> Self {
        Self::new(function.into(), Codec::Json, argument.into())
    }

    /// Creates a call whose argument is encoded MessagePack. It is not checked here.
    pub fn raw_msgpack(function: impl Into<Cow<'static, str>>, argument: impl Into<Bytes>) -> Self {
        Self::new(function.into(), Codec::Msgpack, argument.into())
    }

    /// Creates a call without an argument: every parameter has its default. The result is JSON.
    pub fn empty(function: impl Into<Cow<'static, str>>) -> Self {
        Self { absent: true, ..Self::new(function.into(), Codec::Json, Bytes::new()) }
    }

    /// Creates a call without an argument, whose result is MessagePack.
    pub fn empty_msgpack(function: impl Into<Cow<'static, str>>) -> Self {
        Self { codec: Codec::Msgpack, ..Self::empty(function) }
    }

    fn new(function: Cow<'static, str>, codec: Codec, payload: Bytes) -> Self {
        Self {
            function,
            payload,
            timeout: None,
            affinity: None,
            metadata: None,
            codec,
            idempotent: false,
            absent: false,
        }
    }

    /// Sets the deadline: the call ends with [`CallError::DeadlineExceeded`] this long after the
    /// pool admitted it. Default: `call_timeout` of the configuration.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Allows the pool to retry the call if a worker dies while it runs.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Routes calls with equal keys to the same worker for as long as it lives, whether they come
    /// from Rust or over HTTP.
    #[must_use]
    pub fn affinity(mut self, key: impl AffinityKey) -> Self {
        self.affinity = Some(affinity::hash(&key));
        self
    }

    /// Adds a string that the function can read beside its argument. A later value of the same key
    /// replaces the earlier one.
    #[must_use]
    pub fn metadata(
        mut self,
        key: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        let key = key.into();
        let metadata = self.metadata.get_or_insert_default();
        metadata.entries.retain(|(other, _)| *other != key);
        metadata.entries.push((key, value.into()));
        metadata.block = OnceLock::new();
        self
    }

    /// Sets the W3C trace context of the call.
    #[must_use]
    pub fn traceparent(self, traceparent: impl Into<Cow<'static, str>>) -> Self {
        self.metadata("traceparent", traceparent)
    }

    /// The name of the function.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.function
    }

    /// How the argument is encoded.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The encoded argument.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The value of a metadata key.
    #[must_use]
    pub fn metadata_value(&self, key: &str) -> Option<&str> {
        let metadata = self.metadata.as_ref()?;
        metadata.entries.iter().find(|(other, _)| other == key).map(|(_, value)| &**value)
    }

    /// Whether the pool may retry the call if a worker dies while it runs.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The codec byte of the call's frame.
    pub(crate) fn codec_byte(&self) -> u8 {
        let metadata = if self.metadata.is_some() { METADATA_BIT } else { 0 };
        let absent = if self.absent { ABSENT_BIT } else { 0 };
        self.codec as u8 | metadata | absent
    }

    /// The metadata block, which is empty if the call has no metadata.
    pub(crate) fn metadata_block(&self) -> Result<&[u8], CallError> {
        let Some(metadata) = &self.metadata else { return Ok(&[]) };
        match metadata.block.get_or_init(|| metadata.encode()) {
            Ok(block) => Ok(block),
            Err(message) => Err(CallError::Encode { message: message.clone(), ran: false }),
        }
    }
}

impl actix::Message for Call {
    type Result = Result<Reply, CallError>;
}

impl Routable for Call {
    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn idempotent(&self) -> bool {
        self.idempotent
    }

    fn size(&self) -> usize {
        let metadata = self.metadata.iter().flat_map(|metadata| metadata.entries.iter());
        self.payload.len() + metadata.map(|(key, value)| key.len() + value.len()).sum::<usize>()
    }

    fn affinity(&self) -> Option<u64> {
        self.affinity
    }
}

fn unencodable(error: CodecError) -> CallError {
    CallError::Encode { message: error.to_string().into(), ran: false }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use actix_pyproc_actors::backend::Routable;

    use super::Call;
    use crate::error::CallError;

    #[test]
    fn what_the_builder_sets_is_what_the_actors_read() {
        let call = Call::bytes("f", &b"x"[..]);
        assert_eq!(
            (Routable::timeout(&call), Routable::idempotent(&call), Routable::affinity(&call)),
            (None, false, None)
        );
        let call = call.timeout(Duration::from_secs(1)).idempotent().affinity(7);
        assert_eq!(Routable::timeout(&call), Some(Duration::from_secs(1)));
        assert!(Routable::idempotent(&call) && call.is_idempotent());
        assert_eq!(Routable::affinity(&call), Routable::affinity(&Call::bytes("g", &b""[..]).affinity(7)));
        assert_ne!(Routable::affinity(&call), Routable::affinity(&Call::bytes("g", &b""[..]).affinity(8)));
    }

    #[test]
    fn metadata_stand_before_the_argument_and_the_last_of_a_key_counts() {
        let call = Call::bytes("f", &b""[..]).traceparent("00-1").metadata("traceparent", "00-2");
        assert_eq!(call.codec_byte(), 0x83);
        assert_eq!(call.metadata_value("traceparent"), Some("00-2"));
        assert_eq!(call.size(), 15, "it counts in the queue's bytes");
        let block = call.metadata_block().expect("it is short");
        assert_eq!(&block[2..], br#"{"traceparent":"00-2"}"#);
        let long = call.metadata("long", "x".repeat(70_000));
        assert!(matches!(long.metadata_block(), Err(CallError::Encode { ran: false, .. })));
        let short = long.metadata("long", "x");
        assert!(short.metadata_block().is_ok(), "what is too long can be replaced");
    }

    #[test]
    fn argument_that_has_no_json_is_refused_before_anything_is_sent() {
        let keys = HashMap::from([(vec![1], 1)]);
        assert!(matches!(Call::json("f", &keys), Err(CallError::Encode { ran: false, .. })));
    }

    #[test]
    fn clone_is_the_same_call() {
        let call = Call::raw_json("f", "1").timeout(Duration::from_secs(1)).idempotent().metadata("k", "v");
        let clone = call.clone();
        assert_eq!(format!("{clone:?}"), format!("{call:?}"));
    }
}
