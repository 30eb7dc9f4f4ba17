//! The main figures, each beside its floor in the same run. The floor is the same worker, driven by
//! a bare blocking program over the same wire. The main item is [`main`].

mod support;

use std::time::Duration;

use actix_pyproc::Codec;
use support::floor::Floor;
use support::machine::{self, Cores};
use support::pool::{Host, Work, forgiving, recover};
use support::report::{Report, allocated_per_call};
use support::sample::{Pair, Sample, Until, median, side_by_side};
use support::{PREDICT, full_or_quick, rounds, skipped, turn};

#[global_allocator]
static ALLOCATOR: support::alloc::Counting = support::alloc::Counting;

fn main() {
    if skipped("floor") {
        return;
    }
    let mut report = Report::new("floor");
    let mut floor = Floor::start(&machine::worker());
    let host = Host::workers(1);
    one_caller(&mut report, &floor, &host, "");
    busy_poll(&mut report, &floor);
    many_callers(&mut report, &floor, &host);
    large_payload(&mut report, &mut floor, &host);
    allocations(&mut report, &host);
    drop((floor, host));
    scaling(&mut report, "wait 2 ms", &Work::microseconds("wait_us", 2000), 8);
    scaling(&mut report, "burn 5 ms", &Work::microseconds("burn_us", 5000), 2);
    recovery(&mut report);
}

fn add(report: &mut Report, id: &str, unit: [&'static str; 2], pair: &Pair, ratio: f64) {
    report.add(id, [(unit[0], pair.a), (unit[1], pair.b), ("ratio", ratio)]);
}

/// The latency of one caller. The ratio is floor / pool, because less is better.
fn one_caller(report: &mut Report, floor: &Floor, host: &Host, suffix: &str) {
    let mut client = floor.client("predict", Codec::Json, PREDICT);
    let work = Work::predict();
    let workers: Vec<u32> = host.pids().into_iter().chain([floor.pid()]).collect();
    for cores in Cores::all() {
        let pair = cores.during(&workers, || {
            side_by_side(
                || client.run(1, Until::For(turn())).p50_us(),
                || host.run(&work, 1, Until::For(turn())).p50_us(),
            )
        });
        let id = format!("p50 of one caller, {}{suffix}", cores.name());
        add(report, &id, ["floor_us", "pool_us"], &pair, 1.0 / pair.ratio);
    }
}

/// The latency of one caller if the worker polls its socket before it sleeps.
fn busy_poll(report: &mut Report, floor: &Floor) {
    let host = Host::start(|config| config.workers(1).busy_poll(Duration::from_micros(200)));
    one_caller(report, floor, &host, ", busy_poll 200 us");
}

fn many_callers(report: &mut Report, floor: &Floor, host: &Host) {
    let mut client = floor.client("predict", Codec::Json, PREDICT);
    let work = Work::predict();
    for callers in [8, 64, 256] {
        let pair = side_by_side(
            || client.run(callers, Until::For(turn())).per_second(),
            || host.run(&work, callers, Until::For(turn())).per_second(),
        );
        let id = format!("calls/s with {callers} callers");
        add(report, &id, ["floor_per_s", "pool_per_s"], &pair, pair.ratio);
    }
}

fn large_payload(report: &mut Report, floor: &mut Floor, host: &Host) {
    for (label, size) in [("64 KiB", 64 << 10), ("1 MiB", 1 << 20), ("16 MiB", 16 << 20)] {
        let payload = vec![b'x'; size];
        let work = Work::echo(Codec::Bytes, size);
        let mb_per_s = |sample: Sample| sample.per_second() * size as f64 / 1e6;
        let pair = side_by_side(
            || mb_per_s(floor.echo(&payload, Until::For(turn()))),
            || mb_per_s(host.run(&work, 1, Until::For(turn()))),
        );
        let id = format!("{label} bytes echo");
        add(report, &id, ["floor_mb_per_s", "pool_mb_per_s"], &pair, pair.ratio);
    }
}

fn allocations(report: &mut Report, host: &Host) {
    for callers in [1, 256] {
        let per_call = allocated_per_call(host, &Work::predict(), callers);
        let figures = [("bytes", per_call.bytes), ("allocations", per_call.count)];
        report.add(format!("allocated per call, {callers} callers"), figures);
    }
}

/// The throughput of `workers` workers against that of one.
fn scaling(report: &mut Report, name: &str, work: &Work, workers: usize) {
    let (one, many) = (Host::workers(1), Host::workers(workers));
    let per_second =
        |host: &Host, workers: usize| host.run(work, 4 * workers, Until::For(turn())).per_second();
    let pair = side_by_side(|| per_second(&one, 1), || per_second(&many, workers));
    let id = format!("{name}, {workers} workers / 1 worker");
    add(report, &id, ["one_per_s", "many_per_s"], &pair, pair.ratio);
}

fn recovery(report: &mut Report) {
    let host = Host::start(forgiving);
    let times = full_or_quick(15, 3).max(rounds());
    let ms: Vec<f64> = (0..times).map(|_| recover(&host).as_secs_f64() * 1e3).collect();
    let worst = ms.iter().copied().fold(0.0, f64::max);
    report.add("crash to the reply of a replacement", [("p50_ms", median(ms)), ("max_ms", worst)]);
}
