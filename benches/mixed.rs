//! The latency of short calls among long ones: 95 % take 50 µs and 5 % take 20 ms, on 4 workers. It
//! compares late binding with a fixed pipeline of 64 calls per worker, and with one call at a time.
//! The main item is [`main`].

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_pyproc::PoolConfig;
use actix_pyproc::config::Select;
use support::pool::{Host, Work};
use support::report::Report;
use support::sample::{Sample, median};
use support::{full_or_quick, rounds, skipped};

#[global_allocator]
static ALLOCATOR: support::alloc::Counting = support::alloc::Counting;

const WORKERS: usize = 4;
const SHORT: Duration = Duration::from_micros(50);
const LONG: Duration = Duration::from_millis(20);
/// One call in this many is long.
const LONG_EVERY: u32 = 20;

/// How many calls the pool sends to a worker in advance.
#[derive(Clone, Copy)]
struct Policy {
    name: &'static str,
    configure: fn(PoolConfig) -> PoolConfig,
}

const POLICIES: [Policy; 4] = [
    Policy { name: "late binding", configure: |config| config },
    Policy { name: "one at a time", configure: |config| config.max_in_flight(1) },
    // With a budget that is never spent, the pool takes back no call.
    Policy {
        name: "pipeline of 64, least-loaded",
        configure: |config| config.max_in_flight(64).pipeline_budget(Duration::from_secs(3600)),
    },
    Policy {
        name: "pipeline of 64, round-robin",
        configure: |config| {
            config.max_in_flight(64).pipeline_budget(Duration::from_secs(3600)).select(Select::RoundRobin)
        },
    },
];

fn main() {
    if skipped("mixed") {
        return;
    }
    let mut report = Report::new("mixed");
    let hosts = POLICIES.map(|policy| Host::start(|config| (policy.configure)(config.workers(WORKERS))));
    for load in full_or_quick::<&[f64]>(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], &[0.2]) {
        for (policy, short) in POLICIES.iter().zip(in_turn(&hosts, |host| open_loop(host, *load))) {
            add(&mut report, &format!("{:.0} % load/{}", load * 100.0, policy.name), &short);
        }
    }
    for &callers in full_or_quick::<&[usize]>(&[4, 16, 64, 256], &[64]) {
        for (policy, short) in POLICIES.iter().zip(in_turn(&hosts, |host| closed_loop(host, callers))) {
            add(&mut report, &format!("{callers} callers/{}", policy.name), &short);
        }
    }
    for (policy, host) in POLICIES.iter().zip(&hosts) {
        let (work, until) = (Work::predict(), support::sample::Until::For(Duration::from_millis(500)));
        let rate = median((0..rounds()).map(|_| host.run(&work, 256, until).per_second()));
        report.add(format!("tiny calls/{}", policy.name), [("calls_per_s", rate)]);
    }
}

/// The short calls under each policy, measured in turn.
fn in_turn(hosts: &[Host], measure: impl Fn(&Host) -> Sample) -> Vec<Sample> {
    let mut samples: Vec<Sample> = hosts.iter().map(|_| Sample::new()).collect();
    for _ in 0..full_or_quick(3, 1) {
        for (host, sample) in hosts.iter().zip(&mut samples) {
            sample.extend(&measure(host));
        }
    }
    samples
}

fn add(report: &mut Report, id: &str, short: &Sample) {
    let quantiles = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999];
    let names = ["p10_us", "p25_us", "p50_us", "p75_us", "p90_us", "p95_us", "p99_us", "p999_us"];
    let figures = names.into_iter().zip(quantiles.map(|quantile| short.quantile_us(quantile)));
    report.add(id, figures.chain([("short_per_s", short.per_second()), ("calls", short.calls() as f64)]));
}

fn turn() -> Duration {
    Duration::from_millis(full_or_quick(1000, 300))
}

fn works() -> (Work, Work) {
    let us = |time: Duration| u64::try_from(time.as_micros()).expect("the time is short");
    (Work::microseconds("burn_us", us(SHORT)), Work::microseconds("wait_us", us(LONG)))
}

/// An open loop: calls arrive at random times, at a rate that uses this share of the workers.
/// Waiting calls do not delay later ones.
fn open_loop(host: &Host, load: f64) -> Sample {
    let mean = (SHORT * (LONG_EVERY - 1) + LONG) / LONG_EVERY;
    let between = mean.as_secs_f64() / WORKERS as f64 / load;
    let (short, long) = works();
    let sample = Rc::new(RefCell::new(Sample::new()));
    let mut random = fastrand::Rng::with_seed(7);
    let start = Instant::now();
    host.block_on(async {
        let mut due = start;
        let mut tasks = Vec::new();
        while due - start < turn() {
            actix_rt::time::sleep_until(due.into()).await;
            let is_long = random.u32(..LONG_EVERY) == 0;
            let work = if is_long { long.clone() } else { short.clone() };
            let (pool, sample) = (host.pool.clone(), Rc::clone(&sample));
            tasks.push(actix_rt::spawn(async move {
                let sent = Instant::now();
                let reply = pool.request(work.call()).await.expect("the benches' worker answers");
                work.read(&reply);
                if !is_long {
                    sample.borrow_mut().record(sent.elapsed());
                }
            }));
            due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() * between);
        }
        for task in tasks {
            task.await.expect("callers do not panic");
        }
    });
    sample.replace(Sample::new()).end(start.elapsed())
}

/// A closed loop: each caller makes one call after the other, which keeps all workers busy.
fn closed_loop(host: &Host, callers: usize) -> Sample {
    let (short, long) = works();
    let sample = Rc::new(RefCell::new(Sample::new()));
    let random = Rc::new(Cell::new(fastrand::u64(..)));
    let start = Instant::now();
    host.block_on(async {
        let caller = || {
            let (pool, sample, random) = (host.pool.clone(), Rc::clone(&sample), Rc::clone(&random));
            let (short, long) = (short.clone(), long.clone());
            async move {
                while start.elapsed() < turn() {
                    let mut dice = fastrand::Rng::with_seed(random.get());
                    let is_long = dice.u32(..LONG_EVERY) == 0;
                    random.set(dice.u64(..));
                    let work = if is_long { &long } else { &short };
                    let sent = Instant::now();
                    let reply = pool.request(work.call()).await.expect("the benches' worker answers");
                    work.read(&reply);
                    if !is_long {
                        sample.borrow_mut().record(sent.elapsed());
                    }
                }
            }
        };
        let tasks: Vec<_> = (0..callers).map(|_| actix_rt::spawn(caller())).collect();
        for task in tasks {
            task.await.expect("callers do not panic");
        }
    });
    sample.replace(Sample::new()).end(start.elapsed())
}
