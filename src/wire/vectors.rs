//! Tests with the golden frames of both languages, `tests/vectors/frames.json`.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;
use serde::Deserialize;

use super::codec::{METADATA_BIT, put_metadata};
use super::frame::ServiceTime;
use super::message::{Failure, Hello, Incoming};
use super::{FrameDecoder, FrameError, Header, Kind};

const KINDS: [(&str, Kind); 11] = [
    ("hello", Kind::Hello),
    ("welcome", Kind::Welcome),
    ("ready", Kind::Ready),
    ("failed", Kind::Failed),
    ("call", Kind::Call),
    ("drain", Kind::Drain),
    ("ping", Kind::Ping),
    ("fault", Kind::Fault),
    ("reply", Kind::Reply),
    ("error", Kind::Error),
    ("pong", Kind::Pong),
];

#[derive(Deserialize)]
struct Vectors {
    frames: Vec<Golden>,
    invalid: Vec<Bad>,
    incomplete: Vec<Bad>,
    service_times: Vec<ServiceTimeRow>,
}

#[derive(Deserialize)]
struct ServiceTimeRow {
    microseconds: u64,
    field: u16,
    means: u64,
}

#[derive(Deserialize)]
struct Golden {
    name: String,
    kind: String,
    codec: u8,
    function: u16,
    call: u32,
    payload_hex: String,
    metadata: Option<BTreeMap<String, String>>,
    frame_hex: String,
}

#[derive(Deserialize)]
struct Bad {
    name: String,
    max_frame: u32,
    bytes_hex: String,
    #[serde(default)]
    error: String,
}

impl Golden {
    fn header(&self) -> Header {
        let (_, kind) =
            KINDS.into_iter().find(|(name, _)| *name == self.kind).expect("the file names known kinds");
        Header { kind, codec: self.codec, function: self.function, call: self.call }
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../tests/vectors/frames.json"))
        .expect("the file matches the structures above")
}

fn bytes(hex: &str) -> BytesMut {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("each byte has two digits");
    (0..hex.len()).step_by(2).map(digits).collect()
}

#[test]
fn golden_frames_are_what_is_encoded() {
    for golden in vectors().frames {
        let payload = bytes(&golden.payload_hex);
        let mut out = BytesMut::new();
        golden.header().encode(payload.len(), &mut out);
        out.extend_from_slice(&payload);
        assert_eq!(out, bytes(&golden.frame_hex), "{}", golden.name);
    }
}

#[test]
fn golden_frames_are_decoded_byte_by_byte() {
    let decoder = FrameDecoder::new(64 * 1024);
    for golden in vectors().frames {
        let frame = bytes(&golden.frame_hex);
        let mut buf = BytesMut::new();
        for (at, byte) in frame.iter().enumerate() {
            assert_eq!(decoder.decode(&mut buf), Ok(None), "{} at {at}", golden.name);
            buf.extend_from_slice(&[*byte]);
        }
        let seen =
            decoder.decode(&mut buf).expect("a golden frame is valid").expect("a golden frame is complete");
        assert_eq!((seen.header, &seen.payload[..]), (golden.header(), &bytes(&golden.payload_hex)[..]));
    }
}

#[test]
fn golden_metadata_are_what_is_put_before_the_argument() {
    for golden in vectors().frames {
        assert_eq!(golden.metadata.is_some(), golden.kind == "call" && golden.codec & METADATA_BIT != 0);
        let Some(metadata) = golden.metadata else { continue };
        let mut block = BytesMut::new();
        put_metadata(metadata.iter().map(|(key, value)| (&key[..], &value[..])), &mut block)
            .expect("golden metadata fits");
        assert!(bytes(&golden.payload_hex).starts_with(&block), "{}", golden.name);
    }
}

#[test]
fn golden_frames_of_the_worker_are_understood_and_those_of_the_host_are_not() {
    let decoder = FrameDecoder::new(64 * 1024);
    for golden in vectors().frames {
        let frame = decoder
            .decode(&mut bytes(&golden.frame_hex))
            .expect("a golden frame is valid")
            .expect("a golden frame is complete");
        // The host sends no Ping, so it expects no Pong.
        let host = matches!(golden.kind.as_str(), "hello" | "call" | "drain" | "ping" | "fault" | "pong");
        match Incoming::decode(frame.clone()) {
            Ok(Incoming::Failed(failure) | Incoming::Error { failure, .. }) => {
                let expected: Failure =
                    serde_json::from_slice(&frame.payload).expect("the payload is a failure");
                assert_eq!(failure, expected, "{}", golden.name);
            }
            Ok(_) => assert!(!host, "{}", golden.name),
            Err(error) => assert!(host, "{}: {error}", golden.name),
        }
        if golden.kind == "hello" {
            let hello: Hello = serde_json::from_slice(&frame.payload).expect("the payload is a Hello");
            assert_eq!(
                serde_json::to_vec(&hello).expect("a Hello encodes as JSON"),
                frame.payload,
                "the encoding is the same to the byte"
            );
        }
    }
}

#[test]
fn service_times_are_rounded_up_to_what_the_field_can_express() {
    for ServiceTimeRow { microseconds, field, means } in vectors().service_times {
        let exact = Duration::from_micros(microseconds);
        assert_eq!(ServiceTime::from(exact), ServiceTime(field), "{microseconds}");
        let header = Header { kind: Kind::Reply, codec: 1, function: field, call: 0 };
        assert_eq!(header.service_time().duration(), Duration::from_micros(means), "{microseconds}");
        assert_eq!(ServiceTime::from(header.service_time().duration()), ServiceTime(field), "{microseconds}");
    }
    assert_eq!(ServiceTime::from(Duration::from_nanos(1001)), ServiceTime(2));
    assert_eq!(ServiceTime::from(Duration::MAX), ServiceTime(u16::MAX));
}

#[test]
fn invalid_bytes_are_refused_and_incomplete_ones_waited_for() {
    let Vectors { invalid, incomplete, .. } = vectors();
    for bad in invalid {
        let error = FrameDecoder::new(bad.max_frame).decode(&mut bytes(&bad.bytes_hex)).expect_err(&bad.name);
        let name = match error {
            FrameError::TooShort { .. } => "too_short",
            FrameError::TooLong { .. } => "too_long",
            FrameError::UnknownKind { .. } => "unknown_kind",
        };
        assert_eq!(name, bad.error, "{}", bad.name);
    }
    for part in incomplete {
        assert_eq!(
            FrameDecoder::new(part.max_frame).decode(&mut bytes(&part.bytes_hex)),
            Ok(None),
            "{}",
            part.name
        );
    }
}
