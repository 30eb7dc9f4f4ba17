//! Fuzzes the frame decoder: any bytes, split anywhere, are frames or an error. It never panics,
//! and never asks for more memory than the limit allows.
#![no_main]

use actix_pyproc::wire::message::Incoming;
use actix_pyproc::wire::FrameDecoder;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

const MAX_FRAME: u32 = 4096;

fuzz_target!(|input: (u8, &[u8])| {
    let (chunk, bytes) = input;
    let decoder = FrameDecoder::new(MAX_FRAME);
    let mut whole = BytesMut::from(bytes);
    let mut expected = Vec::new();
    let end = loop {
        match decoder.decode(&mut whole) {
            Ok(Some(frame)) => expected.push(frame),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let mut buf = BytesMut::new();
    let mut seen = Vec::new();
    let mut error = None;
    'pieces: for piece in bytes.chunks(usize::from(chunk).max(1)) {
        buf.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buf) {
                Ok(Some(frame)) => seen.push(frame),
                Ok(None) => break,
                Err(found) => {
                    error = Some(found);
                    break 'pieces;
                }
            }
        }
        assert!(decoder.missing(&buf).is_ok_and(|missing| missing <= MAX_FRAME as usize + 4));
    }
    assert_eq!((seen, error), (expected.clone(), end));
    for frame in expected {
        // A worker may send invalid messages; decoding them must not panic.
        let _ = Incoming::decode(frame);
    }
});
