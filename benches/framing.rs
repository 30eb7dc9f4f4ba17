//! Encoding and decoding of frames, without a socket. The main item is [`framing`].

mod support;

use std::hint::black_box;

use actix_pyproc::wire::{FrameDecoder, Header, Kind};
use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use support::alloc::counted;
use support::profile::criterion;
use support::report::Report;

#[global_allocator]
static ALLOCATOR: support::alloc::Counting = support::alloc::Counting;

const FRAMES: u32 = 1000;
const MAX_FRAME: u32 = 64 << 20;

fn encode(payload: &[u8], out: &mut BytesMut) {
    for call in 0..FRAMES {
        Header { kind: Kind::Reply, codec: 1, function: 5, call }.encode(payload.len(), out);
        out.extend_from_slice(payload);
    }
}

fn decode(mut input: BytesMut) {
    let decoder = FrameDecoder::new(MAX_FRAME);
    while let Some(frame) = decoder.decode(&mut input).expect("the bytes are frames") {
        black_box(frame);
    }
}

fn framing(criterion: &mut Criterion) {
    let mut report = Report::new("framing");
    let mut group = criterion.benchmark_group("framing");
    group.throughput(Throughput::Elements(FRAMES.into()));
    for (label, size) in [("16 B", 16), ("1 KiB", 1 << 10), ("64 KiB", 64 << 10)] {
        let payload = vec![b'x'; size];
        let mut out = BytesMut::new();
        group.bench_function(format!("encode/{label}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                encode(&payload, &mut out);
            });
        });
        let mut input = BytesMut::new();
        encode(&payload, &mut input);
        group.bench_function(format!("decode/{label}"), |bencher| {
            bencher.iter_batched(|| input.clone(), decode, BatchSize::PerIteration);
        });
        let copy = input.clone();
        let ((), allocated) = counted(|| decode(copy));
        let per_frame = |total: u64| total as f64 / f64::from(FRAMES);
        report.add(
            format!("decode/{label}"),
            [
                ("bytes_per_call", per_frame(allocated.bytes)),
                ("allocations_per_call", per_frame(allocated.count)),
            ],
        );
    }
    group.finish();
}

criterion_group!(name = benches; config = criterion(); targets = framing);
criterion_main!(benches);
