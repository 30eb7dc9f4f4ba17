//! Random events in simulated time: the outcome contract holds for every call.

#[expect(dead_code, reason = "the helpers of the other test crates")]
mod common;

use std::time::{Duration, Instant};

use actix_pyproc_actors::SlotId;
use actix_pyproc_actors::router::Limits;
use actix_pyproc_actors::router::select::Select;
use actix_pyproc_actors::supervisor::{ReloadAll, ReplaceSlot, Resize, Settings, Shutdown};
use actix_pyproc_actors::testing::{
    LaunchPlan, Script, ScriptedCall, ScriptedError, ScriptedPool, Then, limits, settings,
};
use common::*;
use fastrand::Rng;
use tokio::task::JoinHandle;

const WORKERS: u32 = 5;
const CALLS: u64 = 600;

/// A call and its possible outcomes.
struct Sent {
    call: Plan,
    at: Instant,
    answer: JoinHandle<(Answer, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    seq: u64,
    then: Then,
    timeout: Option<Duration>,
    idempotent: bool,
    dropped: bool,
}

fn plan(seq: u64, random: &mut Rng) -> (Plan, ScriptedCall) {
    let then = match random.u8(..100) {
        0..80 => Then::Reply,
        80..90 => Then::Raise,
        90..93 => Then::Crash,
        93..95 => Then::CrashAtStart,
        95..98 => Then::Hang,
        _ => Then::Deaf,
    };
    let endless = matches!(then, Then::Hang | Then::Deaf);
    let timeout = (endless || random.u8(..) < 60).then(|| MS * random.u32(1..200));
    let service = if random.u8(..) < 25 { MS * random.u32(1..80) } else { US * random.u32(1..400) };
    let plan = Plan { seq, then, timeout, idempotent: random.u8(..) < 40, dropped: random.u8(..) < 10 };
    let call = ScriptedCall::new(seq).function(random.u32(..4)).takes(service).then(then);
    let mut call = call.size(random.usize(..1000));
    if random.u8(..) < 40 {
        call = call.function(9).overlapping();
    }
    if let Some(timeout) = timeout {
        call = call.timeout(timeout);
    }
    if plan.idempotent {
        call = call.idempotent();
    }
    if random.u8(..) < 40 {
        call = call.affinity(random.u64(..7));
    }
    (plan, call)
}

fn disturb(pool: &ScriptedPool, random: &mut Rng) {
    match random.u8(..40) {
        0..3 => pool.script.kill(SlotId(random.u32(..2))),
        3 => pool.script.stop(SlotId(random.u32(..2))),
        4..7 => (0..2).for_each(|slot| pool.script.resume(SlotId(slot))),
        7 => pool.supervisor.do_send(Resize::new(random.u32(2..=WORKERS))),
        8 => pool.supervisor.do_send(ReloadAll::default()),
        9 => pool.supervisor.do_send(ReplaceSlot(SlotId(random.u32(..2)))),
        10 => pool.script.set_rss(SlotId(random.u32(..2)), 1 << 40),
        11 => pool.script.set_lacks(SlotId(random.u32(..2)), random.u32(..4)),
        12 => pool.script.terminate(SlotId(random.u32(..2)), MS * random.u32(..200)),
        13 => pool.script.set_launch_time(MS * random.u32(1..200)),
        _ => {}
    }
}

fn check(sent: &Sent, (answer, at): (Answer, Instant), runs: usize, max_attempts: u32) {
    let max_attempts = max_attempts as usize;
    let Plan { then, timeout, idempotent, seq, .. } = sent.call;
    let context = (&sent.call, &answer);
    match answer {
        Ok(reply) => {
            assert!(reply.seq == seq && then == Then::Reply, "{context:?}");
            assert!(runs >= 1, "{context:?}");
        }
        Err(ScriptedError::Raised) => assert!(then == Then::Raise && runs >= 1, "{context:?}"),
        Err(ScriptedError::DeadlineExceeded { started }) => {
            assert_at(at, sent.at + timeout.expect("it had a deadline"));
            assert_eq!(started, runs > 0, "{context:?}");
        }
        Err(ScriptedError::WorkerLost { .. }) => {
            assert!(if idempotent { (1..=max_attempts).contains(&runs) } else { runs == 1 }, "{context:?}");
        }
        Err(ScriptedError::Quarantined { attempts, .. }) => {
            assert!(idempotent && runs == attempts as usize && runs == max_attempts, "{context:?}");
        }
        Err(ScriptedError::ShuttingDown | ScriptedError::Unavailable { .. }) => {
            assert_eq!(runs, 0, "{context:?}");
        }
        Err(ScriptedError::Overloaded { .. }) => assert_eq!(runs, 0, "{context:?}"),
        Err(ScriptedError::Rejected) => panic!("{context:?}"),
    }
    assert!(idempotent || runs <= 1, "{context:?} ran {runs} times");
    assert!(runs <= max_attempts, "{context:?} ran {runs} times");
    if let Some(timeout) = timeout {
        assert!(at <= sent.at + timeout + MS * 2, "{context:?} {:?} late", at - sent.at - timeout);
    }
}

async fn one_pool(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let mut restart = settings(1).restart;
    restart.max_restarts = random.u32(3..200);
    restart.max = MS * 50;
    restart.cooldown = MS * 100;
    let drain_timeout = MS * random.u32(1..500);
    let (max_calls, max_rss) = (random.bool().then(|| random.u64(5..200)), Some(1 << 30));
    let max_attempts = random.u32(1..5);
    let settings = Settings {
        restart,
        drain_timeout,
        max_calls,
        max_rss,
        max_attempts,
        ..settings(random.u32(2..=WORKERS))
    };
    let select = if random.bool() { Select::RoundRobin } else { Select::LeastLoaded };
    let limits = Limits {
        max_queue: random.usize(5..500),
        max_queue_bytes: random.usize(1000..100_000),
        max_concurrent: random.u32(1..20),
        select,
        ..limits()
    };
    let pool = ready_pool_with(Script::new(), limits, settings).await;
    let mut calls = Vec::new();
    for seq in 0..CALLS {
        let (plan, call) = plan(seq, &mut random);
        calls.push(Sent { call: plan, at: now(), answer: spawn(&pool, call) });
        disturb(&pool, &mut random);
        if random.u8(..) < 100 {
            sleep(US * random.u32(1..5000)).await;
        }
        if plan.dropped {
            calls.pop().expect("it was just sent").answer.abort();
        }
    }
    let stop_early = random.bool();
    if stop_early {
        let longest = if random.bool() { 300 } else { 30_000 };
        soon(pool.shutdown(MS * random.u32(..longest))).await;
    } else {
        // Functions that no worker has return with a reload.
        pool.supervisor.do_send(ReloadAll::default());
    }
    (0..2).for_each(|slot| pool.script.resume(SlotId(slot)));
    let mut answers = Vec::new();
    for sent in &mut calls {
        answers
            .push(answer(std::mem::replace(&mut sent.answer, actix_rt::spawn(std::future::pending()))).await);
    }
    // The workers still have to report cancelled calls to the router.
    sleep(SECOND * 5).await;
    let status = status(&pool).await;
    assert_eq!((status.queued, status.in_flight), (0, 0), "seed {seed}");
    let executions = pool.script.executions();
    for (sent, answer) in calls.iter().zip(answers) {
        let runs = executions.iter().filter(|execution| execution.seq == sent.call.seq).count();
        check(sent, answer, runs, max_attempts);
    }
    if !stop_early {
        let ready = slots(&pool).await;
        assert!(ready.iter().all(|row| row.generation.is_some()), "seed {seed}: a slot is left behind");
        assert_eq!(pool.script.alive(), ready.len(), "seed {seed}");
        soon(pool.shutdown(SECOND)).await;
    }
    assert_eq!(pool.script.alive(), 0, "seed {seed}");
}

#[actix::test]
async fn every_call_has_one_outcome_that_says_what_happened() {
    tokio::time::pause();
    for seed in 0..40 {
        one_pool(seed).await;
    }
}

/// A pool in which an actor panics while everything else happens.
async fn one_broken_pool(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let settings =
        Settings { max_calls: Some(20), drain_timeout: MS * 300, ..settings(random.u32(2..=WORKERS)) };
    let pool = ready_pool_with(Script::new(), limits(), settings).await;
    let (mut calls, panics_at) = (Vec::new(), random.u64(..200));
    let mut send = |plan, call| {
        let answer = pool.router.send(call);
        calls.push((plan, now(), actix_rt::spawn(async { (answer.await, now()) })));
    };
    let mut shutdown = None;
    for seq in 0..200 {
        let (plan, call) = plan(seq, &mut random);
        let (mut then, mut call) = (plan.then, call);
        if seq == panics_at {
            match random.u8(..3) {
                0 => then = Then::PanicAtAdmission,
                1 => then = Then::PanicAtEnd,
                _ => {
                    pool.script.expect_launches([LaunchPlan::panics(MS * random.u32(..5))]);
                    pool.supervisor.do_send(ReloadAll::default());
                }
            }
            call = call.then(then);
        } else if seq + 20 == panics_at && random.bool() {
            let deadline = MS * random.u32(..1000);
            shutdown = Some(actix_rt::spawn(pool.supervisor.send(Shutdown { deadline })));
        }
        send(Plan { then, ..plan }, call);
        if seq < panics_at {
            disturb(&pool, &mut random);
        }
        sleep(US * random.u32(1..3000)).await;
    }
    sleep(SECOND * 60).await;
    let mut dropped = 0;
    for (call, at, answer) in calls {
        let (result, answered) = soon(answer).await.expect("the task lives");
        match result {
            Ok(result) => {
                let sent = Sent { call, at, answer: actix_rt::spawn(std::future::pending()) };
                if !matches!(call.then, Then::PanicAtEnd | Then::PanicAtAdmission) {
                    check(&sent, (result, answered), runs(&pool, call.seq), 3);
                }
            }
            Err(_) => dropped += 1,
        }
    }
    assert!(dropped <= 1, "seed {seed}: {dropped} calls were dropped");
    soon(pool.shutdown(SECOND)).await;
    if let Some(shutdown) = shutdown {
        // The supervisor may have panicked.
        let _ = soon(shutdown).await.expect("the task lives");
    }
    assert_eq!(pool.script.alive(), 0, "seed {seed}");
}

#[actix::test]
async fn every_call_has_one_outcome_also_if_an_actor_panics_meanwhile() {
    tokio::time::pause();
    for seed in 0..30 {
        one_broken_pool(seed).await;
    }
}
