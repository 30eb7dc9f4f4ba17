//! Throughput and latency of many callers, by workers, callers, size and selection. The main item
//! is [`pool_concurrent`].

mod support;

use actix_pyproc::Codec;
use actix_pyproc::config::Select;
use criterion::{Criterion, criterion_group, criterion_main};
use support::full_or_quick;
use support::pool::{Host, Work};
use support::profile::{bench_load, criterion};
use support::report::Report;

#[global_allocator]
static ALLOCATOR: support::alloc::Counting = support::alloc::Counting;

const SELECTS: [(&str, Select); 2] =
    [("least-loaded", Select::LeastLoaded), ("round-robin", Select::RoundRobin)];
const SIZES: [(&str, usize); 3] = [("16 B", 16), ("1 KiB", 1 << 10), ("64 KiB", 64 << 10)];

fn pool_concurrent(criterion: &mut Criterion) {
    let mut report = Report::new("pool_concurrent");
    let mut group = criterion.benchmark_group("pool_concurrent");
    for (select_name, select) in SELECTS {
        for &workers in full_or_quick::<&[usize]>(&[1, 2, 4, 8], &[1, 2]) {
            let host = Host::start(|config| config.workers(workers).select(select));
            for (label, size) in full_or_quick(&SIZES[..], &SIZES[..1]) {
                let work = Work::echo(Codec::Json, *size);
                for &callers in full_or_quick::<&[usize]>(&[1, 8, 64, 256, 1024], &[1, 64, 256]) {
                    let id = format!("{select_name}/{workers} workers/{label}/{callers} callers");
                    bench_load(&mut group, &mut report, &id, (&host, &work, callers));
                }
            }
        }
    }
    group.finish();
}

criterion_group!(name = benches; config = criterion(); targets = pool_concurrent);
criterion_main!(benches);
