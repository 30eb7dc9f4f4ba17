//! The life of a pool: where it can be started and called, and how it survives, changes and ends.

use std::time::Duration;

use actix_pyproc::config::ActorThread;
use actix_pyproc::status::AdmissionState;
use actix_pyproc::{Call, CallError, Pool, PoolConfig, WorkerEvent};
use serde_json::{Value, json};

use crate::support::{
    Events, Script, capped, ended, exists, lines, pids, scratch, signal, slots, start, until, worker,
};

fn contract() -> PoolConfig {
    worker("contract.py")
}

/// Makes `each` calls on each of `callers` tasks; returns the number of replies, and the errors. A
/// wrong reply fails the test.
async fn load(pool: &Pool, callers: usize, each: usize) -> (usize, Vec<CallError>) {
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let pool = pool.clone();
            actix_rt::spawn(async move {
                let mut errors = Vec::new();
                for n in 0..each {
                    let value = caller * each + n;
                    match pool.call::<Value>("predict", &json!({"value": value})).await {
                        Ok(reply) => assert_eq!(reply, json!({"result": value * 2})),
                        Err(error) => errors.push(error),
                    }
                }
                errors
            })
        })
        .collect();
    let mut errors = Vec::new();
    for task in tasks {
        errors.extend(capped("a caller", task).await.expect("the task did not panic"));
    }
    (callers * each - errors.len(), errors)
}

#[actix_rt::test]
async fn one_caller_64_and_1000_get_right_answers_with_either_selection_and_codec() {
    for select in [actix_pyproc::config::Select::RoundRobin, actix_pyproc::config::Select::LeastLoaded] {
        let pool = start(contract().workers(2).select(select)).await;
        for (callers, each) in [(1, 100), (64, 20), (1000, 3)] {
            let (ok, errors) = load(&pool, callers, each).await;
            assert_eq!((ok, errors.len()), (callers * each, 0), "{errors:?}");
        }
        assert!(slots(&pool).await.iter().all(|slot| slot.calls > 0), "both workers had calls");
        let reply =
            pool.request(Call::msgpack("echo", &json!({"a": [1, "b"]})).expect("it is MessagePack")).await;
        assert_eq!(reply.expect("a reply").msgpack::<Value>().expect("a value"), json!({"a": [1, "b"]}));
        let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
        let reply = pool.request(Call::bytes("echo", bytes.clone())).await.expect("a reply");
        assert!(reply.bytes()[..] == bytes[..], "the bytes are unchanged");
        pool.shutdown().await;
    }
}

#[actix_rt::test]
async fn a_pool_is_called_from_other_arbiters_and_through_its_address_and_recipient() {
    let pool = start(contract()).await;
    let call = || Call::json("predict", &json!({"value": 4})).expect("it is JSON");
    let reply = pool.addr().send(call()).await.expect("the actor lives").expect("a reply");
    assert_eq!(reply.value().expect("a value"), json!({"result": 8}));
    assert!(pool.recipient().send(call()).await.expect("the actor lives").is_ok());
    let arbiters: Vec<_> = (0..3).map(|_| actix_rt::Arbiter::new()).collect();
    for arbiter in &arbiters {
        let (sender, result) = tokio::sync::oneshot::channel();
        let pool = pool.clone();
        arbiter.spawn(async move {
            let (ok, errors) = load(&pool, 8, 20).await;
            sender.send((ok, errors.len())).expect("the test waits");
        });
        assert_eq!(capped("the other arbiter", result).await.expect("it answers"), (160, 0));
    }
    for arbiter in arbiters {
        arbiter.stop();
        arbiter.join().expect("the arbiter ends");
    }
    pool.shutdown().await;
}

#[actix_rt::test]
async fn the_status_after_the_shutdown_has_no_rows_and_keeps_its_counters() {
    let pool = start(contract()).await;
    let _: Value = pool.call("predict", &json!({"value": 1})).await.expect("a reply");
    pool.shutdown().await;
    let status = pool.status().await;
    assert_eq!((status.slots.len(), status.serving), (0, 0));
    assert_eq!(status.admission, AdmissionState::ShuttingDown);
    assert_eq!((status.calls.ok, status.starts), (1, 1));
}

#[test]
fn a_plain_tokio_runtime_without_an_actix_system_can_start_and_call_a_pool() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let pids = runtime.block_on(async {
        let pool =
            tokio::spawn(Pool::start(contract())).await.expect("the task did not panic").expect("it starts");
        let calls = (0..50).map(|n| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.call::<Value>("predict", &json!({"value": n})).await })
        });
        for (n, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(
                call.await.expect("the task did not panic").expect("a reply"),
                json!({"result": n * 2})
            );
        }
        let pids = pids(&pool).await;
        pool.shutdown().await;
        pids
    });
    assert!(!exists(pids[0]));
}

#[actix_rt::test]
async fn a_pool_with_a_thread_of_its_own_serves_while_the_callers_thread_blocks() {
    let pool = start(contract().thread(ActorThread::Dedicated)).await;
    let call =
        actix_rt::spawn(pool.addr().send(Call::json("predict", &json!({"value": 1})).expect("it is JSON")));
    tokio::task::yield_now().await;
    std::thread::sleep(Duration::from_millis(100));
    assert!(
        capped("the call", call).await.expect("the task did not panic").expect("the actor lives").is_ok()
    );
    pool.shutdown().await;
}

#[actix_rt::test]
async fn a_pool_that_is_dropped_leaves_no_process() {
    for thread in [ActorThread::Current, ActorThread::Dedicated] {
        let pool = start(contract().workers(2).thread(thread)).await;
        let pids = pids(&pool).await;
        assert_eq!(pids.len(), 2);
        drop(pool);
        until("the processes are gone", || !pids.iter().any(|&pid| exists(pid))).await;
    }
}

#[actix_rt::test]
async fn after_kill_9_of_one_of_two_workers_at_most_the_running_call_fails_and_the_pool_is_whole_again() {
    let pool = start(contract().workers(2)).await;
    let mut events = Events::of(&pool).await;
    let victim = pids(&pool).await[0];
    let running = {
        let pool = pool.clone();
        actix_rt::spawn(async move { load(&pool, 8, 500).await })
    };
    capped("calls run", async { while pool.status().await.calls.ok < 200 {} }).await;
    signal(victim, "KILL");
    let replacement = events.started().await;
    assert_ne!(replacement, victim);
    let (ok, errors) = capped("the callers", running).await.expect("the task did not panic");
    assert!(errors.len() <= 1, "{errors:?}");
    assert!(errors.iter().all(|error| matches!(error, CallError::WorkerLost { .. })), "{errors:?}");
    assert_eq!(ok + errors.len(), 4000);
    let status = pool.status().await;
    assert_eq!((status.serving, status.restarts), (2, 1));
    assert_eq!(status.slots[0].last_exit.as_deref(), Some("killed by SIGKILL"));
    pool.shutdown().await;
}

#[actix_rt::test]
async fn a_reload_swaps_all_workers_without_a_failed_call_and_keeps_the_old_code_if_the_new_does_not_start() {
    let code =
        |body: &str| format!("from pyproc_worker import expose\n@expose\ndef predict(req):\n    {body}\n");
    let script = Script::new(&code("return {'result': req['value'] * 2}"));
    let pool = start(script.config(2)).await;
    let before = pids(&pool).await;

    script.write(&code("return (("));
    let error = capped("the reload", pool.reload()).await.expect_err("it does not parse");
    assert!(error.details().contains("SyntaxError"), "{error:?}");
    assert_eq!(pids(&pool).await, before);
    assert_eq!(load(&pool, 4, 10).await.0, 40);

    script.write(&code("return {'result': 'new'}"));
    let calls = {
        let pool = pool.clone();
        actix_rt::spawn(async move {
            // Until the new code replies.
            while pool.call::<Value>("predict", &json!({"value": 1})).await.expect("no call fails")
                != json!({"result": "new"})
            {}
        })
    };
    capped("the reload", pool.reload()).await.expect("it starts");
    ended(calls).await;
    let after = pids(&pool).await;
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|pid| !before.contains(pid)));
    until("the old ones are gone", || !before.iter().any(|&pid| exists(pid))).await;
    pool.shutdown().await;
}

#[actix_rt::test]
async fn a_resize_under_load_fails_no_call() {
    let pool = start(contract()).await;
    let running = {
        let pool = pool.clone();
        actix_rt::spawn(async move { load(&pool, 16, 300).await })
    };
    capped("the growth", pool.resize(3)).await.expect("they start");
    assert_eq!(pool.status().await.serving, 3);
    capped("the shrinking", pool.resize(1)).await.expect("it continues");
    let (ok, errors) = capped("the callers", running).await.expect("the task did not panic");
    assert_eq!((ok, errors.len()), (4800, 0), "{errors:?}");
    capped("two are gone", async { while pool.status().await.slots.len() != 1 {} }).await;
    pool.shutdown().await;
}

#[actix_rt::test]
async fn a_worker_is_recycled_after_its_calls_its_time_or_its_memory_and_no_call_fails() {
    type Limit = fn(&mut PoolConfig);
    let limits: [(Limit, &str); 3] = [
        (|config| config.recycle.max_calls = Some(100), "MaxCalls"),
        (|config| config.recycle.max_lifetime = Some(Duration::from_millis(300)), "MaxLifetime"),
        (|config| config.recycle.max_rss = Some(1024 * 1024), "MaxRss"),
    ];
    for (limit, expected) in limits {
        let mut config = contract();
        limit(&mut config);
        let pool = start(config).await;
        let mut events = Events::of(&pool).await;
        let first = pids(&pool).await[0];
        let running = {
            let pool = pool.clone();
            actix_rt::spawn(async move { load(&pool, 4, 200).await })
        };
        let reason = |event: &WorkerEvent| match event {
            WorkerEvent::Retiring { reason, .. } => Some(format!("{reason:?}")),
            _ => None,
        };
        assert_eq!(events.next("a retirement", reason).await, expected);
        assert_ne!(events.started().await, first);
        let expected_exit = |event: &WorkerEvent| match event {
            WorkerEvent::Exited { pid, expected, exit, .. } => Some((*pid, *expected, exit.status.code())),
            _ => None,
        };
        assert_eq!(events.next("the end of the old one", expected_exit).await, (first, true, Some(0)));
        let (ok, errors) = capped("the callers", running).await.expect("the task did not panic");
        assert_eq!((ok, errors.len()), (800, 0), "{errors:?}");
        pool.shutdown().await;
    }
}

#[actix_rt::test]
async fn grandchildren_go_with_their_worker() {
    let code = "import subprocess\nfrom pyproc_worker import expose\n@expose\ndef breed(path):\n    \
                child = subprocess.Popen(['sleep', '600'])\n    open(path, 'w').write('%d\\n' % child.pid)\n";
    let (script, dir) = (Script::new(code), scratch());
    let file = dir.path().join("pid");
    let pool = start(script.config(1)).await;
    pool.call::<Value>("breed", &file).await.expect("it breeds");
    let grandchild: u32 = lines(&file)[0].parse().expect("a pid");
    assert!(exists(grandchild));
    signal(pids(&pool).await[0], "KILL");
    until("the grandchild is gone", || !exists(grandchild)).await;
    pool.shutdown().await;
}
