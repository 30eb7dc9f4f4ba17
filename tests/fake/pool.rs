//! A fake pool does with calls what a real one does.

use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use actix_pyproc::error::Exit;
use actix_pyproc::testing::FakePool;
use actix_pyproc::{Call, CallError, Pool, PoolConfig, Reply, StartError};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// Returns the name of the function and the argument.
fn echo() -> Pool {
    Pool::fake(|call| async move { call.reply(&json!([call.function(), call.argument::<Value>()?])) })
}

/// One call at a time, and at most `max_queue` that wait.
fn one_at_a_time(max_queue: usize) -> PoolConfig {
    PoolConfig::default().workers(1).max_concurrent(1).max_queue(max_queue)
}

#[actix_rt::test]
async fn each_way_to_call_reaches_the_closure() {
    let pool = echo();
    let call = || Call::json("f", &1).expect("it encodes");
    let expected = json!(["f", 1]);
    let replies = [
        pool.send(call()).await,
        pool.addr().send(call()).await,
        pool.recipient().send(call()).await,
        Ok(pool.clone().request(call()).await),
    ];
    for reply in replies {
        let reply = reply.expect("the pool lives").expect("it replies");
        assert_eq!(reply.json::<Value>().expect("it is JSON"), expected);
    }
    assert_eq!(pool.call::<Value>("f", &1).await.expect("it replies"), expected);
    let reply = pool.request(Call::msgpack("g", &[1.5]).expect("it encodes")).await.expect("it replies");
    assert_eq!(reply.msgpack::<Value>().expect("it is MessagePack"), json!(["g", [1.5]]));
    let absent = pool.request(Call::empty("h")).await.expect("it replies");
    assert_eq!(absent.json::<Value>().expect("it is JSON"), json!(["h", null]));
    pool.shutdown().await;
    assert!(matches!(pool.call::<Value>("f", &1).await, Err(CallError::ShuttingDown)));
}

#[actix_rt::test]
async fn status_has_a_row_for_each_worker_and_counts_the_calls() {
    let pool = FakePool::new(|call| async move {
        if call.function() == "bad" {
            Err(CallError::raised("ValueError", "bad"))
        } else {
            Reply::from_json(&1)
        }
    });
    let pool = pool.config(PoolConfig::default().workers(3)).start().expect("the configuration is valid");
    let reply = pool.request(Call::empty("good")).await.expect("it replies");
    assert!(pool.request(Call::empty("bad")).await.is_err());
    let status = pool.status().await;
    assert_eq!(status.slots.len(), 3);
    let status = serde_json::to_string(&status).expect("it encodes");
    assert!(status.contains("good") && status.contains("bad"), "{status}");
    assert!(reply.pid() > 1 << 22, "no process has the id of a fake worker");
    assert_eq!((pool.python_version(), pool.functions().len()), ("", 0));
}

#[actix_rt::test]
async fn named_functions_are_those_that_exist() {
    let pool = FakePool::new(|_| async { Reply::from_json(&1) }).functions(["f", "g"]);
    let pool = pool.start().expect("the configuration is valid");
    assert_eq!(pool.call::<i64>("f", &()).await.expect("it exists"), 1);
    let error = pool.call::<i64>("h", &()).await.expect_err("it does not exist");
    assert!(matches!(&error, CallError::UnknownFunction { known, .. } if **known == ["f", "g"]), "{error:?}");
    let names: Vec<String> = pool.functions().iter().map(|function| function.name.clone()).collect();
    assert_eq!(names, ["f", "g"]);
}

#[actix_rt::test]
async fn closure_keeps_state_and_its_futures_need_not_be_send() {
    let mut calls = 0;
    let pool = Pool::fake(move |_| {
        calls += 1;
        let calls = Rc::new(calls);
        async move {
            tokio::task::yield_now().await;
            Reply::from_json(&*calls)
        }
    });
    for n in 1..=3 {
        assert_eq!(pool.call::<i64>("f", &()).await.expect("it replies"), n);
    }
}

#[actix_rt::test]
async fn calls_run_concurrently_and_those_beyond_max_concurrent_wait_in_order() {
    let (started_tx, mut started) = mpsc::unbounded_channel();
    let pool = FakePool::new(move |call| {
        let (end, ended) = oneshot::channel::<()>();
        started_tx
            .send((call.argument::<i64>().expect("it is a number"), end))
            .expect("the test receives it");
        async move {
            ended.await.expect("the test ends it");
            call.reply(&())
        }
    });
    let config = PoolConfig::default().workers(1).max_concurrent(2);
    let pool = pool.config(config).start().expect("the configuration is valid");
    let calls: Vec<_> = (0..3).map(|n| pool.call::<()>("f", &n)).collect();
    let (first, second) =
        (started.recv().await.expect("it starts"), started.recv().await.expect("it starts"));
    assert_eq!((first.0, second.0), (0, 1));
    assert!(started.try_recv().is_err(), "two run");
    second.1.send(()).expect("it runs");
    let third = started.recv().await.expect("it starts");
    assert_eq!(third.0, 2);
    first.1.send(()).expect("it runs");
    third.1.send(()).expect("it runs");
    for call in calls {
        call.await.expect("it replies");
    }
}

#[actix_rt::test]
async fn queue_that_is_full_refuses_a_call() {
    let pool =
        FakePool::new(|_| pending()).config(one_at_a_time(1)).start().expect("the configuration is valid");
    let runs = pool.request(Call::empty("f"));
    let waits = pool.request(Call::empty("f"));
    let refused = pool.request(Call::empty("f")).await;
    assert!(matches!(refused, Err(CallError::Overloaded { .. })), "{refused:?}");
    drop((runs, waits));
}

#[actix_rt::test]
async fn deadline_ends_a_call_that_runs_and_one_that_waits() {
    let pool =
        FakePool::new(|_| pending()).config(one_at_a_time(8)).start().expect("the configuration is valid");
    let soon = Duration::from_millis(20);
    let runs = pool.request(Call::empty("f"));
    let running = pool.request(Call::empty("g").timeout(soon));
    let error = running.await.expect_err("it waits for ever");
    assert!(matches!(error, CallError::DeadlineExceeded { started: false }), "{error:?}");
    drop(runs);
    let error = pool.request(Call::empty("f").timeout(soon)).await.expect_err("it runs for ever");
    assert!(matches!(error, CallError::DeadlineExceeded { started: true }), "{error:?}");
}

/// Reports that it was dropped.
struct Guard(Option<oneshot::Sender<()>>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.take().expect("it is dropped once").send(()).expect("the test waits for it");
    }
}

#[actix_rt::test]
async fn run_whose_caller_has_gone_is_dropped() {
    let (guards_tx, mut guards) = mpsc::unbounded_channel();
    let pool = Pool::fake(move |_| {
        let (dropped_tx, dropped) = oneshot::channel();
        let guard = Guard(Some(dropped_tx));
        guards_tx.send(dropped).expect("the test receives it");
        async move {
            pending::<()>().await;
            drop(guard);
            Reply::from_json(&())
        }
    });
    let call = pool.request(Call::empty("f"));
    let dropped = guards.recv().await.expect("it starts");
    drop(call);
    dropped.await.expect("it is dropped");
    pool.shutdown_within(Duration::ZERO).await;
}

#[actix_rt::test]
async fn shutdown_waits_for_runs_and_at_its_deadline_loses_them() {
    let (started_tx, mut started) = mpsc::unbounded_channel();
    let pool = Pool::fake(move |call| {
        let (end, ended) = oneshot::channel::<()>();
        if call.function() == "waits" {
            started_tx.send(end).expect("the test receives it");
        }
        async move {
            // The other functions return at once, because their `end` is gone.
            let _ = ended.await;
            Reply::from_json(&())
        }
    });
    let call = pool.call::<()>("waits", &());
    let end = started.recv().await.expect("it starts");
    let refused = async {
        while pool.call::<()>("returns", &()).await.is_ok() {}
        end.send(()).expect("it runs");
    };
    let ((), ()) = futures::join!(pool.shutdown(), refused);
    call.await.expect("it was admitted before");

    let (started_tx, mut started) = mpsc::unbounded_channel();
    let pool = Pool::fake(move |_| {
        started_tx.send(()).expect("the test receives it");
        pending()
    });
    let call = pool.request(Call::empty("f"));
    started.recv().await.expect("it starts");
    pool.shutdown_within(Duration::ZERO).await;
    let error = call.await.expect_err("it runs for ever");
    assert!(matches!(error, CallError::WorkerLost { .. }), "{error:?}");
}

#[actix_rt::test]
async fn errors_of_the_closure_are_those_of_the_caller_and_a_panic_is_an_exception() {
    let pool = Pool::fake(|call| async move {
        match call.function() {
            "dies" => Err(CallError::worker_lost(Exit::by_signal(11).stderr(["Segmentation fault"]))),
            "raises" => Err(CallError::raised("ValueError", "negative")),
            "panics" => panic!("expected {}", 1),
            _ => Reply::from_json(&call.argument::<String>()?),
        }
    });
    let error = |function| {
        let call = Call::json(function, &1).expect("it encodes");
        let reply = pool.request(call);
        async move { reply.await.expect_err("it fails") }
    };
    let lost = error("dies").await;
    assert!(
        matches!(&lost, CallError::WorkerLost { exit, .. } if exit.status.signal() == Some(11)),
        "{lost:?}"
    );
    assert_eq!(error("raises").await.to_string(), CallError::raised("ValueError", "negative").to_string());
    let panicked = error("panics").await;
    assert!(
        matches!(&panicked, CallError::Exception { type_name, message, .. }
            if &**type_name == "panic" && &**message == "expected 1"),
        "{panicked:?}"
    );
    assert!(matches!(error("reads").await, CallError::Decode { ran: false, .. }));
    assert_eq!(pool.call::<String>("f", "serves").await.expect("the pool lives on"), "serves");
}

#[test]
fn without_an_arbiter_it_has_a_thread_of_its_own() {
    let pool = echo();
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let pool = pool.clone();
            std::thread::spawn(move || futures::executor::block_on(pool.call::<Value>("f", &n)))
        })
        .collect();
    for (n, thread) in threads.into_iter().enumerate() {
        let value = thread.join().expect("it does not panic").expect("it replies");
        assert_eq!(value, json!(["f", n]));
    }
    futures::executor::block_on(pool.shutdown());
}

#[tokio::test]
async fn on_a_plain_tokio_runtime_it_serves() {
    assert_eq!(echo().call::<Value>("f", &1).await.expect("it replies"), json!(["f", 1]));
}

#[test]
fn configuration_is_checked_and_its_script_is_not_looked_for() {
    let start = |config| FakePool::new(|_| pending()).config(config).start();
    let invalid = start(PoolConfig::new("nowhere.py").workers(0));
    assert!(matches!(invalid, Err(StartError::InvalidConfig(_))), "{invalid:?}");
    assert!(start(PoolConfig::new("nowhere.py").python("/nowhere/python")).is_ok());
}
