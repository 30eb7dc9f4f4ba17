//! After a panic of an actor, which is a defect of this crate, every call still gets an answer, and
//! the pool says what happened.

#[expect(dead_code, reason = "the helpers of the other test crates")]
mod common;

use actix_pyproc_actors::router::Availability;
use actix_pyproc_actors::supervisor::{ReplaceSlot, Shutdown};
use actix_pyproc_actors::testing::{
    LaunchPlan, Script, ScriptedCall, ScriptedError, ScriptedExit, ScriptedPool, Then, limits, settings,
};
use actix_pyproc_actors::{KillReason, SlotId, WorkerEvent};
use common::*;
use tokio::task::JoinHandle;

const UNOBSERVED: ScriptedError = ScriptedError::WorkerLost { exit: ScriptedExit::Unobserved };
const KILLED: ScriptedError = ScriptedError::WorkerLost { exit: ScriptedExit::Killed(KillReason::Shutdown) };

fn call(seq: u64) -> ScriptedCall {
    ScriptedCall::new(seq)
}

type Spawned = JoinHandle<(Answer, std::time::Instant)>;

/// Two workers that run one call each, and calls that wait. The first call ends like this.
async fn busy_pool(first: Then) -> (ScriptedPool, Vec<Spawned>, Vec<Spawned>) {
    let pool = ready_pool(limits(), settings(2)).await;
    let calls = [call(0).takes(MS * 50).then(first), call(1).then(Then::Hang)];
    let running = spawn_all(&pool, calls);
    sleep(MS).await;
    let waiting = spawn_all(&pool, (2..9).map(|seq| call(seq).takes(MS)));
    sleep(MS).await;
    (pool, running, waiting)
}

fn is_broken(answer: &Answer) -> bool {
    matches!(answer, Err(ScriptedError::Unavailable { cause: Some("panicked"), .. }))
}

/// Calls that wait and new calls end as unavailable, no process is left, and the event names the
/// actor.
async fn assert_broken(
    pool: &ScriptedPool,
    waiting: Vec<Spawned>,
    heard: &std::rc::Rc<std::cell::RefCell<Vec<(std::time::Instant, Event)>>>,
    actor: &str,
) {
    for waiting in waiting {
        let (result, _) = answer(waiting).await;
        assert!(is_broken(&result), "{result:?}");
    }
    for seq in 100..103 {
        let refused = soon(pool.call(call(seq))).await;
        assert!(is_broken(&refused), "{refused:?}");
        sleep(SECOND * 100).await;
    }
    assert_eq!(pool.script.alive(), 0);
    assert!((2..9).chain(100..103).all(|seq| runs(pool, seq) == 0));
    let status = status(pool).await;
    assert_eq!((status.queued, status.in_flight), (0, 0));
    assert!(matches!(status.availability, Availability::Unavailable { .. }), "{status:?}");
    let named = |event: &Event| matches!(event, WorkerEvent::Panicked { actor: of, message } if *of == actor && &**message == "scripted");
    assert_eq!(heard.borrow().iter().filter(|(_, event)| named(event)).count(), 1, "{:?}", heard.borrow());
    soon(pool.shutdown(SECOND)).await;
}

#[actix::test]
async fn a_router_that_panics_refuses_for_good_and_every_call_ends() {
    let (pool, running, waiting) = busy_pool(Then::Hang).await;
    let heard = listen(&pool);
    let culprit = pool.router.send(call(50).then(Then::PanicAtAdmission));
    let beside = spawn(&pool, call(51));
    assert!(soon(culprit).await.is_err(), "it was dropped by the panic");
    assert!(is_broken(&answer(beside).await.0));
    for running in running {
        assert_eq!(answer(running).await.0.expect_err("it ends with an error"), KILLED);
    }
    assert_broken(&pool, waiting, &heard, "router").await;
}

#[actix::test]
async fn a_worker_that_panics_loses_what_ran_and_the_pool_refuses_for_good() {
    let (pool, running, waiting) = busy_pool(Then::PanicAtEnd).await;
    let heard = listen(&pool);
    for (running, end) in running.into_iter().zip([UNOBSERVED, KILLED]) {
        assert_eq!(answer(running).await.0.expect_err("it ends with an error"), end);
    }
    assert_broken(&pool, waiting, &heard, "worker").await;
}

#[actix::test]
async fn a_supervisor_that_panics_takes_the_workers_with_it_and_every_call_ends() {
    let (pool, running, waiting) = busy_pool(Then::Hang).await;
    let heard = listen(&pool);
    pool.script.expect_launches([LaunchPlan::panics(MS * 5)]);
    assert!(pool.supervisor.send(ReplaceSlot(SlotId(0))).await.expect("it lives"));
    for running in running {
        assert_eq!(answer(running).await.0.expect_err("it ends with an error"), KILLED);
    }
    assert_broken(&pool, waiting, &heard, "supervisor").await;
}

#[actix::test]
async fn a_pool_whose_actor_panics_before_it_has_started_does_not_start_and_says_why() {
    tokio::time::pause();
    for (launch, then) in
        [(LaunchPlan::panics(MS * 5), Then::Reply), (LaunchPlan::ready(SECOND), Then::PanicAtAdmission)]
    {
        let script = Script::new();
        script.expect_launches([launch, LaunchPlan::ready(SECOND)]);
        let pool = ScriptedPool::start_with(script, limits(), settings(2));
        let waiting = spawn(&pool, call(0));
        pool.router.do_send(call(1).then(then));
        assert_eq!(soon(ready(&pool)).await, Err("panicked"));
        assert!(is_broken(&answer(waiting).await.0));
        soon(pool.shutdown(SECOND)).await;
        assert_eq!(pool.script.alive(), 0);
    }
}

// Each actor panics while the others drain, and then another one does.
#[actix::test]
async fn a_panic_during_a_shutdown_ends_every_call_and_the_shutdown() {
    for actor in 0..3 {
        let first = if actor == 0 { Then::PanicAtEnd } else { Then::Hang };
        let (pool, running, waiting) = busy_pool(first).await;
        if actor == 1 {
            pool.script.expect_launches([LaunchPlan::panics(MS * 40)]);
            assert!(pool.supervisor.send(ReplaceSlot(SlotId(0))).await.expect("it lives"));
        }
        let shutdown = actix_rt::spawn({
            let shutdown = pool.supervisor.send(Shutdown { deadline: SECOND * 3600 });
            async move { shutdown.await.is_ok() }
        });
        sleep(MS * 10).await;
        let culprit = pool.router.send(call(50).then(Then::PanicAtAdmission));
        if actor == 2 {
            assert!(soon(culprit).await.is_err(), "it was dropped by the panic");
        } else {
            drop(culprit);
        }
        for call in running.into_iter().chain(waiting) {
            let ended = answer(call).await.0.expect_err("it ends with an error");
            assert!([UNOBSERVED, KILLED].contains(&ended) || is_broken(&Err(ended)), "{ended:?}");
        }
        soon(shutdown).await.expect("it does not panic");
        sleep(SECOND).await;
        assert_eq!(pool.script.alive(), 0);
        let status = status(&pool).await;
        assert_eq!((status.queued, status.in_flight), (0, 0));
        tokio::time::resume();
    }
}

// All calls that were assigned to the worker were dropped with it, and their callers did not learn
// of the panic.
#[actix::test]
async fn a_call_that_cannot_be_sent_without_a_panic_takes_no_other_with_it() {
    let pool = ready_pool(limits(), settings(2)).await;
    let heard = listen(&pool);
    let then = |seq| if seq == 24 { Then::PanicAtSend } else { Then::Hang };
    let calls = (20..30).map(|seq| call(seq).function(9).overlapping().then(then(seq)));
    let sent: Vec<_> = calls.map(|call| actix_rt::spawn(pool.router.send(call))).collect();
    let mut dropped = 0;
    for sent in sent {
        match soon(sent).await.expect("the task lives") {
            Ok(result) => {
                let error = result.expect_err("it ends with an error");
                assert!(error == KILLED || is_broken(&Err(error)), "{error:?}");
            }
            Err(_) => dropped += 1,
        }
    }
    assert_eq!(dropped, 1);
    assert_broken(&pool, Vec::new(), &heard, "router").await;
}
