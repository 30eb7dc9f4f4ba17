//! Kills workers at random under load, and compares what callers got with what ran.
//! `PYPROC_SOAK_SECONDS` sets the duration.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_pyproc::fault::{FaultInjector, FaultKind, StopFaults};
use actix_pyproc::{Call, CallError, Pool, PoolConfig};
use serde_json::json;

use crate::support::leaks::alone;
use crate::support::processes::members;
use crate::support::{capped, fixture, lines, pids, scratch, start};

const CALLERS: usize = 64;
const WORKERS: usize = 3;
const MAX_ATTEMPTS: u32 = 3;
/// One of so many calls is idempotent, and one of so many has a short deadline.
const IDEMPOTENT: u64 = 4;
const SHORT: u64 = 7;

fn config() -> PoolConfig {
    let mut config = PoolConfig::new(fixture("notes.py")).workers(WORKERS).max_attempts(MAX_ATTEMPTS);
    config.kill_grace = Duration::from_millis(300);
    config.restart.initial = Duration::from_millis(20);
    config.restart.max = Duration::from_millis(50);
    config.restart.max_restarts = u32::MAX;
    config
}

fn duration() -> Duration {
    let seconds = std::env::var("PYPROC_SOAK_SECONDS").ok();
    Duration::from_secs(seconds.map_or(30, |text| text.parse().expect("a number of seconds")))
}

/// What callers got, by the number of the call.
#[derive(Default)]
struct Book {
    next: Cell<u64>,
    ends: RefCell<HashMap<u64, Result<(), CallError>>>,
}

const fn is_idempotent(id: u64) -> bool {
    id.is_multiple_of(IDEMPOTENT)
}

async fn caller(pool: Pool, book: Rc<Book>, path: PathBuf, until: Instant) {
    while Instant::now() < until {
        let id = book.next.replace(book.next.get() + 1);
        let mut call = Call::json("note", &json!({"path": path, "id": id})).expect("it is JSON");
        if is_idempotent(id) {
            call = call.idempotent();
        }
        if id.is_multiple_of(SHORT) {
            call = call.timeout(Duration::from_millis(2));
        }
        let result = capped("a call", pool.request(call)).await;
        let result = result.map(|reply| assert_eq!(reply.value().expect("a value"), json!(id)));
        assert!(book.ends.borrow_mut().insert(id, result).is_none(), "call {id} ends once");
    }
}

/// How many times each call ran.
fn runs(path: &Path) -> HashMap<u64, u32> {
    let mut runs = HashMap::new();
    for line in lines(path) {
        *runs.entry(line.parse().expect("a whole line")).or_default() += 1;
    }
    runs
}

/// Compares what a caller got with how many times the call ran.
fn check(id: u64, end: &Result<(), CallError>, runs: u32) {
    let (least, most) = match end {
        Ok(()) if is_idempotent(id) => (1, MAX_ATTEMPTS),
        Ok(()) => (1, 1),
        Err(error) if !error.may_have_run() => (0, 0),
        Err(CallError::WorkerLost { .. }) => {
            assert!(!is_idempotent(id), "call {id} is retried");
            (0, 1)
        }
        Err(CallError::Quarantined { attempts: MAX_ATTEMPTS, .. }) => (0, MAX_ATTEMPTS),
        Err(CallError::DeadlineExceeded { started: true }) => {
            (0, if is_idempotent(id) { MAX_ATTEMPTS } else { 1 })
        }
        Err(other) => panic!("call {id} ended with {other:?}"),
    };
    assert!((least..=most).contains(&runs), "call {id} ran {runs} times and got {end:?}");
}

#[test]
fn under_random_kills_every_call_ends_once_and_runs_as_often_as_its_caller_was_told() {
    alone(async {
        let dir = scratch();
        let path = dir.path().join("notes");
        let pool = start(config()).await;
        let (seed, book) = (fastrand::u64(..), Rc::new(Book::default()));
        println!("seed {seed}");
        // Mostly kills, and some of the other faults.
        use FaultKind as K;
        let kinds = [
            K::Kill,
            K::Kill,
            K::Kill,
            K::Kill,
            K::Exit,
            K::ExitMidReply,
            K::Garbage,
            K::OldReply,
            K::DuplicateReply,
        ];
        let injector =
            FaultInjector::new(pool.addr(), kinds).every(Duration::from_millis(60)).seed(seed).start();
        let until = Instant::now() + duration();
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| actix_rt::spawn(caller(pool.clone(), Rc::clone(&book), path.clone(), until)))
            .collect();
        for caller in callers {
            caller.await.expect("every call ended as expected");
        }
        let faults = injector.send(StopFaults).await.expect("the actor lives");

        let whole = async {
            while pool.status().await.serving != WORKERS {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        capped("full strength", whole).await;
        let (status, groups) = (pool.status().await, pids(&pool).await);
        pool.shutdown().await;
        assert_eq!(members(&groups), [] as [u32; 0]);

        let (ends, mut runs) = (book.ends.borrow(), runs(&path));
        assert_eq!(ends.len() as u64, book.next.get(), "every call has ended");
        for (id, end) in ends.iter() {
            check(*id, end, runs.remove(id).unwrap_or_default());
        }
        assert!(runs.is_empty(), "only calls that were made ran");
        let ok = ends.values().filter(|end| end.is_ok()).count() as u64;
        assert_eq!(status.calls.ok, ok);
        let errors = ends.len() as u64 - ok;
        assert_eq!(status.calls.errors.values().sum::<u64>(), errors);
        println!(
            "{} calls, {:?}, {} restarts, faults {faults:?}",
            ends.len(),
            status.calls.errors,
            status.restarts
        );
        assert!(faults["kill"] >= 10 && status.restarts >= 10, "{faults:?}, {} restarts", status.restarts);
    });
}
