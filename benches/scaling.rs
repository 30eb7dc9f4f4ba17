//! Throughput by the number of workers, for work that waits and work that computes. The main item
//! is [`scaling`].

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use support::full_or_quick;
use support::pool::{Host, Work};
use support::profile::{bench_load, criterion};
use support::report::Report;

#[global_allocator]
static ALLOCATOR: support::alloc::Counting = support::alloc::Counting;

fn scaling(criterion: &mut Criterion) {
    let mut report = Report::new("scaling");
    let mut group = criterion.benchmark_group("scaling");
    for &workers in full_or_quick::<&[usize]>(&[1, 2, 4, 8, 16, 32, 64], &[1, 2, 8]) {
        let host = Host::workers(workers);
        let work = Work::microseconds("wait_us", 2000);
        bench_load(
            &mut group,
            &mut report,
            &format!("wait 2 ms/{workers} workers"),
            (&host, &work, 4 * workers),
        );
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for workers in (0..=cores.ilog2()).map(|power| 1 << power) {
        let host = Host::workers(workers);
        let work = Work::microseconds("burn_us", 5000);
        bench_load(
            &mut group,
            &mut report,
            &format!("burn 5 ms/{workers} workers"),
            (&host, &work, 4 * workers),
        );
    }
    group.finish();
}

criterion_group!(name = benches; config = criterion(); targets = scaling);
criterion_main!(benches);
