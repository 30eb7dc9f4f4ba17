//! A test of an application whose workers die: it fails if a call gets no answer or an unexpected
//! one.
//!
//!     cargo run --release --features fault-injection --example chaos_test

use std::time::{Duration, Instant};

use actix_pyproc::fault::{FaultInjector, FaultKind, StopFaults};
use actix_pyproc::{Call, CallError, Pool, PoolConfig};
use futures::future::join_all;
use serde_json::json;

const WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/chaos_test/worker.py");

/// The outcomes of one kind of calls.
#[derive(Debug, Default)]
struct Tally {
    ok: u32,
    lost: u32,
    late: u32,
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut config = PoolConfig::new(WORKER).workers(3).call_timeout(Duration::from_secs(2));
    // More workers die here than in a month of production, so the default limits would stop the
    // pool.
    config.restart.max = Duration::from_millis(100);
    config.restart.max_restarts = u32::MAX;
    config.kill_grace = Duration::from_millis(300);
    let pool = Pool::start(config).await?;

    let kinds = [FaultKind::Kill, FaultKind::Stop, FaultKind::ExitMidReply, FaultKind::Garbage];
    let injector = FaultInjector::new(pool.addr(), kinds).every(Duration::from_millis(50)).seed(42).start();

    let until = Instant::now() + Duration::from_secs(3);
    let prices = join_all((0..8).map(|_| ask_for_prices(&pool, until)));
    let charges = join_all((0..8).map(|_| charge(&pool, until)));
    let (prices, charges) = futures::join!(prices, charges);
    let faults = injector.send(StopFaults).await?;

    println!("injected faults:      {faults:?}");
    println!("idempotent calls:     {:?}", sum(&prices));
    println!("non-idempotent calls: {:?}", sum(&charges));
    assert_eq!(sum(&prices).lost, 0, "an idempotent call is retried");
    let status = pool.status().await;
    println!("{} workers were replaced; {} of 3 serve", status.restarts, status.serving);
    pool.shutdown().await;
    Ok(())
}

async fn ask_for_prices(pool: &Pool, until: Instant) -> Tally {
    let mut tally = Tally::default();
    while Instant::now() < until {
        let call = Call::json("price", "tea").expect("a string is JSON").idempotent();
        tally.add(pool.request(call).await.map(drop));
    }
    tally
}

async fn charge(pool: &Pool, until: Instant) -> Tally {
    let mut tally = Tally::default();
    while Instant::now() < until {
        let charge = json!({"account": "a", "cents": 100});
        // The error says whether the charge may have happened; an application that must know
        // checks the account now.
        tally.add(pool.call::<String>("charge", &charge).await.map(drop));
    }
    tally
}

impl Tally {
    fn add(&mut self, result: Result<(), CallError>) {
        match result {
            Ok(()) => self.ok += 1,
            Err(CallError::WorkerLost { .. } | CallError::Quarantined { .. }) => self.lost += 1,
            Err(CallError::DeadlineExceeded { .. }) => self.late += 1,
            Err(other) => panic!("no fault causes this: {other}"),
        }
    }
}

fn sum(tallies: &[Tally]) -> Tally {
    tallies.iter().fold(Tally::default(), |sum, tally| Tally {
        ok: sum.ok + tally.ok,
        lost: sum.lost + tally.lost,
        late: sum.late + tally.late,
    })
}
