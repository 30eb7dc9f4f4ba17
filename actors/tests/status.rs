//! What a status and the end of a worker say about calls, in simulated time.

#[expect(dead_code, reason = "the helpers of the other test crates")]
mod common;

use std::time::Duration;

use actix_pyproc_actors::call::{CallStage, CallStatus, LISTED_CALLS};
use actix_pyproc_actors::testing::{ScriptedCall, ScriptedPool, Then, limits, settings};
use actix_pyproc_actors::{FunctionId, SlotId, WorkerEvent};
use common::*;

fn call(seq: u64) -> ScriptedCall {
    ScriptedCall::new(seq)
}

/// The functions of calls, their stage, and for how long they have run, in units of 10 ms: timers
/// fire up to some milliseconds late.
type Ran = Vec<(u32, CallStage, Option<u128>)>;

fn ran(calls: &[CallStatus]) -> Ran {
    calls.iter().map(|call| (call.function.0, call.stage, call.running.map(tens))).collect()
}

fn tens(time: Duration) -> u128 {
    time.as_millis() / 10
}

/// The calls that had started in the only process that has ended.
fn started(heard: &std::cell::RefCell<Vec<(std::time::Instant, Event)>>) -> Ran {
    let heard = heard.borrow();
    let ends: Vec<_> = (heard.iter())
        .filter_map(|(_, event)| match event {
            WorkerEvent::Exited { started, .. } => Some(ran(started)),
            _ => None,
        })
        .collect();
    let [started] = &ends[..] else { panic!("{heard:?}") };
    started.clone()
}

async fn oldest_calls(pool: &ScriptedPool) -> Vec<CallStatus> {
    status(pool).await.oldest_calls
}

#[actix::test]
async fn the_end_of_a_worker_names_the_functions_that_ran_and_for_how_long() {
    let pool = ready_pool(limits(), settings(1)).await;
    let heard = listen(&pool);
    let sleeps = |seq, function| call(seq).function(function).overlapping().takes(SECOND * 100);
    let first = spawn(&pool, sleeps(0, 7));
    sleep(SECOND).await;
    let second = spawn(&pool, sleeps(1, 8));
    sleep(SECOND).await;
    pool.script.kill(SlotId(0));
    for lost in [first, second] {
        answer(lost).await.0.expect_err("it is lost");
    }
    let running = |function, time| (function, CallStage::Running, Some(time));
    assert_eq!(started(&heard), [running(7, 200), running(8, 100)], "the oldest first");
}

// The caller of the call that the worker is killed for has its answer before the kill, so that call
// is not among the lost ones.
#[actix::test]
async fn the_end_of_a_stuck_worker_names_the_function_that_did_not_end() {
    let pool = ready_pool(limits(), settings(1)).await;
    let heard = listen(&pool);
    let stuck = spawn(&pool, call(0).function(3).then(Then::Deaf).timeout(MS * 100));
    answer(stuck).await.0.expect_err("its deadline passes");
    sleep(SECOND).await;
    let started = started(&heard);
    // The deadline and the grace.
    assert_eq!(started, [(3, CallStage::Cancelled, Some(60))]);
}

#[actix::test]
async fn a_worker_that_dies_idle_names_no_function() {
    let pool = ready_pool(limits(), settings(1)).await;
    let heard = listen(&pool);
    pool.call(call(0)).await.expect("it succeeds");
    pool.script.kill(SlotId(0));
    sleep(SECOND).await;
    assert_eq!(started(&heard), []);
}

// A call that was sent behind another one had not run since it was sent.
#[actix::test]
async fn a_function_has_run_since_the_call_before_it_ended() {
    let pool = ready_pool(limits(), settings(1)).await;
    for _ in 0..20 {
        // Calls so short that several are sent at once.
        pool.call(call(1000)).await.expect("it succeeds");
    }
    let before = spawn(&pool, call(0).takes(MS * 40));
    let after = spawn(&pool, call(1).takes(SECOND));
    answer(before).await.0.expect("it succeeds");
    sleep(MS * 20).await;
    let calls = oldest_calls(&pool).await;
    assert_eq!(ran(&calls), [(0, CallStage::Running, Some(2))]);
    assert_eq!(tens(calls[0].age), 6);
    answer(after).await.0.expect("it succeeds");
    assert_eq!(oldest_calls(&pool).await, []);
}

#[actix::test]
async fn a_status_lists_the_oldest_calls_with_slot_stage_age_and_deadline() {
    let pool = ready_pool(limits(), settings(2)).await;
    let mut calls = vec![spawn(&pool, call(0).function(1).takes(SECOND).timeout(SECOND * 10))];
    sleep(MS * 100).await;
    calls.push(spawn(&pool, call(1).function(2).takes(SECOND)));
    sleep(MS * 100).await;
    calls.extend(spawn_all(&pool, (2..100).map(|seq| call(seq).function(3).timeout(SECOND * 5))));
    sleep(MS * 100).await;
    let listed = oldest_calls(&pool).await;
    assert_eq!(listed.len(), LISTED_CALLS);
    let [first, second, third, ..] = listed[..] else { panic!("{listed:?}") };
    assert_eq!((first.function, first.stage), (FunctionId(1), CallStage::Running));
    assert_eq!((tens(first.age), first.running), (30, Some(first.age)));
    assert_eq!(first.left.map(|left| left + first.age), Some(SECOND * 10));
    assert_eq!((second.function, tens(second.age), second.left), (FunctionId(2), 20, None));
    let slots: Vec<_> = [first, second].map(|call| call.worker.expect("a worker has it").slot.0).into();
    assert!(slots == [0, 1] || slots == [1, 0], "{slots:?}");
    assert_eq!((third.function, third.stage, third.worker), (FunctionId(3), CallStage::Queued, None));
    assert_eq!((tens(third.age), third.running), (10, None));
    assert_eq!(third.left.map(|left| left + third.age), Some(SECOND * 5));
    for call in calls {
        answer(call).await.0.expect("it succeeds");
    }
    assert_eq!(oldest_calls(&pool).await, []);
}

#[actix::test]
async fn a_call_that_was_given_up_is_listed_as_cancelled_until_it_ends() {
    let pool = ready_pool(limits(), settings(1)).await;
    let given_up = spawn(&pool, call(0).then(Then::Deaf).timeout(MS * 100));
    answer(given_up).await.0.expect_err("its deadline passes");
    sleep(MS * 50).await;
    let listed = oldest_calls(&pool).await;
    let [call] = listed[..] else { panic!("{listed:?}") };
    assert_eq!((call.stage, call.left), (CallStage::Cancelled, None));
}

// A batch of short calls ends before the call that kills the worker, and their replies are not
// sent.
#[actix::test]
async fn the_end_of_a_worker_names_what_ran_before_what_had_ended() {
    let pool = ready_pool(limits(), settings(1)).await;
    for _ in 0..20 {
        pool.call(call(1000)).await.expect("it succeeds");
    }
    let heard = listen(&pool);
    let mut calls = spawn_all(&pool, (0..50).map(|seq| call(seq).takes(US)));
    calls.push(spawn(&pool, call(50).function(9).takes(US).then(Then::Crash)));
    for lost in calls {
        answer(lost).await.0.expect_err("it is lost");
    }
    let started = started(&heard);
    assert_eq!((started.len(), started[0].0, started[0].1), (LISTED_CALLS, 9, CallStage::Running));
    assert!(started[1..].iter().all(|&(function, stage, _)| (function, stage) == (0, CallStage::Finished)));
}
