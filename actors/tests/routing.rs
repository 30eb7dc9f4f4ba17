//! Which call goes where, and how each ends, in simulated time.

mod common;

use std::collections::HashSet;

use actix_pyproc_actors::router::Limits;
use actix_pyproc_actors::router::select::Select;
use actix_pyproc_actors::testing::{
    LaunchPlan, Script, ScriptedCall, ScriptedError, ScriptedExit, ScriptedPool, Then, limits, settings,
};
use actix_pyproc_actors::{KillReason, SlotId};
use common::*;

fn call(seq: u64) -> ScriptedCall {
    ScriptedCall::new(seq)
}

/// Sets the estimate of function 0.
async fn measured(pool: &ScriptedPool, service: std::time::Duration) {
    for _ in 0..20 {
        pool.call(call(u64::MAX).takes(service)).await.expect("the call succeeds");
    }
}

#[actix::test]
async fn a_call_is_answered_with_its_own_reply() {
    let pool = ready_pool(limits(), settings(1)).await;
    let sent = now();
    let (reply, at) = answer(spawn(&pool, call(42).takes(MS * 7))).await;
    assert_eq!(reply.expect("it succeeds").seq, 42);
    assert_at(at, sent + MS * 7);
    let raised = soon(pool.call(call(43).then(Then::Raise))).await;
    assert_eq!(raised.expect_err("it ends with an error"), ScriptedError::Raised);
}

#[actix::test]
async fn a_call_that_the_backend_refuses_ends_at_once_and_never_runs() {
    let pool = ready_pool(limits(), settings(1)).await;
    for then in [Then::Unknown, Then::Unsendable] {
        assert_eq!(
            soon(pool.call(call(1).then(then))).await.expect_err("it ends with an error"),
            ScriptedError::Rejected
        );
    }
    assert_eq!(runs(&pool, 1), 0);
    assert_eq!(status(&pool).await.in_flight, 0);
    replies(vec![spawn(&pool, call(2))], 2).await;
}

#[actix::test]
async fn many_callers_each_get_their_own_reply_and_each_call_runs_once() {
    tokio::time::pause();
    for callers in [64, 1000] {
        let pool = ready_pool_with(Script::new(), limits(), settings(3)).await;
        let calls = (0..callers).map(|seq| call(seq).function((seq % 5) as u32).takes(US * 40));
        replies(spawn_all(&pool, calls), 0).await;
        assert_each_ran_once(&pool, 0..callers);
        let status = status(&pool).await;
        assert_eq!((status.calls.ok, status.queued, status.in_flight), (callers, 0, 0));
    }
}

#[actix::test]
async fn a_worker_that_was_never_measured_is_given_one_call_at_a_time() {
    let pool = ready_pool(limits(), settings(2)).await;
    let calls = spawn_all(&pool, (0..4).map(|seq| call(seq).takes(MS * 5)));
    sleep(MS).await;
    assert_eq!(status(&pool).await.in_flight, 2);
    replies(calls, 0).await;
}

#[actix::test]
async fn tiny_calls_are_pipelined_up_to_the_budget() {
    let pool = ready_pool(limits(), settings(1)).await;
    measured(&pool, US * 100).await;
    let calls = spawn_all(&pool, (0..100).map(|seq| call(seq).takes(US * 100)));
    tokio::task::yield_now().await;
    let status = status(&pool).await;
    assert!(
        (10..=12).contains(&status.in_flight),
        "{} calls of 100 µs in a budget of 1 ms",
        status.in_flight
    );
    replies(calls, 0).await;
}

#[actix::test]
async fn a_budget_of_zero_means_no_pipelining_and_not_no_work() {
    let limits = Limits { pipeline_budget: std::time::Duration::ZERO, ..limits() };
    let pool = ready_pool(limits, settings(1)).await;
    replies(spawn_all(&pool, (0..20).map(|seq| call(seq).takes(US * 100))), 0).await;
    replies(spawn_all(&pool, (0..20).map(|seq| call(seq).takes(MS).overlapping())), 0).await;
}

#[actix::test]
async fn one_call_beyond_the_queue_is_overloaded_and_the_others_succeed() {
    let pool = ready_pool(Limits { max_queue: 8, ..limits() }, settings(2)).await;
    let mut calls = spawn_all(&pool, (0..11).map(|seq| call(seq).takes(MS * 10)));
    let refused = calls.pop().expect("there are eleven");
    let sent = now();
    let (result, at) = answer(refused).await;
    assert!(
        matches!(result, Err(ScriptedError::Overloaded { retry_after }) if retry_after >= MS),
        "{result:?}"
    );
    assert_eq!(at, sent);
    replies(calls, 0).await;
    assert_eq!(runs(&pool, 10), 0);
}

#[actix::test]
async fn round_robin_gives_each_worker_as_many_calls() {
    let pool = ready_pool(Limits { select: Select::RoundRobin, ..limits() }, settings(4)).await;
    for seq in 0..40 {
        pool.call(call(seq)).await.expect("it succeeds");
    }
    let workers = status(&pool).await.workers;
    assert_eq!(workers.iter().map(|worker| worker.calls).collect::<Vec<_>>(), [10; 4]);
}

#[actix::test]
async fn least_loaded_avoids_the_worker_with_work() {
    let pool = ready_pool(limits(), settings(2)).await;
    measured(&pool, US * 50).await;
    let long = spawn(&pool, call(0).function(1).takes(SECOND));
    sleep(MS).await;
    let busy = execution(&pool, 0).slot;
    for reply in replies(spawn_all(&pool, (1..50).map(|seq| call(seq).takes(US * 50))), 1).await {
        assert_ne!(reply.slot, busy);
    }
    answer(long).await.0.expect("it succeeds");
}

#[actix::test]
async fn short_calls_never_wait_behind_a_long_one_while_another_worker_is_free() {
    let pool = ready_pool(limits(), settings(2)).await;
    measured(&pool, US * 50).await;
    let long = spawn(&pool, call(1000).function(1).takes(MS * 200));
    for round in 0..20 {
        let sent = now();
        let (reply, at) = answer(spawn(&pool, call(round).takes(US * 50))).await;
        reply.expect("it succeeds");
        assert_at(at, sent + US * 50);
    }
    assert!(!long.is_finished());
    answer(long).await.0.expect("it succeeds");
}

#[actix::test]
async fn what_waits_behind_a_call_that_takes_longer_than_ever_goes_elsewhere_and_runs_once() {
    let pool = ready_pool(limits(), settings(2)).await;
    measured(&pool, US * 50).await;
    // Function 0 was always short. Now one call of it takes a second, with others pipelined behind
    // it.
    let sent = now();
    let surprise = spawn(&pool, call(0).takes(SECOND));
    let behind = spawn_all(&pool, (1..41).map(|seq| call(seq).takes(US * 50)));
    for (reply, at) in futures::future::join_all(behind.into_iter().map(answer)).await {
        reply.expect("it succeeds");
        assert!(at < sent + MS * 30, "{:?} after it was sent", at - sent);
    }
    assert!(!surprise.is_finished());
    answer(surprise).await.0.expect("it succeeds");
    for seq in 0..41 {
        assert_eq!(runs(&pool, seq), 1, "call {seq}");
    }
    let status = status(&pool).await;
    assert!(status.requeued > 0);
    assert_eq!((status.queued, status.in_flight), (0, 0));
}

#[actix::test]
async fn a_worker_that_stalled_gets_calls_again_once_it_goes_on() {
    let pool = ready_pool(limits(), settings(1)).await;
    measured(&pool, US * 50).await;
    let calls =
        spawn_all(&pool, (0..20).map(|seq| call(seq).takes(if seq == 0 { MS * 100 } else { US * 50 })));
    replies(calls, 0).await;
    replies(spawn_all(&pool, (20..40).map(|seq| call(seq).takes(US * 50))), 20).await;
    for seq in 0..40 {
        assert_eq!(runs(&pool, seq), 1, "call {seq}");
    }
}

#[actix::test]
async fn calls_of_one_class_on_one_worker_run_in_the_order_in_which_they_were_sent() {
    let pool = ready_pool(limits(), settings(1)).await;
    replies(spawn_all(&pool, (0..200).map(|seq| call(seq).takes(US * 300))), 0).await;
    let ran: Vec<u64> = pool.script.executions().iter().map(|execution| execution.seq).collect();
    assert_eq!(ran, (0..200).collect::<Vec<_>>());
}

#[actix::test]
async fn overlapping_calls_run_side_by_side_up_to_the_limit_of_a_worker() {
    let pool = ready_pool(Limits { max_concurrent: 10, ..limits() }, settings(1)).await;
    let sent = now();
    let calls = spawn_all(&pool, (0..30).map(|seq| call(seq).overlapping().takes(MS * 100)));
    let mut last = sent;
    for call in calls {
        last = last.max(answer(call).await.1);
    }
    assert!((MS * 300..MS * 306).contains(&(last - sent)), "{:?} for 3 rounds of 100 ms", last - sent);
}

// With one queue for both kinds, overlapping calls without room blocked all calls behind them.
#[actix::test]
async fn overlapping_calls_beyond_the_limit_do_not_hold_up_the_others() {
    let pool = ready_pool(Limits { max_concurrent: 2, ..limits() }, settings(1)).await;
    let asleep = spawn_all(&pool, (0..4).map(|seq| call(seq).overlapping().takes(SECOND * 10)));
    let sent = now();
    let (reply, at) = answer(spawn(&pool, call(4).function(1).takes(MS))).await;
    reply.expect("it succeeds");
    assert_at(at, sent + MS);
    replies(asleep, 0).await;
}

#[actix::test]
async fn calls_with_one_key_go_to_one_worker_in_order() {
    let pool = ready_pool(limits(), settings(4)).await;
    let calls = spawn_all(&pool, (0..200).map(|seq| call(seq).affinity(seq % 10).takes(US * 100)));
    let replies = replies(calls, 0).await;
    for key in 0..10 {
        let of_key = || replies.iter().filter(|reply| reply.seq % 10 == key);
        assert_eq!(of_key().map(|reply| reply.slot).collect::<HashSet<_>>().len(), 1, "key {key}");
        assert!(of_key().is_sorted_by_key(|reply| reply.ended), "key {key}");
    }
    assert!(replies.iter().map(|reply| reply.slot).collect::<HashSet<_>>().len() > 1);
}

#[actix::test]
async fn calls_bound_to_a_worker_that_dies_go_on_elsewhere() {
    let pool = ready_pool(limits(), settings(3)).await;
    let first = pool.call(call(0).affinity(7)).await.expect("it succeeds");
    let calls = spawn_all(&pool, (1..20).map(|seq| call(seq).affinity(7).takes(MS * 20)));
    sleep(MS * 25).await;
    pool.script.kill(first.slot);
    let mut lost = 0;
    for call in calls {
        match answer(call).await.0 {
            Ok(_) => {}
            Err(ScriptedError::WorkerLost { .. }) => lost += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(lost, 1);
    assert_each_ran_once(&pool, 0..20);
}

#[actix::test]
async fn a_call_that_waits_is_answered_at_its_deadline_and_never_runs() {
    let pool = ready_pool(limits(), settings(1)).await;
    let long = spawn(&pool, call(0).takes(SECOND));
    let sent = now();
    for bound in [None, Some(3)] {
        let waiting = call(1).timeout(MS * 63);
        let waiting = bound.map_or(waiting.clone(), |key| waiting.affinity(key));
        let (result, at) = answer(spawn(&pool, waiting)).await;
        assert_eq!(
            result.expect_err("it ends with an error"),
            ScriptedError::DeadlineExceeded { started: false }
        );
        assert_at(at, sent + MS * if bound.is_none() { 63 } else { 126 });
    }
    answer(long).await.0.expect("it succeeds");
    sleep(SECOND).await;
    assert_eq!(runs(&pool, 1), 0);
}

#[actix::test]
async fn a_call_that_runs_is_answered_at_its_deadline_and_interrupted() {
    let pool = ready_pool(limits(), settings(1)).await;
    let sent = now();
    let (result, at) = answer(spawn(&pool, call(0).then(Then::Hang).timeout(MS * 63))).await;
    assert_eq!(result.expect_err("it ends with an error"), ScriptedError::DeadlineExceeded { started: true });
    assert_at(at, sent + MS * 63);
    let reply = replies(vec![spawn(&pool, call(1))], 1).await[0];
    assert_eq!(reply.generation.0, 1, "the process survives");
    assert_at(execution(&pool, 0).end.expect("it was interrupted"), sent + MS * 63);
}

#[actix::test]
async fn a_call_on_its_worker_that_has_not_started_is_skipped_at_its_deadline() {
    let pool = ready_pool(limits(), settings(1)).await;
    measured(&pool, US * 50).await;
    let long = spawn(&pool, call(0).takes(MS * 100));
    let sent = now();
    // The calls are revoked after 10 ms. Until then they are on the socket.
    let (result, at) = answer(spawn(&pool, call(1).timeout(MS * 6))).await;
    assert_eq!(
        result.expect_err("it ends with an error"),
        ScriptedError::DeadlineExceeded { started: false }
    );
    assert_at(at, sent + MS * 6);
    answer(long).await.0.expect("it succeeds");
    replies(vec![spawn(&pool, call(2))], 2).await;
    assert_eq!(runs(&pool, 1), 0);
    assert_eq!(status(&pool).await.in_flight, 0);
}

// Both phases were read before the first call was interrupted, so the second was reported as not
// started.
#[actix::test]
async fn a_call_that_starts_because_the_one_before_it_was_interrupted_says_that_it_started() {
    let pool = ready_pool(limits(), settings(1)).await;
    measured(&pool, US * 50).await;
    let calls = spawn_all(&pool, (0..4).map(|seq| call(seq).then(Then::Hang).timeout(MS * 6)));
    for (seq, call) in (0..).zip(calls) {
        let started = runs(&pool, seq) > 0;
        let result = answer(call).await.0;
        let started = started || runs(&pool, seq) > 0;
        assert_eq!(result, Err(ScriptedError::DeadlineExceeded { started }), "call {seq}");
    }
    assert_eq!(status(&pool).await.in_flight, 0);
}

#[actix::test]
async fn a_deaf_call_is_killed_after_the_grace_and_its_neighbours_go_on_elsewhere() {
    let pool = ready_pool(limits(), settings(2)).await;
    measured(&pool, US * 50).await;
    let sent = now();
    let deaf = spawn(&pool, call(0).then(Then::Deaf).timeout(MS * 4));
    let beside = spawn_all(&pool, (1..6).map(|seq| call(seq).takes(US * 50)));
    let (result, at) = answer(deaf).await;
    assert_eq!(result.expect_err("it ends with an error"), ScriptedError::DeadlineExceeded { started: true });
    assert_at(at, sent + MS * 4);
    replies(beside, 1).await;
    let slot = execution(&pool, 0).slot;
    let heard = listen(&pool);
    sleep(SECOND).await;
    assert_eq!(names(&heard), ["exited", "started"]);
    let exited = heard.borrow()[0].0 - sent;
    assert!((MS * 504..MS * 515).contains(&exited), "{exited:?}");
    let last = slots(&pool).await.into_iter().find(|row| row.slot == slot).and_then(|row| row.last_exit);
    assert_eq!(last, Some(ScriptedExit::Killed(KillReason::Stuck)));
    for seq in 0..6 {
        assert_eq!(runs(&pool, seq), 1, "call {seq}");
    }
}

// The router kept sending calls to a worker that was being killed, and the worker returned them,
// until the process had ended.
#[actix::test]
async fn a_worker_that_is_being_killed_is_given_no_calls() {
    let pool = ready_pool(limits(), settings(1)).await;
    // An overlapping call does not stall its worker, so the worker gets more calls.
    let deaf = spawn(&pool, call(0).overlapping().then(Then::Deaf).timeout(MS * 5));
    let mut others = Vec::new();
    for seq in 1..600 {
        others.push(spawn(&pool, call(seq).takes(US * 100)));
        sleep(MS).await;
    }
    assert!(answer(deaf).await.0.is_err());
    assert_eq!(replies(others, 1).await.last().map(|reply| reply.generation.0), Some(2));
    assert!(status(&pool).await.requeued <= 1);
    assert_each_ran_once(&pool, 0..600);
}

#[actix::test]
async fn a_dropped_future_takes_its_call_out_of_the_queue() {
    let pool = ready_pool(limits(), settings(1)).await;
    let long = spawn(&pool, call(0).takes(MS * 100));
    let waiting = spawn(&pool, call(1));
    sleep(MS).await;
    waiting.abort();
    sleep(MS * 10).await;
    assert_eq!(status(&pool).await.queued, 0);
    answer(long).await.0.expect("it succeeds");
    sleep(MS * 100).await;
    assert_eq!(runs(&pool, 1), 0);
    assert_eq!(status(&pool).await.calls.abandoned, 1);
}

#[actix::test]
async fn a_dropped_future_interrupts_its_call() {
    let pool = ready_pool(limits(), settings(1)).await;
    let hanging = spawn(&pool, call(0).then(Then::Hang));
    sleep(MS * 20).await;
    hanging.abort();
    let dropped = now();
    replies(vec![spawn(&pool, call(1))], 1).await;
    let end = execution(&pool, 0).end.expect("it was interrupted");
    assert!(end - dropped <= MS * 7, "{:?}", end - dropped);
    let status = status(&pool).await;
    assert_eq!((status.calls.abandoned, status.in_flight), (1, 0));
}

#[actix::test]
async fn a_call_that_wants_no_answer_runs() {
    let pool = ready_pool(limits(), settings(1)).await;
    pool.router.do_send(call(0).takes(MS * 10));
    pool.router.do_send(call(1).then(Then::Raise));
    pool.router.do_send(call(2).then(Then::Unknown));
    sleep(MS * 100).await;
    assert_each_ran_once(&pool, 0..2);
    let status = status(&pool).await;
    assert_eq!((status.calls.ok, status.calls.abandoned, status.in_flight), (1, 0, 0));
}

#[actix::test]
async fn duplicate_late_and_unknown_replies_answer_no_other_call() {
    let pool = ready_pool(limits(), settings(1)).await;
    let first = pool.call(call(0)).await.expect("it succeeds");
    let running = spawn(&pool, call(1).takes(MS * 50));
    sleep(MS).await;
    for _ in 0..3 {
        pool.script.inject_reply(SlotId(0), first.call);
    }
    pool.script.inject_reply(SlotId(0), actix_pyproc_actors::CallId::new(900, 3));
    sleep(MS).await;
    let status_now = status(&pool).await;
    assert_eq!((status_now.in_flight, status_now.calls.ok), (1, 1));
    replies(vec![running], 1).await;
    assert_eq!(status(&pool).await.workers[0].calls, 2);
}

#[actix::test]
async fn a_stopped_process_is_killed_after_the_grace_and_what_had_not_started_goes_on() {
    let pool = ready_pool(limits(), settings(1)).await;
    measured(&pool, US * 50).await;
    let running = spawn(&pool, call(0).takes(MS * 3));
    let behind = spawn_all(&pool, (1..5).map(|seq| call(seq).takes(US * 50)));
    tokio::task::yield_now().await;
    sleep(MS).await;
    pool.script.stop(SlotId(0));
    let stopped = now();
    let (result, at) = answer(running).await;
    let exit = ScriptedExit::Killed(KillReason::Stopped);
    assert_eq!(result.expect_err("it ends with an error"), ScriptedError::WorkerLost { exit });
    assert!((MS * 500..MS * 1010).contains(&(at - stopped)), "{:?}", at - stopped);
    replies(behind, 1).await;
}

// The grace counted from the first stop.
#[actix::test]
async fn a_process_that_is_stopped_again_and_again_and_goes_on_is_left_alone() {
    let pool = ready_pool(limits(), settings(1)).await;
    for seq in 0..3 {
        pool.script.stop(SlotId(0));
        let call = spawn(&pool, call(seq).takes(MS));
        sleep(MS * 450).await;
        pool.script.resume(SlotId(0));
        assert_eq!(replies(vec![call], seq).await[0].generation.0, 1);
        sleep(SECOND).await;
    }
}

#[actix::test]
async fn affinity_holds_while_other_slots_come_and_go() {
    let pool = ready_pool(limits(), settings(2)).await;
    let homes: Vec<_> =
        futures::future::join_all((0..20).map(|key| pool.call(call(key).affinity(key)))).await;
    soon(resize(&pool, 4)).await.expect("the launches succeed");
    soon(resize(&pool, 2)).await.expect("it shrinks");
    for (key, home) in (0..).zip(homes) {
        let again = soon(pool.call(call(key).affinity(key))).await.expect("it succeeds");
        assert_eq!(again.slot, home.expect("it succeeded").slot);
    }
}

#[actix::test]
async fn calls_before_the_first_worker_serves_wait_for_it() {
    tokio::time::pause();
    let pool = ScriptedPool::start(limits(), settings(2));
    replies(spawn_all(&pool, (0..10).map(call)), 0).await;
    assert_each_ran_once(&pool, 0..10);
}

#[actix::test]
async fn a_small_table_is_never_overfilled() {
    tokio::time::pause();
    let script = Script::new();
    script.set_capacity(3);
    let pool = ready_pool_with(script, limits(), settings(2)).await;
    measured(&pool, US).await;
    replies(spawn_all(&pool, (0..100).map(|seq| call(seq).takes(US))), 0).await;
    replies(spawn_all(&pool, (100..120).map(|seq| call(seq).overlapping().takes(MS))), 100).await;
    assert_eq!(status(&pool).await.requeued, 0);
}

#[actix::test]
async fn a_call_without_any_time_ends_at_its_deadline_and_never_runs() {
    let pool = ready_pool(limits(), settings(1)).await;
    let (result, _) = answer(spawn(&pool, call(1).timeout(std::time::Duration::ZERO))).await;
    let expected = ScriptedError::DeadlineExceeded { started: false };
    assert_eq!(result.expect_err("it ends with an error"), expected);
    assert_eq!(runs(&pool, 1), 0);
}

// Workers that were not yet replaced reported an unknown function, so most calls of it failed
// during a reload.
#[actix::test]
async fn calls_of_a_function_that_only_new_workers_have_go_to_those() {
    let pool = ready_pool(limits(), settings(3)).await;
    pool.script.set_lacks(SlotId(0), 7);
    pool.script.set_lacks(SlotId(1), 7);
    let calls = spawn_all(&pool, (0..60).map(|seq| call(seq).function(7).takes(MS)));
    for reply in replies(calls, 0).await {
        assert_eq!(reply.slot.0, 2);
    }
    let others = replies(spawn_all(&pool, (60..90).map(|seq| call(seq).takes(MS))), 60).await;
    assert!(others.iter().any(|reply| reply.slot.0 != 2), "the other workers still serve");
    assert_each_ran_once(&pool, 0..90);
}

#[actix::test]
async fn a_call_of_a_function_that_no_worker_has_waits_for_one_that_has_it_or_says_that_there_is_none() {
    let pool = ready_pool(limits(), settings(2)).await;
    (0..2).for_each(|slot| pool.script.set_lacks(SlotId(slot), 7));
    let first = spawn(&pool, call(0).function(7));
    sleep(SECOND).await;
    assert!(!first.is_finished());
    replies(spawn_all(&pool, (1..5).map(call)), 1).await;
    pool.script.kill(SlotId(0));
    answer(first).await.0.expect("the next process has it");
    pool.script.set_lacks(SlotId(0), 7);
    let last = spawn(&pool, call(5).function(7));
    sleep(MS).await;
    pool.script.forget(7);
    pool.script.kill(SlotId(1));
    assert_eq!(answer(last).await.0.expect_err("it ends with an error"), ScriptedError::Rejected);
    assert_eq!(runs(&pool, 5), 0);
}

// A client with a short deadline on a function that cannot be interrupted took all workers from the
// others.
#[actix::test]
async fn calls_that_are_given_up_and_do_not_end_leave_a_worker_to_others_and_cost_no_backoff() {
    let pool = ready_pool(limits(), settings(2)).await;
    let heard = listen(&pool);
    let mut others = Vec::new();
    for seq in 0..400 {
        if seq % 4 == 0 {
            drop(spawn(&pool, call(1000 + seq).function(1).then(Then::Deaf).timeout(MS * 30)));
        }
        others.push(spawn(&pool, call(seq).takes(MS).timeout(MS * 500)));
        sleep(MS * 20).await;
    }
    replies(others, 0).await;
    let kills: u64 = slots(&pool).await.iter().map(|slot| slot.kills).sum();
    assert!(kills > 5, "{kills} workers were killed");
    assert!(!names(&heard).contains(&"restarting") && !names(&heard).contains(&"opened"));
}

// It was no longer in the in-flight table, so its deadline was not checked until the process had
// ended.
#[actix::test]
async fn a_call_whose_process_takes_long_to_end_hears_at_its_deadline() {
    let pool = ready_pool(limits(), settings(1)).await;
    let start = now();
    let timed = spawn(&pool, call(0).function(1).overlapping().then(Then::Hang).timeout(MS * 100));
    let dropped = spawn(&pool, call(1).function(1).overlapping().then(Then::Hang));
    let patient = spawn(&pool, call(2).function(1).overlapping().then(Then::Hang));
    sleep(MS * 20).await;
    pool.script.terminate(SlotId(0), SECOND * 2);
    dropped.abort();
    let (result, at) = answer(timed).await;
    assert_eq!(result.expect_err("it ends with an error"), ScriptedError::DeadlineExceeded { started: true });
    assert_at(at, start + MS * 100);
    assert_eq!(status(&pool).await.calls.abandoned, 1);
    let (result, at) = answer(patient).await;
    let lost = ScriptedError::WorkerLost { exit: ScriptedExit::Signalled };
    assert_eq!(result.expect_err("it ends with an error"), lost);
    assert_at(at, start + MS * 2020);
}

// While some workers were being replaced, the others got the same calls, until none was left: 882
// of 1,000 calls of other functions expired.
#[actix::test]
async fn calls_that_are_given_up_and_do_not_end_leave_a_worker_to_others_also_if_replacements_take_long() {
    tokio::time::pause();
    let script = Script::new();
    script.expect_launches((0..400).map(|_| LaunchPlan::ready(SECOND * 3)));
    let pool = ready_pool_with(script, limits(), settings(4)).await;
    let mut others = Vec::new();
    for seq in 0..1000 {
        drop(spawn(&pool, call(10_000 + seq).function(1).then(Then::Deaf).timeout(MS * 30)));
        others.push(spawn(&pool, call(seq).takes(MS).timeout(MS * 400)));
        sleep(MS * 20).await;
    }
    replies(others, 0).await;
    let kills: u64 = slots(&pool).await.iter().map(|slot| slot.kills).sum();
    assert!(kills > 5, "{kills} workers were killed");
}

// A slot that counts as occupied until its next worker serves must not count for ever.
#[actix::test]
async fn calls_of_a_function_go_on_when_the_worker_that_they_took_is_not_replaced() {
    for resized in [true, false] {
        let pool = ready_pool(limits(), settings(3)).await;
        pool.script.expect_launches([LaunchPlan::ready(SECOND * 60), LaunchPlan::ready(SECOND * 60)]);
        let stuck = (0..2).map(|seq| call(seq).function(1).then(Then::Deaf).timeout(MS * 30));
        spawn_all(&pool, stuck).into_iter().for_each(drop);
        sleep(SECOND).await;
        let waiting = spawn(&pool, call(2).function(1));
        replies(vec![spawn(&pool, call(3))], 3).await;
        assert!(!waiting.is_finished());
        if resized {
            soon(resize(&pool, 1)).await.expect("it shrinks");
        } else {
            pool.script.expect_launches((0..9).map(|_| LaunchPlan::fails(MS, "scripted")));
            assert!(soon(reload(&pool)).await.is_err());
        }
        sleep(MS * 5).await;
        replies(vec![waiting], 2).await;
        tokio::time::resume();
    }
}
