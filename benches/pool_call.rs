//! The latency of a call with one caller and one worker, by size and codec. The main item is
//! [`pool_call`].

mod support;

use actix_pyproc::Codec;
use criterion::{Criterion, criterion_group, criterion_main};
use support::pool::{Host, Work};
use support::profile::{bench_load, criterion};
use support::report::Report;

#[global_allocator]
static ALLOCATOR: support::alloc::Counting = support::alloc::Counting;

const SIZES: [(&str, usize); 6] = [
    ("16 B", 16),
    ("1 KiB", 1 << 10),
    ("16 KiB", 16 << 10),
    ("256 KiB", 256 << 10),
    ("1 MiB", 1 << 20),
    ("16 MiB", 16 << 20),
];

fn pool_call(criterion: &mut Criterion) {
    let mut report = Report::new("pool_call");
    let host = Host::workers(1);
    let mut group = criterion.benchmark_group("pool_call");
    bench_load(&mut group, &mut report, "predict", (&host, &Work::predict(), 1));
    for (codec, name) in [(Codec::Json, "json"), (Codec::Msgpack, "msgpack"), (Codec::Bytes, "bytes")] {
        for (label, size) in SIZES {
            let work = Work::echo(codec, size);
            bench_load(&mut group, &mut report, &format!("{name}/{label}"), (&host, &work, 1));
        }
    }
    group.finish();
}

criterion_group!(name = benches; config = criterion(); targets = pool_call);
criterion_main!(benches);
