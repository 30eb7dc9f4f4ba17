//! Crashes, restarts, the breaker, retirement, reload and resize, in simulated time.

mod common;

use std::time::Duration;

use actix_pyproc_actors::call::CallStage;
use actix_pyproc_actors::supervisor::{AwaitReady, ReplaceSlot, Settings};
use actix_pyproc_actors::testing::{
    LaunchPlan, Script, ScriptedCall, ScriptedError, ScriptedExit, ScriptedPool, Then, limits, settings,
};
use actix_pyproc_actors::{KillReason, RetireReason, SlotId, WorkerEvent};
use common::*;

const CRASHED: ScriptedExit = ScriptedExit::Crashed;

fn call(seq: u64) -> ScriptedCall {
    ScriptedCall::new(seq)
}

/// When the launches were requested, in milliseconds after `start`.
fn launched_at(pool: &ScriptedPool, start: std::time::Instant) -> Vec<u128> {
    pool.script.launched().iter().map(|launched| (launched.at - start).as_millis()).collect()
}

/// One call every 5 ms for this long, each of which must succeed.
async fn load(pool: &ScriptedPool, time: Duration) {
    let mut calls = Vec::new();
    let end = now() + time;
    let mut seq = 1_000_000;
    while now() < end {
        calls.push(spawn(pool, call(seq).takes(MS * 3)));
        seq += 1;
        sleep(MS * 5).await;
    }
    replies(calls, 1_000_000).await;
    assert_eq!(status(pool).await.in_flight, 0);
}

#[actix::test]
async fn ready_is_told_when_all_or_the_wanted_number_serve() {
    tokio::time::pause();
    let script = Script::new();
    script.expect_launches([
        LaunchPlan::ready(MS * 10),
        LaunchPlan::ready(MS * 500),
        LaunchPlan::ready(MS * 90),
    ]);
    let pool = ScriptedPool::start_with(script, limits(), settings(3));
    let start = now();
    let two = pool.supervisor.send(AwaitReady::new(Some(2)));
    let all = ready(&pool);
    soon(two).await.expect("the supervisor lives").expect("two start");
    assert_at(now(), start + MS * 90);
    soon(all).await.expect("all start");
    assert_at(now(), start + MS * 500);
    pool.script.assert_drained();
}

#[actix::test]
async fn a_start_that_fails_is_told_at_once() {
    tokio::time::pause();
    let script = Script::new();
    script.expect_launches([LaunchPlan::ready(SECOND * 10), LaunchPlan::fails(MS * 30, "no module")]);
    let pool = ScriptedPool::start_with(script, limits(), settings(2));
    let start = now();
    assert_eq!(soon(ready(&pool)).await, Err("no module"));
    assert_at(now(), start + MS * 30);
}

#[actix::test]
async fn calls_that_had_not_started_survive_a_crash_in_order_and_unseen() {
    let pool = ready_pool(limits(), settings(1)).await;
    for _ in 0..20 {
        pool.call(call(1000)).await.expect("it succeeds");
    }
    let heard = listen(&pool);
    let crash = spawn(&pool, call(0).takes(MS * 5).then(Then::Crash));
    let behind = spawn_all(&pool, (1..50).map(|seq| call(seq).takes(US * 10)));
    assert_eq!(
        answer(crash).await.0.expect_err("it ends with an error"),
        ScriptedError::WorkerLost { exit: CRASHED }
    );
    replies(behind, 1).await;
    let ran = pool.script.executions().into_iter().map(|execution| execution.seq).filter(|&seq| seq < 1000);
    assert_eq!(ran.collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    let heard = heard.borrow();
    let WorkerEvent::Exited { lost_calls: 1, requeued, expected: false, exit: CRASHED, ref started, .. } =
        heard[0].1
    else {
        panic!("{:?}", heard[0]);
    };
    assert!(requeued > 0);
    let [call] = started[..] else { panic!("{started:?}") };
    assert!(call.running.is_some_and(|time| time >= MS * 5), "{call:?}");
    assert_eq!(call.stage, CallStage::Running);
}

#[actix::test]
async fn a_worker_that_dies_between_calls_loses_none() {
    let pool = ready_pool(limits(), settings(2)).await;
    pool.script.kill(SlotId(0));
    replies(spawn_all(&pool, (0..10).map(|seq| call(seq).takes(MS))), 0).await;
    sleep(SECOND).await;
    assert_eq!(pool.script.alive(), 2);
    assert_each_ran_once(&pool, 0..10);
}

#[actix::test]
async fn a_call_that_finished_with_its_reply_unsent_counts_as_run() {
    let pool = ready_pool(limits(), settings(1)).await;
    for _ in 0..20 {
        pool.call(call(1000)).await.expect("it succeeds");
    }
    // The first ends 100 µs before the crash, and its reply is lost with the batch.
    let first = spawn(&pool, call(0).takes(US * 100));
    let crash = spawn(&pool, call(1).takes(US * 100).then(Then::Crash));
    for lost in [first, crash] {
        assert_eq!(
            answer(lost).await.0.expect_err("it ends with an error"),
            ScriptedError::WorkerLost { exit: CRASHED }
        );
    }
    assert_eq!((runs(&pool, 0), runs(&pool, 1)), (1, 1));
}

#[actix::test]
async fn an_idempotent_call_is_tried_again_until_it_has_killed_as_many_workers_as_it_may() {
    let pool = ready_pool(limits(), settings(1)).await;
    let poison = soon(pool.call(call(0).idempotent().then(Then::CrashAtStart))).await;
    assert_eq!(
        poison.expect_err("it ends with an error"),
        ScriptedError::Quarantined { attempts: 3, exit: CRASHED }
    );
    assert_eq!(runs(&pool, 0), 3);
    soon(pool.call(call(1))).await.expect("the pool lives on");
}

#[actix::test]
async fn an_idempotent_call_whose_worker_is_killed_succeeds_elsewhere() {
    let pool = ready_pool(limits(), settings(2)).await;
    let retried = spawn(&pool, call(0).idempotent().takes(MS * 50));
    sleep(MS * 20).await;
    pool.script.kill(execution(&pool, 0).slot);
    replies(vec![retried], 0).await;
    assert_eq!(runs(&pool, 0), 2);
}

#[actix::test]
async fn a_retried_call_that_expires_while_it_waits_says_that_it_had_started() {
    let pool = ready_pool(limits(), settings(1)).await;
    let retried = spawn(&pool, call(0).idempotent().then(Then::Hang).timeout(MS * 40));
    sleep(MS * 20).await;
    pool.script.kill(SlotId(0));
    let (result, _) = answer(retried).await;
    assert_eq!(result.expect_err("it ends with an error"), ScriptedError::DeadlineExceeded { started: true });
}

#[actix::test]
async fn a_crashed_worker_is_replaced_after_the_first_backoff_and_the_rest_serve_meanwhile() {
    let pool = ready_pool(limits(), settings(2)).await;
    let heard = listen(&pool);
    let start = now();
    let lost = spawn(&pool, call(0).then(Then::CrashAtStart));
    assert!(answer(lost).await.0.is_err());
    load(&pool, MS * 40).await;
    sleep(SECOND).await;
    assert_eq!(names(&heard), ["exited", "restarting", "started"]);
    let heard = heard.borrow();
    assert!(matches!(heard[1].1, WorkerEvent::Restarting { delay, .. } if delay == MS * 50));
    assert_at(heard[2].0, start + MS * 60);
}

#[actix::test]
async fn backoff_doubles_with_each_crash_and_starts_again_after_health() {
    let pool = ready_pool(limits(), settings(1)).await;
    let start = now();
    let mut expected = vec![];
    let mut at = 0;
    for delay in [50, 100, 200] {
        let crash = soon(pool.call(call(0).then(Then::CrashAtStart))).await;
        assert!(crash.is_err());
        expected.push(at + delay);
        soon(pool.call(call(1))).await.expect("it comes back");
        at = (now() - start).as_millis();
    }
    sleep(SECOND * 10).await;
    at = (now() - start).as_millis();
    assert!(soon(pool.call(call(0).then(Then::CrashAtStart))).await.is_err());
    soon(pool.call(call(1))).await.expect("it comes back");
    expected.push(at + 50);
    for (launched, expected) in launched_at(&pool, start - MS * 10).into_iter().skip(1).zip(expected) {
        let launched = launched - 10;
        assert!((expected..expected + 4).contains(&launched), "at {launched} instead of {expected} ms");
    }
}

#[actix::test]
async fn a_crash_loop_at_start_opens_the_breaker_which_refuses_at_once_and_probes_with_growing_delays() {
    tokio::time::pause();
    let script = Script::new();
    script.expect_launches([LaunchPlan::fails(MS, "broken"); 5]);
    script.expect_launches([LaunchPlan::ready(MS)]);
    let pool = ScriptedPool::start_with(script, limits(), settings(1));
    let heard = listen(&pool);
    let start = now();
    let waiting = spawn(&pool, call(0));
    // Starts fail at 1, 52 and 153 ms. The third failure opens the breaker.
    let (result, at) = answer(waiting).await;
    let unavailable = |after| ScriptedError::Unavailable { cause: Some("broken"), retry_after: MS * after };
    assert_eq!(result.expect_err("it ends with an error"), unavailable(200));
    let after = at - start;
    assert!((MS * 153..MS * 160).contains(&after), "{after:?}");
    sleep(MS * 50).await;
    let asked = now();
    let refused = pool.call(call(1)).await.expect_err("it ends with an error");
    assert!(
        matches!(refused, ScriptedError::Unavailable { retry_after, .. } if (MS * 140..=MS * 150).contains(&retry_after)),
        "{refused:?}"
    );
    assert_eq!(now(), asked);
    soon(async {
        while pool.call(call(2)).await.is_err() {
            sleep(MS * 10).await;
        }
    })
    .await;
    assert_eq!(
        names(&heard),
        [
            "start failed",
            "restarting",
            "start failed",
            "restarting",
            "start failed",
            "restarting",
            "opened",
            "half-opened",
            "start failed",
            "restarting",
            "opened",
            "half-opened",
            "start failed",
            "restarting",
            "opened",
            "half-opened",
            "started",
            "closed"
        ]
    );
    // Backoffs of 50, 100, 200, 400 and 800 ms, and 1 ms for each launch.
    let launches = launched_at(&pool, start);
    for (launched, expected) in launches.iter().zip([0, 51, 152, 353, 754, 1555]) {
        assert!((expected..expected + 15).contains(launched), "{launches:?}");
    }
    assert_eq!((runs(&pool, 0), runs(&pool, 1)), (0, 0));
    pool.script.assert_drained();
}

#[actix::test]
async fn while_the_breaker_is_open_one_probe_is_started_and_the_rest_follow_its_success() {
    tokio::time::pause();
    let script = Script::new();
    script.expect_launches([LaunchPlan::fails(MS, "broken"); 4]);
    script.expect_launches([LaunchPlan::ready(MS * 100); 4]);
    let pool = ScriptedPool::start_with(script, limits(), settings(4));
    let start = now();
    sleep(MS * 20).await;
    assert!(matches!(pool.call(call(0)).await, Err(ScriptedError::Unavailable { .. })));
    sleep(MS * 100).await;
    assert_eq!(pool.script.launched().len(), 5, "one probe at a time");
    sleep(MS * 500).await;
    let launches = launched_at(&pool, start);
    assert_eq!(launches[..4], [0; 4]);
    assert!((50..56).contains(&launches[4]), "{launches:?}");
    assert!(launches[5..].iter().all(|at| (150..160).contains(at)), "{launches:?}");
    pool.script.assert_drained();
    assert_eq!(pool.script.alive(), 4);
}

#[actix::test]
async fn a_crash_loop_under_load_exceeds_the_intensity_and_rests() {
    let mut settings = settings(1);
    settings.restart.max = MS * 100;
    settings.restart.max_restarts = 4;
    let pool = ready_pool(limits(), settings).await;
    let heard = listen(&pool);
    // The crash is the cause, not the start that failed before.
    pool.script.expect_launches([LaunchPlan::fails(MS, "once")]);
    pool.script.expect_launches([LaunchPlan::ready(MS); 4]);
    for _ in 0..4 {
        let crash = soon(pool.call(call(0).then(Then::CrashAtStart))).await;
        assert_eq!(crash.expect_err("it ends with an error"), ScriptedError::WorkerLost { exit: CRASHED });
    }
    sleep(MS).await;
    let refused = pool.call(call(1)).await.expect_err("it ends with an error");
    let ScriptedError::Unavailable { cause: Some("crashed"), retry_after } = refused else {
        panic!("{refused:?}")
    };
    assert!(retry_after > MS * 9_900, "{retry_after:?}");
    assert_eq!(pool.script.launched().len(), 5);
    sleep(SECOND * 11).await;
    soon(pool.call(call(2))).await.expect("it serves again");
    pool.script.assert_drained();
    let names = names(&heard);
    let tail = ["exited", "restarting", "opened", "half-opened", "started", "closed"];
    assert!(names.ends_with(&tail), "{names:?}");
}

#[actix::test]
async fn max_calls_replaces_a_process_before_it_drains_and_no_call_fails() {
    let pool = ready_pool(limits(), Settings { max_calls: Some(20), ..settings(2) }).await;
    let heard = listen(&pool);
    load(&pool, SECOND).await;
    let heard_names = names(&heard);
    assert!(heard_names.iter().filter(|name| **name == "retiring").count() >= 8, "{heard_names:?}");
    assert!(!heard_names.contains(&"exited"), "{heard_names:?}");
    let mut serving = 2;
    for (_, event) in heard.borrow().iter() {
        match event {
            WorkerEvent::Started { .. } => serving += 1,
            WorkerEvent::Draining { .. } => serving -= 1,
            WorkerEvent::Retiring { reason, .. } => assert_eq!(*reason, RetireReason::MaxCalls),
            _ => {}
        }
        assert!(serving >= 2, "the replacement serves first");
    }
    assert_eq!(slots(&pool).await.iter().map(|row| row.restarts).sum::<u64>(), 0);
}

#[actix::test]
async fn max_lifetime_and_max_rss_replace_a_process_and_no_call_fails() {
    let aged = Settings { max_lifetime: Some(SECOND), max_rss: Some(1 << 30), ..settings(1) };
    let pool = ready_pool(limits(), aged).await;
    let heard = listen(&pool);
    load(&pool, MS * 1500).await;
    pool.script.set_rss(SlotId(0), 1 << 31);
    load(&pool, MS * 400).await;
    let reasons: Vec<_> = (heard.borrow().iter())
        .filter_map(|(_, event)| match event {
            WorkerEvent::Retiring { reason, .. } => Some(*reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [RetireReason::MaxLifetime, RetireReason::MaxRss]);
}

#[actix::test]
async fn an_idle_process_is_replaced_at_its_age_too() {
    let pool = ready_pool(limits(), Settings { max_lifetime: Some(SECOND), ..settings(1) }).await;
    sleep(MS * 1400).await;
    assert_eq!(slots(&pool).await[0].generation.map(|generation| generation.0), Some(2));
    assert_eq!(pool.script.alive(), 1);
}

#[actix::test]
async fn a_replacement_that_does_not_start_is_tried_again_with_backoff_while_the_old_one_serves() {
    let pool = ready_pool(limits(), settings(1)).await;
    let start = now();
    pool.script.expect_launches([LaunchPlan::fails(MS, "no memory"); 3]);
    pool.script.expect_launches([LaunchPlan::ready(MS)]);
    assert!(pool.supervisor.send(ReplaceSlot(SlotId(0))).await.expect("it lives"));
    load(&pool, SECOND).await;
    let launches = launched_at(&pool, start - MS * 20);
    for (launched, expected) in launches[1..].iter().zip([20, 71, 172, 373]) {
        assert!((expected..expected + 8).contains(launched), "{launches:?}");
    }
    pool.script.assert_drained();
    assert_eq!(slots(&pool).await[0].generation.map(|generation| generation.0), Some(5));
}

#[actix::test]
async fn a_reload_replaces_all_one_by_one_and_no_call_fails() {
    let pool = ready_pool(limits(), settings(3)).await;
    let heard = listen(&pool);
    let reloaded = actix_rt::spawn(reload_of(&pool));
    load(&pool, MS * 100).await;
    soon(reloaded).await.expect("the task lives").expect("the reload succeeds");
    let mut generations: Vec<_> = slots(&pool).await.iter().map(|row| row.generation.map(|g| g.0)).collect();
    generations.sort_unstable();
    assert_eq!(generations, [Some(4), Some(5), Some(6)]);
    let one = ["started", "draining", "exited as expected"];
    assert_eq!(names(&heard).len(), 9, "{:?}", names(&heard));
    assert!(one.iter().all(|name| names(&heard).iter().filter(|heard| *heard == name).count() == 3));
}

fn reload_of(pool: &ScriptedPool) -> impl std::future::Future<Output = Result<(), &'static str>> + use<> {
    let asked = pool.supervisor.send(actix_pyproc_actors::supervisor::ReloadAll::default());
    async { asked.await.expect("the supervisor lives") }
}

#[actix::test]
async fn a_reload_whose_new_process_does_not_start_fails_and_keeps_the_old_ones() {
    let pool = ready_pool(limits(), settings(3)).await;
    pool.script.expect_launches([LaunchPlan::ready(MS * 10), LaunchPlan::fails(MS * 10, "syntax error")]);
    let reloaded = actix_rt::spawn(reload_of(&pool));
    load(&pool, MS * 200).await;
    assert_eq!(soon(reloaded).await.expect("the task lives"), Err("syntax error"));
    assert_eq!(pool.script.alive(), 3);
    pool.script.assert_drained();
    pool.script.expect_any();
    soon(reload(&pool)).await.expect("the next one succeeds");
}

#[actix::test]
async fn a_crash_during_a_reload_is_made_good_and_the_reload_ends() {
    let pool = ready_pool(limits(), settings(3)).await;
    let reloaded = actix_rt::spawn(reload_of(&pool));
    sleep(MS * 5).await;
    for slot in 0..3 {
        pool.script.kill(SlotId(slot));
    }
    soon(reloaded).await.expect("the task lives").expect("the reload succeeds");
    sleep(SECOND).await;
    assert_eq!(pool.script.alive(), 3);
    replies(spawn_all(&pool, (0..10).map(call)), 0).await;
}

// All slots that the reload had left were removed, and the reload never ended.
#[actix::test]
async fn a_reload_ends_when_the_slots_that_are_left_are_resized_away() {
    let pool = ready_pool(limits(), settings(3)).await;
    pool.script.expect_launches([LaunchPlan::ready(MS * 10), LaunchPlan::ready(SECOND)]);
    let reloaded = actix_rt::spawn(reload_of(&pool));
    sleep(MS * 30).await;
    soon(resize(&pool, 1)).await.expect("it shrinks");
    soon(reloaded).await.expect("the task lives").expect("the reload succeeds");
    sleep(MS * 50).await;
    assert_eq!(pool.script.alive(), 1);
}

#[actix::test]
async fn resizing_up_and_down_under_load_fails_no_call() {
    let pool = ready_pool(limits(), settings(2)).await;
    for workers in [6, 1, 4, 3, 3] {
        let resized = pool.supervisor.send(actix_pyproc_actors::supervisor::Resize::new(workers));
        let resized = actix_rt::spawn(resized);
        load(&pool, MS * 100).await;
        soon(resized).await.expect("the task lives").expect("it lives").expect("the launches succeed");
        assert_eq!(pool.script.alive(), workers as usize);
        assert_eq!(status(&pool).await.workers.len(), workers as usize);
    }
}

#[actix::test]
async fn a_slot_that_shrinks_away_and_comes_back_while_it_drains_serves_again() {
    let pool = ready_pool(limits(), settings(2)).await;
    let long = spawn_all(&pool, (0..2).map(|seq| call(seq).takes(SECOND)));
    sleep(MS).await;
    soon(resize(&pool, 1)).await.expect("it shrinks");
    soon(resize(&pool, 2)).await.expect("it grows");
    replies(spawn_all(&pool, (2..12).map(|seq| call(seq).takes(MS))), 2).await;
    assert_eq!(pool.script.alive(), 3, "the old process still drains");
    replies(long, 0).await;
    sleep(MS * 10).await;
    assert_eq!(pool.script.alive(), 2);
}

#[actix::test]
async fn a_resize_whose_new_worker_does_not_start_says_so_and_the_slot_is_tried_again() {
    let pool = ready_pool(limits(), settings(1)).await;
    pool.script.expect_launches([LaunchPlan::fails(MS, "no memory"), LaunchPlan::ready(MS)]);
    assert_eq!(soon(resize(&pool, 2)).await, Err("no memory"));
    sleep(MS * 100).await;
    assert_eq!(pool.script.alive(), 2);
    pool.script.assert_drained();
}

#[actix::test]
async fn a_process_that_drains_too_long_is_killed() {
    let pool = ready_pool(limits(), Settings { drain_timeout: SECOND, ..settings(2) }).await;
    let hanging = spawn_all(&pool, (0..2).map(|seq| call(seq).then(Then::Hang)));
    sleep(MS).await;
    let asked = now();
    soon(resize(&pool, 1)).await.expect("it shrinks");
    sleep(MS * 900).await;
    assert_eq!(pool.script.alive(), 2);
    sleep(MS * 200).await;
    assert_eq!(pool.script.alive(), 1);
    let exit = ScriptedExit::Killed(actix_pyproc_actors::KillReason::DrainTimeout);
    for hanging in hanging {
        if hanging.is_finished() {
            let (result, at) = answer(hanging).await;
            assert_eq!(result.expect_err("it ends with an error"), ScriptedError::WorkerLost { exit });
            assert_at(at, asked + MS * 1003);
        }
    }
}

// The call ended as Unavailable, which says that it did not run.
#[actix::test]
async fn a_retried_call_that_no_worker_takes_again_is_lost_with_the_worker_it_ran_on() {
    let lost = ScriptedError::WorkerLost { exit: ScriptedExit::Signalled };
    let pool = ready_pool(limits(), settings(1)).await;
    pool.script.expect_launches([LaunchPlan::fails(MS, "broken"); 4]);
    let retried = spawn(&pool, call(0).idempotent().then(Then::Hang));
    sleep(MS * 20).await;
    pool.script.kill(SlotId(0));
    assert_eq!(answer(retried).await.0.expect_err("it ends with an error"), lost);

    let pool = ready_pool_with(Script::new(), limits(), settings(1)).await;
    let retried = spawn(&pool, call(0).idempotent().then(Then::Hang));
    sleep(MS * 20).await;
    pool.script.kill(SlotId(0));
    sleep(MS * 5).await;
    soon(pool.shutdown(Duration::ZERO)).await;
    assert_eq!(answer(retried).await.0.expect_err("it ends with an error"), lost);
}

// 99 coroutines beside one that crashes were quarantined with it.
#[actix::test]
async fn only_the_call_that_kills_its_workers_is_quarantined() {
    let pool = ready_pool(limits(), settings(2)).await;
    let bystanders = (0..99).map(|seq| call(seq).function(1).overlapping().idempotent().takes(MS * 50));
    let bystanders = spawn_all(&pool, bystanders);
    let poison = call(99).function(1).overlapping().idempotent().takes(MS * 20).then(Then::Crash);
    let poison = spawn(&pool, poison);
    replies(bystanders, 0).await;
    let quarantined = ScriptedError::Quarantined { attempts: 3, exit: CRASHED };
    assert_eq!(answer(poison).await.0.expect_err("it ends with an error"), quarantined);
}

#[actix::test]
async fn coroutines_that_wait_while_a_function_kills_their_worker_are_not_blamed_for_it() {
    let settings = Settings { max_attempts: 1, ..settings(1) };
    let pool = ready_pool(limits(), settings).await;
    let waits = spawn(&pool, call(0).function(1).overlapping().idempotent().takes(SECOND));
    sleep(MS).await;
    let kills = spawn(&pool, call(1).idempotent().then(Then::CrashAtStart));
    assert!(matches!(answer(waits).await.0, Err(ScriptedError::WorkerLost { exit: CRASHED })));
    assert!(matches!(answer(kills).await.0, Err(ScriptedError::Quarantined { attempts: 1, .. })));
}

// The wait never ended: each start succeeded, but the workers never all served at once.
#[actix::test]
async fn workers_that_become_ready_and_crash_in_a_loop_are_an_error_of_the_start() {
    tokio::time::pause();
    let script = Script::new();
    script.expect_launches([LaunchPlan::ready(MS * 5), LaunchPlan::ready(SECOND * 3600)]);
    script.expect_launches([LaunchPlan::ready(MS * 5); 3]);
    let mut settings = settings(2);
    settings.restart.max = MS * 100;
    settings.restart.max_restarts = 3;
    let pool = ScriptedPool::start_with(script.clone(), limits(), settings);
    let waiting = actix_rt::spawn(ready_of(&pool));
    for _ in 0..4 {
        while slots(&pool).await[0].generation.is_none() {
            assert!(!waiting.is_finished());
            sleep(MS).await;
        }
        script.kill(SlotId(0));
        sleep(MS * 10).await;
    }
    assert_eq!(soon(waiting).await.expect("the task lives"), Err("crashed"));
}

#[actix::test]
async fn those_who_wait_for_workers_of_a_pool_that_stops_hear_that_it_stopped() {
    let pool = ready_pool(limits(), settings(2)).await;
    pool.script.expect_launches([LaunchPlan::ready(SECOND * 10); 4]);
    let reload = actix_rt::spawn(reload_of(&pool));
    let resize = actix_rt::spawn(pool.supervisor.send(actix_pyproc_actors::supervisor::Resize::new(4)));
    let ready = actix_rt::spawn(ready_of(&pool));
    sleep(MS).await;
    soon(pool.shutdown(Duration::ZERO)).await;
    assert_eq!(soon(reload).await.expect("the task lives"), Err("stopped"));
    assert_eq!(soon(resize).await.expect("the task lives").expect("it was answered"), Err("stopped"));
    assert_eq!(soon(ready).await.expect("the task lives"), Err("stopped"));
}

fn ready_of(pool: &ScriptedPool) -> impl std::future::Future<Output = Result<(), &'static str>> + use<> {
    let asked = pool.supervisor.send(AwaitReady::new(None));
    async { asked.await.expect("the supervisor lives") }
}

// It was quarantined as if it had killed its workers, which the pool had killed because of other
// calls.
#[actix::test]
async fn calls_beside_a_stuck_one_are_lost_with_their_worker_and_never_quarantined() {
    let pool = ready_pool(limits(), settings(1)).await;
    let beside = spawn(&pool, call(0).function(1).overlapping().takes(SECOND * 4).idempotent());
    for seq in 1..4 {
        sleep(MS * 20).await;
        drop(spawn(&pool, call(seq).function(2).overlapping().then(Then::Deaf).timeout(MS * 30)));
        sleep(MS * 700).await;
    }
    let lost = ScriptedError::WorkerLost { exit: ScriptedExit::Killed(KillReason::Stuck) };
    assert_eq!(answer(beside).await.0.expect_err("it was lost three times"), lost);
    assert_eq!(runs(&pool, 0), 3);
}

// They waited for a worker whose coroutine took an hour, and which got no other calls meanwhile.
#[actix::test]
async fn calls_that_must_run_alone_go_to_the_first_idle_worker_and_take_no_other() {
    let pool = ready_pool(limits(), Settings { max_attempts: 2, ..settings(2) }).await;
    let homes = replies(spawn_all(&pool, (0..20).map(|key| call(key).affinity(key))), 0).await;
    let key_of = |slot| homes.iter().find(|home| home.slot.0 == slot).expect("each slot has keys").seq;
    let hour = spawn(&pool, call(20).overlapping().takes(SECOND * 3600).affinity(key_of(0)));
    let lost = (21..24).map(|seq| call(seq).overlapping().takes(SECOND).idempotent().affinity(key_of(1)));
    let lost = spawn_all(&pool, lost);
    sleep(MS * 10).await;
    let start = now();
    pool.script.kill(SlotId(1));
    sleep(MS * 200).await;
    let beside = replies(spawn_all(&pool, (24..30).map(|seq| call(seq).takes(MS))), 24).await;
    assert!(beside.iter().all(|reply| reply.slot.0 == 0));
    assert!(now() - start < MS * 300, "{:?}", now() - start);
    assert!(replies(lost, 21).await.iter().all(|reply| reply.slot.0 == 1));
    assert!(now() - start < SECOND * 4, "{:?}", now() - start);
    assert!(!hour.is_finished());
}
