//! The settings of criterion, and flame graphs for `--profile-time`. The main structure is
//! [`Flame`].

use std::ffi::c_int;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::profiler::Profiler;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use pprof::{ProfilerGuard, ProfilerGuardBuilder};

use super::full_or_quick;
use super::pool::{Host, Work};
use super::report::Report;
use super::sample::{Sample, Until};

/// How many times per second the stack is sampled.
const FREQUENCY: c_int = 997;

/// Writes a flame graph of each profiled benchmark.
#[derive(Default)]
pub(crate) struct Flame<'a>(Option<ProfilerGuard<'a>>);

impl Profiler for Flame<'_> {
    fn start_profiling(&mut self, _: &str, _: &Path) {
        let guard = ProfilerGuardBuilder::default().frequency(FREQUENCY).build();
        self.0 = Some(guard.expect("a timer for the profile"));
    }

    fn stop_profiling(&mut self, _: &str, directory: &Path) {
        let Some(guard) = self.0.take() else { return };
        std::fs::create_dir_all(directory).expect("a directory for the profile");
        let path = directory.join("flamegraph.svg");
        let report = guard.report().build().expect("a profile");
        report.flamegraph(File::create(&path).expect("a file for the profile")).expect("a flame graph");
        println!("flame graph: {}", path.display());
    }
}

/// The settings of all benches here.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(full_or_quick(200, 20)))
        .measurement_time(Duration::from_millis(full_or_quick(600, 60)))
        .without_plots()
        .with_profiler(Flame::default())
}

/// Benches a pool under load. In one iteration each caller makes one call.
pub(crate) fn bench_load(
    group: &mut BenchmarkGroup<'_, WallTime>,
    report: &mut Report,
    id: &str,
    (host, work, callers): (&Host, &Work, usize),
) {
    let mut all = Sample::new();
    group.throughput(Throughput::Elements(callers as u64)).sampling_mode(SamplingMode::Flat);
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|rounds| {
            let sample = host.run(work, callers, Until::Calls(rounds * callers as u64));
            all.extend(&sample);
            sample.elapsed()
        });
    });
    // Criterion skips benchmarks that the filter excludes.
    if all.calls() > 0 {
        report.add_load(id, host, work, callers, &all);
    }
}
