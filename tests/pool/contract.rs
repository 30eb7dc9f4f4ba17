//! Regressions of the contract: what a caller gets when the pool, the code or the clock changes
//! during a call.

use std::time::Duration;

use actix_pyproc::error::ConfigError;
use actix_pyproc::{Call, CallError, Pool, StartError, WorkerEvent};
use serde_json::{Value, json};

use crate::support::{
    Events, Script, capped, ended, json_call, lines, scratch, signal, slots, spawn, start, until, worker,
};

/// A worker with one function.
const FIRST: &str = "from pyproc_worker import expose\n@expose\ndef first(n):\n    return n\n";

/// Calls a function of the new code in a loop. After the first reply, every call must get one.
async fn call_new_function(pool: Pool) -> usize {
    let mut answered = 0;
    loop {
        match pool.call::<Value>("second", &json!(1)).await {
            Ok(value) => {
                assert_eq!(value, json!(2));
                answered += 1;
            }
            Err(CallError::UnknownFunction { .. }) if answered == 0 => {}
            Err(CallError::ShuttingDown) => return answered,
            Err(error) => panic!("{error:?} after {answered} answers"),
        }
        // A rejected call returns at once, so without this the actors would not run.
        tokio::task::yield_now().await;
    }
}

// 69,053 of 118,123 calls got UnknownFunction from workers that were not replaced yet.
#[actix_rt::test]
async fn a_function_of_new_code_never_disappears_again_while_the_workers_are_replaced() {
    let script = Script::new(FIRST);
    let pool = start(script.config(4)).await;
    let callers: Vec<_> = (0..8).map(|_| actix_rt::spawn(call_new_function(pool.clone()))).collect();
    script.write(&format!("{FIRST}@expose\ndef second(n):\n    return n * 2\n"));
    capped("the reload", pool.reload()).await.expect("the new code starts");
    assert_eq!(pool.call::<Value>("second", &json!(1)).await.expect("all have it"), json!(2));
    pool.shutdown().await;
    for caller in callers {
        assert!(ended(caller).await > 0, "calls were answered while workers were replaced");
    }
}

/// A worker whose function `steady` is a coroutine in odd versions, and that exposes `even` or
/// `odd` by its version.
fn version(n: u32) -> String {
    let [head, coming] = if n.is_multiple_of(2) { ["", "even"] } else { ["async ", "odd"] };
    let function = |head, name| format!("@expose\n{head}def {name}(n):\n    return n\n");
    format!("from pyproc_worker import expose\n{}{}", function(head, "steady"), function("", coming))
}

#[actix_rt::test]
async fn calls_have_their_answers_while_functions_come_go_and_become_coroutines() {
    let script = Script::new(&version(0));
    let pool = start(script.config(3)).await;
    let caller = |seed: u64| {
        let pool = pool.clone();
        async move {
            for n in seed.. {
                let function = ["steady", "steady", "even", "odd"][(n % 4) as usize];
                let call = json_call(function, json!(n));
                let call = if n % 3 == 0 { call.affinity(n % 5) } else { call };
                let call = if n % 2 == 0 { call.idempotent() } else { call };
                match pool.request(call).await {
                    Ok(reply) => assert_eq!(reply.json::<u64>().expect("it is a number"), n),
                    Err(CallError::UnknownFunction { .. }) if function != "steady" => {}
                    Err(CallError::ShuttingDown) => return,
                    Err(error) => panic!("{function}: {error:?}"),
                }
                tokio::task::yield_now().await;
            }
        }
    };
    let callers: Vec<_> = (0..16).map(|seed| actix_rt::spawn(caller(seed))).collect();
    for n in 1..8 {
        script.write(&version(n));
        capped("a reload", pool.reload()).await.expect("the new code starts");
    }
    pool.shutdown().await;
    for caller in callers {
        ended(caller).await;
    }
}

// 19 of 129 calls of other clients failed, and for 11 s no worker served.
#[actix_rt::test]
async fn a_client_that_gives_up_on_a_function_in_c_takes_no_worker_from_the_others() {
    let config = worker("stuck.py").workers(2).kill_grace(Duration::from_millis(100));
    let pool = start(config).await;
    let mut events = Events::of(&pool).await;
    let impatient = {
        let pool = pool.clone();
        actix_rt::spawn(async move {
            // Each call takes seconds in C, so the pool kills its worker.
            while pool.status().await.kills < 3 {
                let call = json_call("stuck", json!(20_000_000)).timeout(Duration::from_millis(30));
                let error = pool.request(call).await.expect_err("it takes longer");
                assert!(matches!(error, CallError::DeadlineExceeded { .. }), "{error:?}");
            }
        })
    };
    let mut answered = 0;
    while !impatient.is_finished() {
        let value = capped("a call", pool.call::<Value>("quick", &json!(answered))).await;
        assert_eq!(value.expect("the other worker serves"), json!(answered));
        answered += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ended(impatient).await;
    assert!(answered > 0);
    assert_eq!(pool.status().await.restarts, 0);
    let at_once = |event: &WorkerEvent| match event {
        WorkerEvent::Restarting { .. } | WorkerEvent::BreakerOpened { .. } => panic!("{event:?}"),
        WorkerEvent::Started { .. } => Some(()),
        _ => None,
    };
    for _ in 0..3 {
        events.next("a replacement", at_once).await;
    }
    pool.shutdown().await;
}

#[actix_rt::test]
async fn while_no_worker_serves_and_none_is_about_to_calls_are_unavailable_at_once_and_say_why() {
    let mut config = worker("contract.py").call_timeout(None);
    config.restart.initial = Duration::from_secs(3600);
    config.restart.max = Duration::from_secs(3600);
    let pool = start(config).await;
    let pid = slots(&pool).await[0].pid.expect("it serves");
    let mut events = Events::of(&pool).await;
    signal(pid, "KILL");
    events
        .next("the breaker", |event| matches!(event, WorkerEvent::BreakerOpened { .. }).then_some(()))
        .await;
    let error = capped("the call", pool.call::<Value>("predict", &json!({"value": 1}))).await;
    let error = error.expect_err("no worker serves");
    let CallError::Unavailable { cause: Some(cause), retry_after } = &error else { panic!("{error:?}") };
    assert!(matches!(&**cause, StartError::Crashed { exit } if exit.pid == pid), "{cause:?}");
    assert!(*retry_after > Duration::from_secs(600), "{retry_after:?}");
    capped("the reload", pool.reload()).await.expect("a reload does not wait for the delay");
    assert!(pool.call::<Value>("predict", &json!({"value": 1})).await.is_ok());
    pool.shutdown().await;
}

// It ended as ShuttingDown, which means that it did not run.
#[actix_rt::test]
async fn a_call_that_ran_in_part_and_is_never_tried_again_is_lost_with_the_worker_it_ran_on() {
    let dir = scratch();
    let path = dir.path().join("ran");
    let mut config = worker("contract.py").call_timeout(None);
    config.restart.initial = Duration::from_secs(3600);
    config.restart.max = Duration::from_secs(3600);
    config.restart.hold = Duration::MAX;
    let pool = start(config).await;
    let call = json_call("touch_and_die", json!({"path": path, "how": "kill"})).idempotent();
    let mut events = Events::of(&pool).await;
    let lost = spawn(&pool, call);
    events.next("the death", |event| matches!(event, WorkerEvent::Exited { .. }).then_some(())).await;
    pool.shutdown_within(Duration::ZERO).await;
    let error = ended(lost).await.expect_err("it killed its worker");
    assert!(matches!(&error, CallError::WorkerLost { .. }) && error.may_have_run(), "{error:?}");
    assert_eq!(lines(&path).len(), 1);
}

// Each of them was running in three workers that died, and was quarantined with the call that
// killed the workers.
#[actix_rt::test]
async fn of_many_coroutines_only_the_one_that_kills_its_workers_is_quarantined() {
    let dir = scratch();
    let path = dir.path().join("ran");
    let pool = start(worker("suspects.py").workers(2)).await;
    let waiting: Vec<_> = (0..20)
        .map(|n| {
            let argument = json!({"path": path, "name": n.to_string(), "seconds": 0.2});
            spawn(&pool, json_call("waits", argument).idempotent())
        })
        .collect();
    until("all of them run", || lines(&path).len() == 20).await;
    let kills = spawn(&pool, json_call("kills", json!({"path": path, "seconds": 0.05})).idempotent());
    let error = ended(kills).await.expect_err("it kills its workers");
    assert!(matches!(error, CallError::Quarantined { attempts: 3, .. }), "{error:?}");
    for (n, waiting) in waiting.into_iter().enumerate() {
        assert_eq!(ended(waiting).await.expect("it killed no worker"), json!(n.to_string()));
    }
    pool.shutdown().await;
}

#[actix_rt::test]
async fn a_pool_is_never_resized_to_nothing() {
    let pool = start(worker("contract.py")).await;
    for workers in [0, 70_000] {
        let error = pool.resize(workers).await.expect_err("the number is invalid");
        let StartError::InvalidConfig(error) = &error else { panic!("{error:?}") };
        assert!(matches!(&**error, ConfigError::Field { field: "workers", .. }), "{error:?}");
    }
    assert!(pool.call::<Value>("predict", &json!({"value": 1})).await.is_ok(), "the pool is unchanged");
    pool.shutdown().await;
}

#[actix_rt::test]
async fn a_reload_or_resize_of_a_pool_that_stops_meanwhile_is_an_error() {
    let script = Script::new(FIRST);
    let pool = start(script.config(1)).await;
    script.write(&format!("import time\ntime.sleep(3600)\n{FIRST}"));
    let reload = actix_rt::spawn({
        let pool = pool.clone();
        async move { pool.reload().await }
    });
    let resize = actix_rt::spawn({
        let pool = pool.clone();
        async move { pool.resize(2).await }
    });
    tokio::task::yield_now().await;
    pool.shutdown().await;
    assert!(matches!(ended(reload).await, Err(StartError::Stopped)));
    assert!(matches!(ended(resize).await, Err(StartError::Stopped)));
    assert!(matches!(pool.reload().await, Err(StartError::Stopped)));
}

#[actix_rt::test]
async fn a_call_that_has_no_time_at_all_does_not_run() {
    let dir = scratch();
    let path = dir.path().join("ran");
    let pool = start(worker("contract.py")).await;
    let call = json_call("ran", json!({"path": path, "name": "a"})).timeout(Duration::ZERO);
    let error = ended(spawn(&pool, call)).await.expect_err("it has no time");
    assert!(matches!(error, CallError::DeadlineExceeded { started: false }), "{error:?}");
    pool.shutdown().await;
    assert_eq!(lines(&path).len(), 0);
}

// Each of them stopped the actors, and the pool no longer answered.
#[actix_rt::test]
async fn durations_beyond_the_clock_are_for_ever() {
    let forever = Duration::MAX;
    let mut config = worker("contract.py")
        .call_timeout(forever)
        .pipeline_budget(forever)
        .kill_grace(forever)
        .start_timeout(forever)
        .stop_grace(forever)
        .drain_timeout(forever);
    config.restart.max = forever;
    config.restart.reset_after = forever;
    config.restart.within = forever;
    config.restart.cooldown = forever;
    config.restart.hold = forever;
    config.restart.max_restarts = 1;
    config.recycle.max_lifetime = Some(forever);
    let pool = start(config).await;
    let mut events = Events::of(&pool).await;
    let call = |call: Call| spawn(&pool, call.timeout(forever));
    assert!(ended(call(json_call("predict", json!({"value": 1})))).await.is_ok());
    signal(slots(&pool).await[0].pid.expect("it serves"), "KILL");
    let pid = events.started().await;
    let error = ended(call(json_call("swallows", json!(0.05)).timeout(Duration::from_millis(10)))).await;
    assert!(error.is_ok() || matches!(error, Err(CallError::DeadlineExceeded { .. })), "{error:?}");
    signal(pid, "KILL");
    events
        .next("the second death", |event| {
            matches!(event, WorkerEvent::Restarting { delay, .. } if *delay > Duration::from_secs(1 << 30))
                .then_some(())
        })
        .await;
    capped("the shutdown", pool.shutdown_within(Duration::ZERO)).await;
}

#[actix_rt::test]
async fn the_queue_is_bounded_in_bytes() {
    let pool = start(worker("contract.py").max_queue_bytes(1 << 20)).await;
    let dir = scratch();
    let go = dir.path().join("go");
    let blocked = spawn(&pool, json_call("touch_and_wait", json!({"path": "/dev/null", "go": go})));
    let sent = |bytes: usize| spawn_bytes(&pool, bytes);
    let waits = [sent(600_000), sent(400_000)];
    let refused = ended(sent(200_000)).await.expect_err("it does not fit");
    assert!(matches!(refused, CallError::Overloaded { .. }), "{refused:?}");
    std::fs::write(go, "").expect("the disk has room");
    for call in waits {
        ended(call).await.expect("it fits");
    }
    ended(blocked).await.expect("it returns");
    assert_eq!(ended(sent(3 << 20)).await.expect("a single call may exceed the bound"), 3 << 20);
    pool.shutdown().await;
}

fn spawn_bytes(pool: &Pool, bytes: usize) -> actix_rt::task::JoinHandle<Result<usize, CallError>> {
    let call = Call::bytes("echo", vec![0; bytes]);
    let pool = pool.clone();
    actix_rt::spawn(async move { Ok(pool.request(call).await?.bytes().len()) })
}

#[actix_rt::test]
async fn the_debug_form_of_a_pool_has_no_secrets_of_its_workers() {
    let pool = start(worker("contract.py").env("PASSWORD", "hunter2")).await;
    assert!(!format!("{pool:?}").contains("hunter2"), "{pool:?}");
    pool.shutdown().await;
}

/// The sockets of a process, by their inodes.
fn sockets(pid: u32) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives");
    let targets = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let inode = |target: std::path::PathBuf| {
        Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
    };
    targets.filter_map(inode).collect()
}

#[actix_rt::test]
async fn nobody_can_connect_to_a_worker() {
    let pool = start(worker("contract.py")).await;
    let pid = slots(&pool).await[0].pid.expect("it serves");
    let unix = std::fs::read_to_string(format!("/proc/{pid}/net/unix")).expect("/proc is mounted");
    let sockets = sockets(pid);
    assert!(!sockets.is_empty());
    for socket in sockets {
        let line = unix.lines().find(|line| line.split_whitespace().nth(6) == Some(&socket));
        let line = line.expect("a worker has only Unix sockets");
        let fields: Vec<_> = line.split_whitespace().collect();
        // Num, RefCount, Protocol, Flags, Type, St, Inode: there is no path, and the listener flag
        // is not set.
        assert_eq!((fields.len(), fields[3]), (7, "00000000"), "{line}");
    }
    pool.shutdown().await;
}
