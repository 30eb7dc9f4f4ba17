//! The end of a pool: every call gets an answer, and nothing is left.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix_pyproc::{Call, CallError, Pool, PoolConfig};
use serde_json::{Value, json};

use crate::support::leaks::alone;
use crate::support::processes::{lives, members, signal};
use crate::support::{capped, fixture, lines, pids, scratch, start, until};

fn worker(name: &str) -> PoolConfig {
    let mut config = PoolConfig::new(fixture(name)).workers(3).kill_grace(Duration::from_millis(200));
    config.stop_grace = Duration::from_millis(200);
    config
}

/// How the pool is shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Drained,
    Within(Duration),
    AtOnce,
}

/// Makes calls until the pool rejects them; counts replies, and returns the number of lost calls.
async fn caller(pool: Pool, replies: Rc<Cell<u64>>, how: How, seconds: f64) -> u64 {
    let mut lost = 0;
    for value in 0.. {
        let argument = json!({"log": "/dev/null", "seconds": seconds});
        let call = match value % 3 {
            0 if seconds > 0.0 => Call::json("work", &argument),
            _ => Call::json("double", &value),
        };
        match capped("a call", pool.request(call.expect("it is JSON"))).await {
            Ok(_) => replies.set(replies.get() + 1),
            Err(CallError::ShuttingDown) => return lost,
            // The pool kills workers whose calls run at the deadline.
            Err(CallError::WorkerLost { .. }) if how != How::Drained => lost += 1,
            // A worker that is ended at once may also interrupt its call.
            Err(CallError::DeadlineExceeded { started: true }) if how != How::Drained => lost += 1,
            Err(other) => panic!("{how:?}: {other:?}"),
        }
    }
    unreachable!("the pool ends")
}

async fn shutdown_under_load(how: How, seconds: f64) {
    let pool = start(worker("injected.py")).await;
    let (groups, replies) = (pids(&pool).await, Rc::new(Cell::new(0)));
    let callers: Vec<_> =
        (0..32).map(|_| actix_rt::spawn(caller(pool.clone(), Rc::clone(&replies), how, seconds))).collect();
    until("calls return", || replies.get() > 100).await;
    let before = replies.get();
    match how {
        How::Drained => pool.shutdown().await,
        How::Within(deadline) => pool.shutdown_within(deadline).await,
        How::AtOnce => pool.shutdown_within(Duration::ZERO).await,
    }
    assert_eq!(members(&groups), [] as [u32; 0], "the shutdown leaves no process");
    for caller in callers {
        capped("a caller", caller).await.expect("its calls ended as expected");
    }
    if how == How::Drained && seconds == 0.0 {
        assert!(replies.get() >= before, "accepted calls were answered");
    }
    let error = pool.call::<Value>("double", &1).await.expect_err("the pool is shut down");
    assert!(matches!(error, CallError::ShuttingDown), "{error:?}");
}

#[test]
fn a_shutdown_under_load_answers_every_call_and_leaves_nothing_twenty_times_over() {
    let ways = [
        (How::Drained, 0.0),
        (How::Drained, 0.02),
        (How::Within(Duration::from_millis(30)), 0.02),
        (How::Within(Duration::from_millis(5)), 0.1),
        (How::AtOnce, 0.02),
    ];
    for (how, seconds) in ways.into_iter().cycle().take(20) {
        alone(shutdown_under_load(how, seconds));
    }
}

#[test]
fn a_pool_whose_runtime_goes_away_under_load_leaves_nothing() {
    alone(async {
        let pool = start(worker("injected.py")).await;
        let replies = Rc::new(Cell::new(0));
        for _ in 0..8 {
            actix_rt::spawn(caller(pool.clone(), Rc::clone(&replies), How::AtOnce, 0.02));
        }
        until("calls return", || replies.get() > 10).await;
    });
}

#[test]
fn a_pool_that_is_shut_down_while_workers_die_and_start_leaves_nothing() {
    for round in 0..5 {
        alone(async {
            let mut config = worker("injected.py");
            config.restart.initial = Duration::from_millis(1);
            config.restart.max = Duration::from_millis(10);
            let pool = start(config).await;
            for pid in pids(&pool).await {
                signal(pid, "KILL");
            }
            tokio::time::sleep(Duration::from_millis(round * 10)).await;
            let calls: Vec<_> = (0..20)
                .map(|n| {
                    let pool = pool.clone();
                    actix_rt::spawn(async move { pool.call::<Value>("double", &n).await })
                })
                .collect();
            capped("the shutdown", pool.shutdown_within(Duration::from_millis(200))).await;
            for call in calls {
                match capped("a call", call).await.expect("the task did not panic") {
                    Ok(_) | Err(CallError::ShuttingDown | CallError::WorkerLost { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        });
    }
}

#[test]
fn a_pool_ends_with_what_its_workers_have_started() {
    alone(async {
        let pool = start(worker("breeds.py")).await;
        let dir = scratch();
        let log = dir.path().join("pids");
        let argument = json!({"log": log, "how": "asleep"});
        let call = pool.send(Call::json("work", &argument).expect("it is JSON"));
        let call = actix_rt::spawn(call);
        until("the child is started", || log.exists()).await;
        capped("the shutdown", pool.shutdown_within(Duration::from_millis(50))).await;
        assert!(
            capped("the call", call).await.expect("the task did not panic").expect("it is answered").is_err()
        );
        for pid in lines(&log) {
            let pid = pid.parse().expect("a number");
            until("it is gone", || !lives(pid)).await;
        }
    });
}
