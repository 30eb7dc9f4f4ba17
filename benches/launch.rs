//! The time that a pool takes to start, to reload, and to recover from a crash. The main item is
//! [`launch`].

mod support;

use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use support::full_or_quick;
use support::pool::{Host, forgiving, recover};
use support::profile::criterion;
use support::report::Report;
use support::sample::Sample;

/// Benches a single event, and reports how long it took.
fn bench(criterion: &mut Criterion, report: &mut Report, id: &str, mut event: impl FnMut() -> Duration) {
    let mut all = Sample::new();
    let mut group = criterion.benchmark_group("launch");
    group.sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_millis(full_or_quick(2000, 100)));
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|times| {
            (0..times)
                .map(|_| {
                    let took = event();
                    all.record(took);
                    took
                })
                .sum()
        });
    });
    group.finish();
    if all.calls() > 0 {
        let ms = |quantile| all.quantile_us(quantile) / 1e3;
        let figures =
            [("p50_ms", ms(0.5)), ("p95_ms", ms(0.95)), ("max_ms", ms(1.0)), ("times", all.calls() as f64)];
        report.add(id, figures);
    }
}

fn launch(criterion: &mut Criterion) {
    let mut report = Report::new("launch");
    for workers in [1, 4] {
        bench(criterion, &mut report, &format!("start/{workers} workers"), || {
            let start = Instant::now();
            let host = Host::workers(workers);
            let took = start.elapsed();
            drop(host);
            took
        });
    }
    let host = Host::workers(1);
    bench(criterion, &mut report, "reload of 1 worker", || {
        let start = Instant::now();
        host.block_on(host.pool.reload()).expect("the new worker starts");
        start.elapsed()
    });
    drop(host);
    let host = Host::start(forgiving);
    bench(criterion, &mut report, "kill -9 to the next reply", || recover(&host));
}

criterion_group!(name = benches; config = criterion(); targets = launch);
criterion_main!(benches);
