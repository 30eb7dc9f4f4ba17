//! How arguments and results are encoded. The main structure is [`Codec`].

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::de::value::BytesDeserializer;
use serde::{Deserialize, Serialize};

use super::byte_enum::byte_enum;

/// In the codec byte of a Call: a metadata block precedes the argument.
pub const METADATA_BIT: u8 = 0x80;

/// In the codec byte of a Call: there is no argument, and the payload is empty.
pub const ABSENT_BIT: u8 = 0x20;

/// The maximum length of a metadata block.
pub const MAX_METADATA: usize = u16::MAX as usize;

byte_enum! {
    /// How a payload is encoded.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Codec {
        /// JSON in UTF-8.
        #[default]
        Json = 1,
        /// MessagePack; structs are maps keyed by field name.
        #[serde(alias = "messagepack")]
        Msgpack = 2,
        /// Raw bytes.
        Bytes = 3,
    }
}

/// Why encoding a value or decoding a payload failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Encoding or decoding JSON failed.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Encoding MessagePack failed.
    #[error("MessagePack: {0}")]
    MsgpackEncode(#[from] rmp_serde::encode::Error),
    /// Decoding MessagePack failed.
    #[error("MessagePack: {0}")]
    MsgpackDecode(#[from] rmp_serde::decode::Error),
    /// The payload is raw bytes, and the type does not deserialize from bytes.
    #[error("raw bytes: {0}")]
    Bytes(#[from] serde::de::value::Error),
    /// The metadata does not fit into its block.
    #[error("metadata of {size} bytes, above the limit of {MAX_METADATA}")]
    Metadata {
        /// The length of the metadata as JSON.
        size: usize,
    },
}

impl Codec {
    /// Decodes `payload`. [`Codec::Bytes`] decodes only into types that deserialize from bytes,
    /// such as [`Bytes`].
    ///
    /// # Errors
    /// If the payload does not encode a `T`.
    pub fn decode<T: DeserializeOwned>(self, payload: &[u8]) -> Result<T, CodecError> {
        Ok(match self {
            Self::Json => serde_json::from_slice(payload)?,
            Self::Msgpack => rmp_serde::from_slice(payload)?,
            Self::Bytes => T::deserialize(BytesDeserializer::<serde::de::value::Error>::new(payload))?,
        })
    }
}

/// Encodes `value` as JSON.
///
/// # Errors
/// If JSON cannot represent `value`, such as a map whose keys are not strings.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
    let mut out = BytesMut::with_capacity(128).writer();
    serde_json::to_writer(&mut out, value)?;
    Ok(out.into_inner().freeze())
}

/// Encodes `value` as MessagePack; structs become maps keyed by field name.
///
/// # Errors
/// If MessagePack cannot represent `value`, such as an integer beyond 64 bits.
pub fn to_msgpack<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
    let mut out = BytesMut::with_capacity(128).writer();
    rmp_serde::encode::write_named(&mut out, value)?;
    Ok(out.into_inner().freeze())
}

/// Appends a metadata block to `out`: a length, then a JSON object.
///
/// # Errors
/// If the object is longer than [`MAX_METADATA`]; `out` is then unchanged.
pub fn put_metadata<'a>(
    entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    out: &mut BytesMut,
) -> Result<(), CodecError> {
    let start = out.len();
    out.put_u16(0);
    let mut writer = (&mut *out).writer();
    let map = serde::Serializer::collect_map(&mut serde_json::Serializer::new(&mut writer), entries);
    let size = out.len() - start - 2;
    let result = match (map, u16::try_from(size)) {
        (Ok(()), Ok(length)) => {
            out[start..start + 2].copy_from_slice(&length.to_be_bytes());
            return Ok(());
        }
        (Err(error), _) => Err(CodecError::Json(error)),
        (Ok(()), Err(_)) => Err(CodecError::Metadata { size }),
    };
    out.truncate(start);
    result
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use serde::{Deserialize, Serialize};

    use super::{Codec, CodecError, put_metadata, to_json, to_msgpack};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Point {
        x: i64,
        label: Option<String>,
    }

    #[test]
    fn each_codec_gives_back_what_it_was_given() {
        let point = Point { x: -3, label: Some("\u{e9}".into()) };
        let json = to_json(&point).expect("a point encodes as JSON");
        assert_eq!(&json[..], r#"{"x":-3,"label":"é"}"#.as_bytes());
        assert_eq!(Codec::Json.decode::<Point>(&json).expect("the payload is a point"), point);
        let msgpack = to_msgpack(&point).expect("a point encodes as MessagePack");
        assert_eq!(msgpack[0], 0x82, "a map of two entries, not an array");
        assert_eq!(Codec::Msgpack.decode::<Point>(&msgpack).expect("the payload is a point"), point);
        assert_eq!(
            Codec::Bytes.decode::<Bytes>(b"\xff").expect("Bytes deserializes from bytes"),
            Bytes::from_static(b"\xff")
        );
    }

    #[test]
    fn raw_bytes_are_not_decoded_into_a_struct() {
        assert!(matches!(Codec::Bytes.decode::<Point>(b"{}"), Err(CodecError::Bytes(_))));
    }

    #[test]
    fn byte_of_each_codec_is_that_of_the_protocol() {
        for codec in [Codec::Json, Codec::Msgpack, Codec::Bytes] {
            assert_eq!(Codec::from_byte(codec as u8), Some(codec));
        }
        assert_eq!(Codec::from_byte(0), None);
        assert_eq!(Codec::from_byte(0x81), None);
    }

    #[test]
    fn metadata_block_has_its_length_before_it_and_one_too_long_leaves_nothing() {
        let mut out = BytesMut::from(&b"before"[..]);
        put_metadata([("traceparent", "00-1")], &mut out).expect("the metadata is short");
        assert_eq!(&out[..], b"before\x00\x16{\"traceparent\":\"00-1\"}");
        let long = "x".repeat(70_000);
        let mut out = BytesMut::new();
        assert!(matches!(
            put_metadata([("k", &long[..])], &mut out),
            Err(CodecError::Metadata { size: 70_008 })
        ));
        assert!(out.is_empty());
    }
}
