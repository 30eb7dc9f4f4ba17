//! The end of a pool, in simulated time.

#[expect(dead_code, reason = "the helpers of the other test crates")]
mod common;

use std::rc::Rc;
use std::time::Duration;

use actix_pyproc_actors::supervisor::Supervisor;
use actix_pyproc_actors::testing::{
    LaunchPlan, Script, ScriptedBackend, ScriptedCall, ScriptedError, ScriptedExit, ScriptedPool, Then,
    limits, settings,
};
use actix_pyproc_actors::{KillReason, NewWorkers, Router, SlotId};
use common::*;

fn call(seq: u64) -> ScriptedCall {
    ScriptedCall::new(seq)
}

#[actix::test]
async fn shutdown_finishes_what_is_in_and_refuses_what_comes_after() {
    let pool = ready_pool(limits(), settings(2)).await;
    let calls = spawn_all(&pool, (0..50).map(|seq| call(seq).takes(MS * 10)));
    let start = now();
    let shutdown = pool.shutdown(SECOND * 10);
    let later = async {
        sleep(MS * 20).await;
        pool.call(call(99)).await
    };
    let ((), refused) = soon(futures::future::join(shutdown, later)).await;
    assert_eq!(refused.expect_err("it ends with an error"), ScriptedError::ShuttingDown);
    replies(calls, 0).await;
    assert_each_ran_once(&pool, 0..50);
    assert!((MS * 250..MS * 300).contains(&(now() - start)), "{:?}", now() - start);
    assert_eq!(pool.script.alive(), 0);
    assert_eq!(pool.call(call(100)).await.expect_err("it ends with an error"), ScriptedError::ShuttingDown);
}

// The drain arrived in one batch with calls that were sent before it, and they were rejected.
#[actix::test]
async fn a_call_that_was_sent_before_the_shutdown_is_finished() {
    let pool = ready_pool(limits(), settings(1)).await;
    let calls = spawn_all(&pool, (0..3).map(call));
    let drained = pool.router.send(actix_pyproc_actors::router::Drain { now: false });
    replies(calls, 0).await;
    soon(drained).await.expect("the router lives");
}

#[actix::test]
async fn at_the_deadline_what_runs_is_killed_and_what_waits_ends_with_shutting_down() {
    let pool = ready_pool(limits(), settings(1)).await;
    let heard = listen(&pool);
    let running = spawn(&pool, call(0).then(Then::Hang));
    let waiting = spawn_all(&pool, (1..5).map(call));
    sleep(MS).await;
    let start = now();
    soon(pool.shutdown(MS * 700)).await;
    assert!((MS * 700..MS * 710).contains(&(now() - start)), "{:?}", now() - start);
    let exit = ScriptedExit::Killed(KillReason::Shutdown);
    assert_eq!(
        answer(running).await.0.expect_err("it ends with an error"),
        ScriptedError::WorkerLost { exit }
    );
    for waiting in waiting {
        assert_eq!(answer(waiting).await.0.expect_err("it ends with an error"), ScriptedError::ShuttingDown);
    }
    assert_eq!(pool.script.alive(), 0);
    assert_eq!(pool.script.executions().len(), 1);
    assert_eq!(names(&heard), ["draining", "exited as expected"]);
}

// They went back to the queue although no worker was left.
#[actix::test]
async fn calls_on_a_worker_that_is_killed_at_the_deadline_end_too() {
    let pool = ready_pool(limits(), settings(1)).await;
    for _ in 0..20 {
        pool.call(call(99).takes(US * 10)).await.expect("it succeeds");
    }
    let running = spawn(&pool, call(0).then(Then::Hang));
    let behind = spawn_all(&pool, (1..20).map(|seq| call(seq).takes(US * 10)));
    sleep(MS * 2).await;
    assert!(status(&pool).await.in_flight > 1);
    soon(pool.shutdown(Duration::ZERO)).await;
    assert!(matches!(answer(running).await.0, Err(ScriptedError::WorkerLost { .. })));
    for behind in behind {
        assert_eq!(answer(behind).await.0.expect_err("it ends with an error"), ScriptedError::ShuttingDown);
    }
}

#[actix::test]
async fn a_second_shutdown_with_a_shorter_deadline_hastens_the_first() {
    let pool = ready_pool(limits(), settings(2)).await;
    let running = spawn(&pool, call(0).then(Then::Hang));
    sleep(MS).await;
    let start = now();
    let hasty = async {
        sleep(MS * 10).await;
        pool.shutdown(MS * 10).await;
    };
    soon(futures::future::join(pool.shutdown(SECOND * 1000), hasty)).await;
    assert!(now() - start < MS * 30, "{:?}", now() - start);
    assert!(answer(running).await.0.is_err());
}

#[actix::test]
async fn shutdown_while_workers_start_gives_the_starts_up() {
    tokio::time::pause();
    let script = Script::new();
    script.expect_launches([LaunchPlan::ready(SECOND * 60), LaunchPlan::fails(SECOND * 60, "late")]);
    let pool = ScriptedPool::start_with(script, limits(), settings(2));
    sleep(MS).await;
    let start = now();
    soon(pool.shutdown(SECOND)).await;
    assert_at(now(), start);
    sleep(SECOND * 100).await;
    assert_eq!(pool.script.alive(), 0);
    pool.script.assert_drained();
}

#[actix::test]
async fn shutdown_while_starts_fail_ends_calls_and_starts_nothing_more() {
    tokio::time::pause();
    let script = Script::new();
    script.expect_launches([LaunchPlan::fails(MS, "broken"); 3]);
    let pool = ScriptedPool::start_with(script, limits(), settings(1));
    let waiting = spawn(&pool, call(0));
    sleep(MS * 10).await;
    soon(pool.shutdown(MS * 500)).await;
    assert!(matches!(answer(waiting).await.0, Err(ScriptedError::Unavailable { .. })));
    sleep(SECOND * 100).await;
    pool.script.assert_drained();
}

#[actix::test]
async fn a_worker_that_crashes_during_the_drain_is_replaced_for_the_calls_that_wait() {
    let pool = ready_pool(limits(), settings(1)).await;
    let crash = spawn(&pool, call(0).takes(MS * 20).then(Then::Crash));
    let waiting = spawn_all(&pool, (1..5).map(|seq| call(seq).takes(MS)));
    sleep(MS).await;
    soon(pool.shutdown(SECOND * 10)).await;
    assert!(answer(crash).await.0.is_err());
    replies(waiting, 1).await;
    assert_each_ran_once(&pool, 0..5);
}

#[actix::test]
async fn shutdown_ends_a_resize_and_a_reload_that_wait() {
    let pool = ready_pool(limits(), settings(2)).await;
    pool.script.expect_launches([LaunchPlan::ready(SECOND * 100), LaunchPlan::ready(SECOND * 100)]);
    let waits = futures::future::join3(reload(&pool), resize(&pool, 3), async {
        sleep(MS * 10).await;
        pool.shutdown(SECOND).await;
    });
    let start = now();
    let _told = soon(waits).await;
    assert!(now() - start < SECOND, "{:?}", now() - start);
    assert_eq!(pool.script.alive(), 0);
}

#[actix::test]
async fn a_process_that_ignores_the_drain_is_killed_at_the_deadline() {
    let pool = ready_pool(limits(), settings(1)).await;
    pool.script.stop(SlotId(0));
    let start = now();
    soon(pool.shutdown(MS * 400)).await;
    assert!((MS * 400..MS * 410).contains(&(now() - start)), "{:?}", now() - start);
    assert_eq!(pool.script.alive(), 0);
}

// Only processes with calls were inspected, so a shutdown waited until its deadline.
#[actix::test]
async fn a_process_that_is_stopped_and_has_nothing_to_do_holds_a_shutdown_up_for_the_grace_only() {
    let pool = ready_pool(limits(), settings(1)).await;
    pool.script.stop(SlotId(0));
    let start = now();
    soon(pool.shutdown(SECOND * 60)).await;
    assert!((MS * 500..MS * 1010).contains(&(now() - start)), "{:?}", now() - start);
    assert_eq!(pool.script.alive(), 0);
}

#[actix::test]
async fn after_the_shutdown_the_actors_are_gone_with_their_last_address() {
    tokio::time::pause();
    let backend = Rc::new(ScriptedBackend::new(Script::new()));
    let desks = NewWorkers::default();
    let router = Router::start(Rc::clone(&backend), desks.clone(), limits(), None);
    let supervisor = Supervisor::start_with(Rc::clone(&backend), router.clone(), desks, settings(2));
    let pool = ScriptedPool { router, supervisor, script: Script::new() };
    soon(pool.call(call(0))).await.expect("it succeeds");
    soon(pool.shutdown(SECOND)).await;
    assert_eq!(Rc::strong_count(&backend), 2, "the supervisor has stopped");
    drop(pool);
    sleep(MS).await;
    assert_eq!(Rc::strong_count(&backend), 1, "the router has stopped");
}

// The router waited for a shutdown that could not come, because no address of it was left.
#[actix::test]
async fn a_router_whose_last_address_goes_ends_with_its_calls() {
    tokio::time::pause();
    let backend = Rc::new(ScriptedBackend::new(Script::new()));
    let router = Router::start(Rc::clone(&backend), NewWorkers::default(), limits(), None);
    let waiting = router.send(call(0));
    drop(router);
    assert_eq!(
        soon(waiting).await.expect("it is answered").expect_err("it ends with an error"),
        ScriptedError::ShuttingDown
    );
    sleep(MS).await;
    assert_eq!(Rc::strong_count(&backend), 1);
}

// Its worker did not count it any more, so the drain did not wait and the call never ended.
#[actix::test]
async fn a_call_whose_worker_is_ended_by_somebody_else_during_a_drain_is_tried_again_or_lost() {
    for (service, deadline) in [(SECOND, SECOND * 60), (SECOND * 3600, SECOND * 5)] {
        let pool = ready_pool(limits(), settings(2)).await;
        let cut_short = spawn(&pool, call(0).overlapping().takes(service).idempotent());
        let once = spawn(&pool, call(1).overlapping().takes(SECOND * 3600).timeout(MS * 50));
        sleep(MS * 20).await;
        (0..2).for_each(|slot| pool.script.terminate(SlotId(slot), MS * 100));
        soon(pool.shutdown(deadline)).await;
        assert_eq!(pool.script.alive(), 0);
        let expired = ScriptedError::DeadlineExceeded { started: true };
        assert_eq!(answer(once).await.0.expect_err("it ends with an error"), expired);
        let result = answer(cut_short).await.0;
        if service > deadline {
            let exit = ScriptedExit::Killed(KillReason::Shutdown);
            assert_eq!(result.expect_err("it ends with an error"), ScriptedError::WorkerLost { exit });
        } else {
            assert_eq!(result.expect("it is tried again").generation.0, 3);
        }
        assert_eq!(runs(&pool, 0), 2);
        tokio::time::resume();
    }
}
