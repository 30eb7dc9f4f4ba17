//! The outcome contract on real Python, row by row: what the caller gets, and whether the function
//! ran.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use actix_pyproc::error::ExitStatus;
use actix_pyproc::{Call, CallError, Pool, PoolConfig};
use actix_rt::task::JoinHandle;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Events, Script, capped, ended, exists, json_call, lines, overdue, pids, scratch, signal, spawn, start,
    until, worker,
};

fn contract() -> PoolConfig {
    worker("contract.py")
}

async fn call(pool: &Pool, function: &'static str, argument: Value) -> Result<Value, CallError> {
    capped(function, pool.call(function, &argument)).await
}

/// A call that occupies a worker until [`Blocker::release`].
struct Blocker {
    call: JoinHandle<Result<Value, CallError>>,
    go: PathBuf,
}

impl Blocker {
    async fn start(pool: &Pool, dir: &TempDir) -> Self {
        let (busy, go) = (dir.path().join("busy"), dir.path().join("go"));
        let call = spawn(pool, json_call("touch_and_wait", json!({"path": busy, "go": go})));
        until("the first call runs", || busy.exists()).await;
        Self { call, go }
    }

    async fn release(self) {
        std::fs::write(self.go, "").expect("the disk has room");
        assert!(ended(self.call).await.is_ok());
    }
}

#[actix_rt::test]
async fn a_function_that_returns_is_a_reply_and_ran_once() {
    let (pool, dir) = (start(contract()).await, scratch());
    let path = dir.path().join("ran");
    assert_eq!(call(&pool, "predict", json!({"value": 42})).await.expect("a reply"), json!({"result": 84}));
    assert_eq!(call(&pool, "ran", json!({"path": path, "name": "a"})).await.expect("a reply"), json!("a"));
    assert_eq!(lines(&path), ["a"]);
    pool.shutdown().await;
}

#[actix_rt::test]
async fn an_exception_has_type_message_and_traceback_and_the_worker_lives_on() {
    let pool = start(contract()).await;
    let before = pids(&pool).await;
    let error = call(&pool, "raises", json!("no such value")).await.expect_err("it raises");
    let CallError::Exception { type_name, message, traceback, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&**type_name, &**message), ("ValueError", "no such value"));
    assert!(traceback.contains("in raises\n    raise ValueError(message)"), "{traceback}");
    let error = call(&pool, "leaves", json!(3)).await.expect_err("it leaves");
    assert!(
        matches!(&error, CallError::Exception { type_name, .. } if &**type_name == "SystemExit"),
        "{error:?}"
    );
    assert_eq!(pids(&pool).await, before);
    pool.shutdown().await;
}

#[actix_rt::test]
async fn an_exception_is_one_of_its_base_classes_and_has_its_arguments() {
    let pool = start(contract()).await;
    let error = call(&pool, "raises", json!({"code": 7})).await.expect_err("it raises");
    for (name, expected) in [("ValueError", true), ("Exception", true), ("LookupError", false)] {
        assert_eq!(error.is_exception(name), expected, "{name}");
    }
    let CallError::Exception { info, .. } = &error else { panic!("{error:?}") };
    assert_eq!(info.bases.iter().map(|base| &**base).collect::<Vec<_>>(), ["Exception", "BaseException"]);
    assert_eq!(info.args.as_deref(), Some(&[json!({"code": 7})][..]));
    pool.shutdown().await;
}

#[actix_rt::test]
async fn an_unknown_function_names_those_that_exist() {
    let pool = start(contract()).await;
    let error = call(&pool, "predicd", json!(1)).await.expect_err("it does not exist");
    let CallError::UnknownFunction { function, known } = &error else { panic!("{error:?}") };
    assert_eq!(&**function, "predicd");
    assert!(known.iter().any(|name| name == "predict"), "{known:?}");
    pool.shutdown().await;
}

#[actix_rt::test]
async fn values_and_sizes_that_cannot_be_are_refused_and_the_worker_lives_on() {
    let pool = start(contract().max_frame(1024 * 1024)).await;
    let before = pids(&pool).await;
    let error = call(&pool, "an_object", json!(null)).await.expect_err("an object is not JSON");
    assert!(matches!(error, CallError::Encode { ran: true, .. }), "{error:?}");
    let error = call(&pool, "large", json!(1024 * 1024 + 1)).await.expect_err("it is too large");
    assert!(matches!(error, CallError::PayloadTooLarge { ran: true, .. }), "{error:?}");
    let error =
        pool.request(Call::bytes("echo", vec![0; 1024 * 1024 + 1])).await.expect_err("it is too large");
    assert!(matches!(error, CallError::PayloadTooLarge { ran: false, .. }), "{error:?}");
    let error = pool.request(Call::raw_json("echo", "{")).await.expect_err("it is not JSON");
    assert!(matches!(error, CallError::Decode { ran: false, .. }), "{error:?}");
    let error = pool.call::<String>("echo", &1).await.expect_err("a number is not a string");
    assert!(matches!(error, CallError::Decode { ran: true, .. }), "{error:?}");
    assert_eq!(pids(&pool).await, before);
    pool.shutdown().await;
}

#[actix_rt::test]
async fn beyond_the_queue_calls_are_overloaded_and_did_not_run() {
    let (pool, dir) = (start(contract().max_queue(2)).await, scratch());
    let ran = dir.path().join("ran");
    let first = Blocker::start(&pool, &dir).await;
    let calls: Vec<_> =
        (0..5).map(|n| spawn(&pool, json_call("ran", json!({"path": ran, "name": n.to_string()})))).collect();
    capped("calls are rejected", async {
        while pool.status().await.calls.errors.values().sum::<u64>() < 3 {}
    })
    .await;
    first.release().await;
    let mut overloaded = 0;
    for call in calls {
        match ended(call).await {
            Ok(_) => {}
            Err(CallError::Overloaded { retry_after }) => {
                assert!(retry_after > Duration::ZERO);
                overloaded += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((overloaded, lines(&ran).len()), (3, 2));
    pool.shutdown().await;
}

#[actix_rt::test]
async fn at_its_deadline_a_call_that_runs_is_answered_and_interrupted() {
    let (pool, dir) = (start(contract()).await, scratch());
    let (path, before) = (dir.path().join("how"), pids(&pool).await);
    let began = Instant::now();
    let error = overdue(&pool, || json_call("cleans_up", json!({"path": path, "seconds": 60}))).await;
    assert!(matches!(error, CallError::DeadlineExceeded { started: true }), "{error:?}");
    assert!(began.elapsed() >= Duration::from_millis(100));
    until("the function was ended", || lines(&path).len() == 2).await;
    assert_eq!(lines(&path), ["begun", "cancelled True"]);
    assert_eq!(pids(&pool).await, before);
    pool.shutdown().await;
}

#[actix_rt::test]
async fn at_its_deadline_a_call_that_waits_is_answered_and_never_runs() {
    let (pool, dir) = (start(contract()).await, scratch());
    let ran = dir.path().join("ran");
    let first = Blocker::start(&pool, &dir).await;
    let call = json_call("ran", json!({"path": ran, "name": "late"})).timeout(Duration::from_millis(50));
    let error = ended(spawn(&pool, call)).await.expect_err("its deadline passes");
    assert!(matches!(error, CallError::DeadlineExceeded { started: false }), "{error:?}");
    first.release().await;
    assert!(pool.call::<Value>("predict", &json!({"value": 1})).await.is_ok());
    assert!(lines(&ran).is_empty());
    pool.shutdown().await;
}

#[actix_rt::test]
async fn a_dropped_future_interrupts_its_call_and_frees_the_worker() {
    let (pool, dir) = (start(contract()).await, scratch());
    let path = dir.path().join("how");
    let call = spawn(&pool, json_call("cleans_up", json!({"path": path, "seconds": 60})));
    until("the call runs", || !lines(&path).is_empty()).await;
    call.abort();
    until("the function was ended", || lines(&path).len() == 2).await;
    assert!(pool.call::<Value>("predict", &json!({"value": 1})).await.is_ok());
    assert_eq!(pool.status().await.calls.abandoned, 1);
    pool.shutdown().await;
}

#[actix_rt::test]
async fn a_dropped_future_takes_its_call_out_of_the_queue() {
    let (pool, dir) = (start(contract()).await, scratch());
    let ran = dir.path().join("ran");
    let first = Blocker::start(&pool, &dir).await;
    let second = spawn(&pool, json_call("ran", json!({"path": ran, "name": "dropped"})));
    capped("the second call waits", async { while pool.status().await.queued != 1 {} }).await;
    second.abort();
    capped("the second call is dropped", async { while pool.status().await.queued != 0 {} }).await;
    first.release().await;
    assert!(call(&pool, "ran", json!({"path": ran, "name": "after"})).await.is_ok());
    assert_eq!(lines(&ran), ["after"]);
    pool.shutdown().await;
}

#[actix_rt::test]
async fn an_async_call_past_its_deadline_is_cancelled_and_its_neighbours_go_on() {
    let (pool, dir) = (start(worker("on_a_loop.py")).await, scratch());
    let (late, other) = (dir.path().join("late"), dir.path().join("other"));
    let neighbour = spawn(&pool, json_call("naps", json!({"path": other, "seconds": 0.4})));
    let error = overdue(&pool, || json_call("naps", json!({"path": late, "seconds": 60}))).await;
    assert!(matches!(error, CallError::DeadlineExceeded { started: true }), "{error:?}");
    until("the task was cancelled", || lines(&late).len() == 2).await;
    assert_eq!(ended(neighbour).await.expect("it continues"), json!("awake"));
    pool.shutdown().await;
}

#[actix_rt::test]
async fn what_does_not_end_is_killed_with_its_stacks_and_what_waited_behind_it_goes_on() {
    for (function, argument, frame) in
        [("deaf", json!(null), "in deaf"), ("swallows", json!(60), "in swallows")]
    {
        let (pool, dir) = (start(contract()).await, scratch());
        let mut events = Events::of(&pool).await;
        // The pool sends calls of a fast function behind others, so the neighbour is in the same
        // worker.
        let path = dir.path().join("ran");
        for n in 0..20 {
            assert!(call(&pool, "ran", json!({"path": path, "name": n.to_string()})).await.is_ok());
        }
        let stuck = {
            let pool = pool.clone();
            actix_rt::spawn(async move { overdue(&pool, || json_call(function, argument.clone())).await })
        };
        let neighbour = spawn(&pool, json_call("ran", json!({"path": path, "name": "neighbour"})));
        let error = ended(stuck).await;
        assert!(matches!(error, CallError::DeadlineExceeded { started: true }), "{error:?}");
        let exit = events
            .next("the end of the worker", |event| match event {
                actix_pyproc::WorkerEvent::Exited { exit, expected, .. } => Some((exit.clone(), *expected)),
                _ => None,
            })
            .await;
        assert_eq!((exit.0.status.signal(), exit.1), (Some(9), false));
        let stacks = exit.0.stacks.as_deref().expect("the stacks were captured");
        assert!(stacks.contains(frame), "{stacks}");
        assert_eq!(ended(neighbour).await.expect("it continues"), json!("neighbour"));
        assert_eq!(lines(&path).iter().filter(|line| *line == "neighbour").count(), 1);
        pool.shutdown().await;
    }
}

#[actix_rt::test]
async fn a_call_that_was_running_in_a_worker_that_dies_is_lost_at_once_with_exit_and_stderr() {
    for (how, code, number) in
        [("exit", Some(3), None), ("kill", None, Some(9)), ("segfault", None, Some(11))]
    {
        let (pool, dir) = (start(contract()).await, scratch());
        let path = dir.path().join("deaths");
        let call = json_call("touch_and_die", json!({"path": path, "how": how}));
        let error = ended(spawn(&pool, call)).await.expect_err("it dies");
        let CallError::WorkerLost { exit, stderr_tail, started } = &error else { panic!("{error:?}") };
        assert_eq!((exit.status.code(), exit.status.signal(), *started), (code, number, true));
        assert!(stderr_tail.iter().any(|line| line == "last words"), "{stderr_tail:?}");
        if how == "segfault" {
            assert!(stderr_tail.iter().any(|line| line.contains("in touch_and_die")), "{stderr_tail:?}");
        }
        assert_eq!(lines(&path).len(), 1);
        pool.shutdown().await;
    }
}

// It ended with DeadlineExceeded although it had no deadline.
#[actix_rt::test]
async fn a_worker_that_somebody_else_terminates_loses_the_call_that_runs_and_what_waits_goes_on() {
    let (pool, dir) = (start(contract()).await, scratch());
    let (busy, again) = (dir.path().join("busy"), dir.path().join("again"));
    let running = spawn(&pool, json_call("touch_and_sleep", json!({"path": busy, "seconds": 60})));
    until("the call runs", || busy.exists()).await;
    let waiting = spawn(&pool, json_call("echo", json!("waiting")));
    signal(pids(&pool).await[0], "TERM");
    let error = ended(running).await.expect_err("its worker gets SIGTERM");
    assert!(matches!(&error, CallError::WorkerLost { started: true, .. }), "{error:?}");
    assert_eq!(ended(waiting).await.expect("it had not started"), json!("waiting"));

    let go = dir.path().join("go");
    let call = json_call("touch_and_wait", json!({"path": again, "go": go})).idempotent();
    let running = spawn(&pool, call);
    until("it runs", || lines(&again).len() == 1).await;
    signal(lines(&again)[0].parse().expect("a PID"), "TERM");
    until("it runs again", || lines(&again).len() == 2).await;
    std::fs::write(go, "").expect("the disk has room");
    assert!(ended(running).await.is_ok(), "the second attempt succeeds");
    pool.shutdown().await;
}

#[actix_rt::test]
async fn calls_that_had_not_started_when_their_worker_died_are_answered_by_another_in_their_order() {
    let (pool, dir) = (start(contract()).await, scratch());
    let (busy, ran) = (dir.path().join("busy"), dir.path().join("ran"));
    for n in 0..20 {
        // After these, the pool knows that the function is fast, and sends the calls below behind
        // the one that runs.
        assert!(call(&pool, "ran", json!({"path": ran, "name": n.to_string()})).await.is_ok());
    }
    let running = spawn(&pool, json_call("touch_and_sleep", json!({"path": busy, "seconds": 60})));
    let names: Vec<String> = (0..50).map(|n| format!("waiting {n}")).collect();
    let waiting: Vec<_> =
        names.iter().map(|name| spawn(&pool, json_call("ran", json!({"path": ran, "name": name})))).collect();
    until("the first call runs", || busy.exists()).await;
    let pid = pids(&pool).await[0];
    signal(pid, "KILL");
    let error = ended(running).await.expect_err("its worker was killed");
    assert!(
        matches!(&error, CallError::WorkerLost { exit, .. } if exit.status.signal() == Some(9)),
        "{error:?}"
    );
    for (name, call) in names.iter().zip(waiting) {
        assert_eq!(ended(call).await.expect("it continues"), json!(name));
    }
    assert_eq!(lines(&ran)[20..], names[..]);
    pool.shutdown().await;
}

#[actix_rt::test]
async fn an_idempotent_call_is_tried_again_and_quarantined_when_it_has_killed_its_share() {
    let (pool, dir) = (start(contract().max_attempts(3)).await, scratch());
    let path = dir.path().join("deaths");
    let call = json_call("touch_and_die", json!({"path": path, "how": "kill"})).idempotent();
    let error = ended(spawn(&pool, call)).await.expect_err("it kills every worker");
    let CallError::Quarantined { attempts: 3, exit } = &error else { panic!("{error:?}") };
    assert_eq!(exit.status, ExitStatus::Signal { number: 9, core_dumped: false });
    assert_eq!(lines(&path).len(), 3);
    assert!(pool.call::<Value>("predict", &json!({"value": 1})).await.is_ok(), "the pool survives");

    let (again, go) = (dir.path().join("again"), dir.path().join("go"));
    let call = json_call("touch_and_wait", json!({"path": again, "go": go})).idempotent();
    let running = spawn(&pool, call);
    until("it runs", || lines(&again).len() == 1).await;
    signal(lines(&again)[0].parse().expect("a PID"), "KILL");
    until("it runs again", || lines(&again).len() == 2).await;
    std::fs::write(go, "").expect("the disk has room");
    assert!(ended(running).await.is_ok(), "the second attempt succeeds");
    assert_eq!(lines(&again).len(), 2);
    pool.shutdown().await;
}

#[actix_rt::test]
async fn a_crash_loop_at_start_opens_the_breaker_and_calls_are_unavailable_at_once_until_it_closes() {
    let dir = scratch();
    let broken = dir.path().join("broken");
    let code = format!(
        "import os\nfrom pyproc_worker import expose\nif os.path.exists({broken:?}):\n    raise RuntimeError('broken')\n\
         @expose\ndef predict(req):\n    return req\n@expose\ndef die(req):\n    os._exit(1)\n"
    );
    let script = Script::new(&code);
    let mut config = script.config(1);
    config.restart.initial = Duration::from_millis(20);
    config.restart.max = Duration::from_millis(200);
    let pool = start(config).await;
    let mut events = Events::of(&pool).await;
    std::fs::write(&broken, "").expect("the disk has room");
    assert!(matches!(call(&pool, "die", json!(1)).await, Err(CallError::WorkerLost { .. })));
    let opened = |event: &actix_pyproc::WorkerEvent| {
        matches!(event, actix_pyproc::WorkerEvent::BreakerOpened { .. }).then_some(())
    };
    events.next("the breaker opens", opened).await;
    let error = call(&pool, "predict", json!(1)).await.expect_err("no worker serves");
    let CallError::Unavailable { cause: Some(cause), .. } = &error else { panic!("{error:?}") };
    assert!(cause.details().contains("RuntimeError: broken"), "{cause:?}");
    std::fs::remove_file(&broken).expect("it exists");
    events.started().await;
    assert_eq!(call(&pool, "predict", json!(1)).await.expect("it serves again"), json!(1));
    pool.shutdown().await;
}

#[actix_rt::test]
async fn a_pool_that_shuts_down_ends_what_runs_and_refuses_what_comes() {
    let (pool, dir) = (start(contract()).await, scratch());
    let busy = dir.path().join("busy");
    let running = spawn(&pool, json_call("touch_and_sleep", json!({"path": busy, "seconds": 0.3})));
    let waiting = spawn(&pool, json_call("echo", json!("waiting")));
    until("the call runs", || busy.exists()).await;
    let pid = pids(&pool).await[0];
    let stopping = {
        let pool = pool.clone();
        actix_rt::spawn(async move { pool.shutdown().await })
    };
    assert!(ended(running).await.is_ok());
    assert_eq!(ended(waiting).await.expect("it was accepted before"), json!("waiting"));
    ended(stopping).await;
    assert!(!exists(pid));
    let error = call(&pool, "predict", json!({"value": 1})).await.expect_err("the pool is shut down");
    assert!(matches!(error, CallError::ShuttingDown), "{error:?}");
}

#[actix_rt::test]
async fn a_call_that_still_runs_at_the_deadline_of_a_shutdown_is_lost_with_its_worker() {
    let (pool, dir) = (start(contract()).await, scratch());
    let path = dir.path().join("how");
    let running = spawn(&pool, json_call("cleans_up", json!({"path": path, "seconds": 60})));
    until("the call runs", || !lines(&path).is_empty()).await;
    capped("the shutdown", pool.shutdown_within(Duration::ZERO)).await;
    let error = ended(running).await.expect_err("its worker is killed");
    assert!(matches!(error, CallError::WorkerLost { started: true, .. }), "{error:?}");
}
