//! Encodings of arguments and results. The main structure is [`Codec`].

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::de::value::BytesDeserializer;
use serde::{Deserialize, Serialize};

/// In the codec byte of a Call: a metadata block stands before the argument.
pub const METADATA_BIT: u8 = 0x80;

/// The longest metadata block.
pub const MAX_METADATA: usize = u16::MAX as usize;

/// How a payload is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Codec {
    /// JSON in UTF-8.
    #[default]
    Json = 1,
    /// MessagePack, structs as maps with names.
    #[serde(alias = "messagepack")]
    Msgpack = 2,
    /// Bytes as they are.
    Bytes = 3,
}

/// Why a value could not be encoded, or a payload not decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// As JSON.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// To MessagePack.
    #[error("MessagePack: {0}")]
    MsgpackEncode(#[from] rmp_serde::encode::Error),
    /// From MessagePack.
    #[error("MessagePack: {0}")]
    MsgpackDecode(#[from] rmp_serde::decode::Error),
    /// From raw bytes, into a type that does not take bytes.
    #[error("raw bytes: {0}")]
    Bytes(#[from] serde::de::value::Error),
    /// The metadata are too long for their block.
    #[error("metadata of {size} bytes, above the limit of {MAX_METADATA}")]
    Metadata {
        /// Their length as JSON.
        size: usize,
    },
}

impl Codec {
    /// The codec that `byte` stands for.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Json),
            2 => Some(Self::Msgpack),
            3 => Some(Self::Bytes),
            _ => None,
        }
    }

    /// Decodes `payload`. [`Codec::Bytes`] can only be decoded into a type that takes bytes, such
    /// as [`Bytes`].
    ///
    /// # Errors
    /// If the payload is not an encoding of a `T`.
    pub fn decode<T: DeserializeOwned>(self, payload: &[u8]) -> Result<T, CodecError> {
        Ok(match self {
            Self::Json => serde_json::from_slice(payload)?,
            Self::Msgpack => rmp_serde::from_slice(payload)?,
            Self::Bytes => T::deserialize(BytesDeserializer::<serde::de::value::Error>::new(payload))?,
        })
    }
}

/// Encodes as JSON.
///
/// # Errors
/// If `value` has no JSON, such as a map whose keys are not strings.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
    let mut out = BytesMut::with_capacity(128).writer();
    serde_json::to_writer(&mut out, value)?;
    Ok(out.into_inner().freeze())
}

/// Encodes as MessagePack, structs as maps with names.
///
/// # Errors
/// If `value` has no MessagePack, such as an integer beyond 64 bits.
pub fn to_msgpack<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
    let mut out = BytesMut::with_capacity(128).writer();
    rmp_serde::encode::write_named(&mut out, value)?;
    Ok(out.into_inner().freeze())
}

/// Appends a metadata block: its length, then a JSON object.
///
/// # Errors
/// If the object is longer than [`MAX_METADATA`]; nothing is then appended.
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
        let json = to_json(&point).expect("it has a JSON");
        assert_eq!(&json[..], r#"{"x":-3,"label":"é"}"#.as_bytes());
        assert_eq!(Codec::Json.decode::<Point>(&json).expect("it is a Point"), point);
        let msgpack = to_msgpack(&point).expect("it has a MessagePack");
        assert_eq!(msgpack[0], 0x82, "a map of two, not an array");
        assert_eq!(Codec::Msgpack.decode::<Point>(&msgpack).expect("it is a Point"), point);
        assert_eq!(
            Codec::Bytes.decode::<Bytes>(b"\xff").expect("it takes bytes"),
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
        put_metadata([("traceparent", "00-1")], &mut out).expect("it is short");
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
