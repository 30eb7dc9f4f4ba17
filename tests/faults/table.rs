//! The table of faults: each row is one fault, with the outcome of a call that it hits. Faults of
//! code have a worker file in `tests/workers`; injected faults have their own table.

use std::path::Path;
use std::time::Duration;

use actix_pyproc::fault::{Fault, FaultInjector, FaultKind, StopFaults};
use actix_pyproc::{Call, CallError, Pool, PoolConfig, WorkerEvent};
use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use crate::support::leaks::alone;
use crate::support::processes::members;
use crate::support::{
    Events, capped, fixture, json_call, lines, overdue, pids, scratch, spawn, start, until,
};

fn worker(name: &str) -> PoolConfig {
    let mut config = PoolConfig::new(fixture(name)).workers(2).kill_grace(Duration::from_millis(200));
    config.restart.initial = Duration::from_millis(10);
    config.restart.max_restarts = 1000;
    config.stop_grace = Duration::from_millis(200);
    config
}

/// The phase of a call in which the fault hits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The function runs.
    Running,
    /// The function has returned, and the reply has not been sent.
    Finished,
}

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Right,
    Exception,
    DeadlineExceeded,
    WorkerLost,
    Quarantined,
}

struct Row {
    /// The worker file.
    fault: &'static str,
    phase: Phase,
    /// The outcome of a call that is not idempotent.
    plain: Outcome,
    /// The outcome of an idempotent call, and how many times it runs: at most three.
    idempotent: (Outcome, usize),
}

const fn kills(fault: &'static str, phase: Phase) -> Row {
    Row { fault, phase, plain: Outcome::WorkerLost, idempotent: (Outcome::Quarantined, 3) }
}

const fn ends(fault: &'static str, phase: Phase, outcome: Outcome) -> Row {
    Row { fault, phase, plain: outcome, idempotent: (outcome, 1) }
}

const TABLE: [Row; 20] = [
    kills("kills_itself.py", Phase::Running),
    kills("segfaults.py", Phase::Running),
    kills("exits.py", Phase::Running),
    kills("exits_on_a_thread.py", Phase::Running),
    kills("dies_after_it_ran.py", Phase::Finished),
    kills("exits_mid_reply.py", Phase::Running),
    kills("closes_its_socket.py", Phase::Running),
    kills("sends_garbage.py", Phase::Running),
    kills("sends_an_oversize_frame.py", Phase::Running),
    kills("cuts_a_frame.py", Phase::Running),
    kills("stops_itself.py", Phase::Running),
    ends("replies_to_nobody.py", Phase::Running, Outcome::Right),
    ends("swallows_the_interrupt.py", Phase::Running, Outcome::DeadlineExceeded),
    ends("is_stuck_in_c.py", Phase::Running, Outcome::DeadlineExceeded),
    ends("holds_the_signals_back.py", Phase::Running, Outcome::DeadlineExceeded),
    ends("leaves_with_sys_exit.py", Phase::Running, Outcome::Exception),
    ends("runs_out_of_stack.py", Phase::Running, Outcome::Exception),
    ends("runs_out_of_memory.py", Phase::Running, Outcome::Exception),
    ends("forks_and_returns_twice.py", Phase::Running, Outcome::Right),
    ends("closes_its_output.py", Phase::Running, Outcome::Right),
];

fn outcome(result: &Result<Value, CallError>) -> Outcome {
    match result {
        Ok(value) if *value == json!("right") => Outcome::Right,
        Err(CallError::Exception { .. }) => Outcome::Exception,
        Err(CallError::DeadlineExceeded { started: true }) => Outcome::DeadlineExceeded,
        Err(CallError::WorkerLost { started: true, .. }) => Outcome::WorkerLost,
        Err(CallError::Quarantined { attempts: 3, .. }) => Outcome::Quarantined,
        other => panic!("not an outcome of the table: {other:?}"),
    }
}

/// Checks that all workers of the pool serve and that no abandoned call occupies one.
async fn is_whole(pool: &Pool) {
    let workers = pool.config().workers;
    let whole = async {
        loop {
            let status = pool.status().await;
            if status.serving == workers && status.in_flight == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    capped("the pool is whole again", whole).await;
    for n in 0..10 * workers {
        let doubled = capped("a call", pool.call::<Value>("double", &n)).await;
        assert_eq!(doubled.expect("the pool serves"), json!(n * 2));
    }
}

/// Checks that the pool is whole, and that its shutdown ends every process of its workers.
async fn is_whole_to_the_end(pool: Pool) {
    is_whole(&pool).await;
    let groups = pids(&pool).await;
    pool.shutdown().await;
    // Processes that a worker forked are killed with it, but another process reaps them, which may
    // take a moment.
    until("nothing is left of the workers", || members(&groups).is_empty()).await;
}

async fn call_fault(pool: &Pool, row: &Row, log: &Path, idempotent: bool) -> Result<Value, CallError> {
    let call = || {
        let call = Call::json("fault", &log).expect("a path is JSON");
        if idempotent { call.idempotent() } else { call }
    };
    if row.plain == Outcome::DeadlineExceeded {
        return Err(overdue(pool, call).await);
    }
    capped(row.fault, pool.request(call())).await?.json()
}

async fn is_as_the_table_says(row: &Row) {
    let pool = start(worker(row.fault)).await;
    let dir = scratch();
    let (idempotent, runs) = row.idempotent;
    for (name, expected, expected_runs) in [("plain", row.plain, 1), ("idempotent", idempotent, runs)] {
        let log = dir.path().join(name);
        let result = call_fault(&pool, row, &log, name == "idempotent").await;
        assert_eq!(outcome(&result), expected, "{name} call of {} ({:?})", row.fault, row.phase);
        assert_eq!(lines(&log).len(), expected_runs, "{name} call of {}", row.fault);
        is_whole(&pool).await;
    }
    is_whole_to_the_end(pool).await;
}

/// How many rows run at a time: they mostly wait.
const AT_ONCE: usize = 3;

#[test]
fn every_fault_ends_its_call_as_the_table_says_and_leaves_the_pool_whole() {
    alone(stream::iter(&TABLE).for_each_concurrent(AT_ONCE, is_as_the_table_says));
}

/// When a fault is injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Before the call is made.
    Before,
    /// Before the call is made, which waits for the replacement: the old worker could still start
    /// the call.
    LongBefore,
    /// While the call runs.
    During,
}

struct Injected {
    kind: FaultKind,
    when: When,
    plain: Outcome,
    idempotent: (Outcome, usize),
    /// Whether the worker is replaced.
    replaced: bool,
}

/// The outcome of injected faults in a pool of one worker. A call is unharmed if its worker breaks
/// before it has the call.
fn injected(kind: FaultKind) -> Injected {
    use FaultKind as K;
    let row = |when, plain, idempotent, replaced| Injected { kind, when, plain, idempotent, replaced };
    let (right, lost) = (Outcome::Right, Outcome::WorkerLost);
    match kind {
        K::Kill | K::Stop => row(When::During, lost, (right, 2), true),
        K::Pause(_) => row(When::During, right, (right, 1), false),
        K::Exit => row(When::Before, lost, (right, 1), true),
        K::ExitMidReply => row(When::Before, lost, (right, 2), true),
        K::Close | K::Truncated => row(When::Before, right, (right, 1), true),
        K::Garbage | K::Oversize => row(When::LongBefore, right, (right, 1), true),
        K::WrongReply | K::OldReply | K::DuplicateReply | K::SlowReader(_) | K::Memory(_) => {
            row(When::Before, right, (right, 1), false)
        }
        // They take effect when the next worker starts, so the current one exits, and its call is
        // retried or lost.
        K::SlowStart(_) | K::StartFailure => row(When::Before, lost, (right, 1), true),
        other => panic!("{other} has no row"),
    }
}

async fn meets(pool: &Pool, row: &Injected, log: &Path, idempotent: bool) -> Result<Value, CallError> {
    // A call that the fault hits while it runs lasts until then.
    let go = log.with_extension("go");
    let go = if row.when == When::During { Some(&*go) } else { None };
    let mut call = json_call("work", json!({"log": log, "seconds": 0.15, "go": go}));
    if idempotent {
        call = call.idempotent();
    }
    let mut events = Events::of(pool).await;
    let strike = |kind| async move { pool.inject(Fault::new(kind).on(0)).await.expect("a worker serves") };
    if row.when != When::During {
        strike(row.kind).await;
    }
    if row.when == When::LongBefore {
        events.started().await;
    }
    if matches!(row.kind, FaultKind::SlowStart(_) | FaultKind::StartFailure) {
        strike(FaultKind::Exit).await;
    }
    let call = spawn(pool, call);
    if row.when == When::During {
        until("the call runs", || !lines(log).is_empty()).await;
        strike(row.kind).await;
        std::fs::write(log.with_extension("go"), "").expect("the disk has room");
    }
    capped("the call", call).await.expect("the task did not panic")
}

async fn does_what_its_row_says(kind: FaultKind, file: &str) {
    let row = injected(kind);
    let pool = start(worker(file).workers(1)).await;
    let dir = scratch();
    let (idempotent, runs) = row.idempotent;
    for (name, expected, expected_runs) in
        [("plain", row.plain, None), ("idempotent", idempotent, Some(runs))]
    {
        is_whole(&pool).await;
        let (before, log) = (pids(&pool).await, dir.path().join(name));
        let result = meets(&pool, &row, &log, name == "idempotent").await;
        assert_eq!(outcome(&result), expected, "{name} call, {kind}, {file}");
        if let Some(runs) = expected_runs {
            assert_eq!(lines(&log).len(), runs, "{name} call, {kind}, {file}");
        }
        is_whole(&pool).await;
        let same = pids(&pool).await == before;
        assert_eq!(same, !row.replaced, "{kind}, {file}: {before:?}");
    }
    is_whole_to_the_end(pool).await;
}

#[test]
fn every_injected_fault_does_what_its_row_says_to_functions_and_coroutines() {
    let files = ["injected.py", "injected_on_a_loop.py"];
    let rows = FaultKind::ALL.into_iter().flat_map(|kind| files.map(|file| (kind, file)));
    alone(stream::iter(rows).for_each_concurrent(AT_ONCE, |(kind, file)| does_what_its_row_says(kind, file)));
}

#[test]
fn a_slow_start_is_slow_and_a_start_failure_is_told_and_tried_again() {
    alone(async {
        let pool = start(worker("injected.py").workers(1)).await;
        let mut events = Events::of(&pool).await;
        let slow = Duration::from_millis(150);
        pool.inject(FaultKind::StartFailure).await.expect("the fault is kept for the next start");
        pool.inject(FaultKind::SlowStart(slow)).await.expect("the fault is kept for the start after that");
        pool.inject(FaultKind::Kill).await.expect("a worker serves");
        let failed = |event: &WorkerEvent| match event {
            WorkerEvent::StartFailed { error, .. } => Some(error.details().to_string()),
            _ => None,
        };
        let details = events.next("a start that fails", failed).await;
        assert!(details.contains("an injected fault made this start fail"), "{details}");
        let started = |event: &WorkerEvent| match event {
            WorkerEvent::Started { after, .. } => Some(*after),
            _ => None,
        };
        let after = events.next("a start", started).await;
        assert!(after >= slow, "{after:?}");
        is_whole_to_the_end(pool).await;
    });
}

// Such a worker kept receiving calls, and all of them exceeded their deadlines.
#[test]
fn a_worker_that_reads_nothing_or_is_not_understood_any_more_is_replaced() {
    alone(async {
        let deaf = start(worker("injected.py").workers(1)).await;
        let mut events = Events::of(&deaf).await;
        deaf.inject(FaultKind::SlowReader(Duration::from_secs(600))).await.expect("a worker serves");
        let call = json_call("double", json!(2)).timeout(Duration::from_millis(100));
        let error = capped("a call", deaf.request(call)).await.expect_err("the worker does not reply");
        assert!(matches!(error, CallError::DeadlineExceeded { started: false }), "{error:?}");
        events.started().await;
        is_whole_to_the_end(deaf).await;

        let broken = start(worker("breaks_the_stream.py").workers(1)).await;
        let mut events = Events::of(&broken).await;
        let error = overdue(&broken, || json_call("fault", json!(2))).await;
        assert!(matches!(error, CallError::DeadlineExceeded { started: true }), "{error:?}");
        events.started().await;
        is_whole_to_the_end(broken).await;
    });
}

#[test]
fn memory_that_a_worker_takes_makes_it_retire() {
    alone(async {
        let mut config = worker("injected.py").workers(1);
        config.recycle.max_rss = Some(100 << 20);
        let pool = start(config).await;
        let mut events = Events::of(&pool).await;
        pool.inject(FaultKind::Memory(150 << 20)).await.expect("a worker serves");
        let retiring = |event: &WorkerEvent| matches!(event, WorkerEvent::Retiring { .. }).then_some(());
        events.next("the retirement", retiring).await;
        events.started().await;
        is_whole_to_the_end(pool).await;
    });
}

#[test]
fn an_injector_hits_with_each_of_its_kinds_counts_them_and_stops() {
    alone(async {
        let pool = start(worker("injected.py")).await;
        let kinds = [FaultKind::Kill, FaultKind::WrongReply];
        let injector =
            FaultInjector::new(pool.addr(), kinds).every(Duration::from_millis(20)).seed(1).start();
        let mut events = Events::of(&pool).await;
        for _ in 0..3 {
            events.started().await;
        }
        let counts = capped("the counts", injector.send(StopFaults)).await.expect("the actor lives");
        assert!(counts["kill"] >= 3, "{counts:?}");
        until("it has stopped", || !injector.connected()).await;
        is_whole_to_the_end(pool).await;
    });
}

#[test]
fn a_pool_that_is_gone_or_has_no_such_slot_says_so() {
    alone(async {
        let pool = start(worker("injected.py").workers(1)).await;
        let error = pool.inject(Fault::new(FaultKind::Kill).on(1)).await.expect_err("there is one slot");
        assert_eq!(error.to_string(), "no such worker serves");
        is_whole(&pool).await;
        pool.shutdown().await;
        assert!(pool.inject(FaultKind::Kill).await.is_err());
    });
}
