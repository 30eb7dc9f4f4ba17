//! Calls over the socket of a real worker.

use std::time::{Duration, Instant};

use actix_pyproc::pool::SlotId;
use actix_pyproc::{Call, CallError, Codec};
use actix_pyproc_actors::backend::{Backend as _, Link as _, LinkEvent};
use actix_pyproc_actors::call::Phase;
use bytes::Bytes;
use serde_json::json;

use crate::driver::{Driver, worker};

#[actix_rt::test]
async fn value_of_each_codec_comes_back() {
    let mut driver = Driver::basic().await;
    let value = json!({"a": [1, 2.5, null, "\u{e9}"]});
    let reply = driver.call(Call::json("echo", &value).expect("it is JSON")).await.expect("it returns");
    assert_eq!((reply.codec(), reply.value().expect("it is JSON")), (Codec::Json, value.clone()));
    assert_eq!((reply.served_by(), reply.pid()), (SlotId(0), driver.link.pid()));
    assert!(reply.service_time() > Duration::ZERO);
    let reply =
        driver.call(Call::msgpack("echo", &value).expect("it is MessagePack")).await.expect("it returns");
    assert_eq!((reply.codec(), reply.value().expect("it is MessagePack")), (Codec::Msgpack, value));
    let reply = driver.call(Call::bytes("echo", &b"\x00\xff"[..])).await.expect("it returns");
    assert_eq!((reply.codec(), reply.bytes()), (Codec::Bytes, Bytes::from_static(b"\x00\xff")));
    let reply = driver.call(Call::raw_json("sleep", "0.08")).await.expect("it returns");
    let limit = Duration::from_secs(60);
    assert!((Duration::from_millis(80)..limit).contains(&reply.service_time()), "{reply:?}");
    let reply = driver.call(Call::raw_json("subtract", r#"{"a": 5, "b": 3}"#)).await.expect("it returns");
    assert_eq!(reply.json::<i32>().expect("it is a number"), 2);
}

#[actix_rt::test]
async fn great_payloads_go_both_ways_and_one_too_great_goes_neither() {
    let mut driver = Driver::start(worker("basic.py").max_frame(3 << 20)).await;
    let argument = Bytes::from(vec![7; 3 << 20]);
    let reply = driver.call(Call::bytes("echo", argument.clone())).await.expect("it returns");
    assert_eq!(reply.bytes(), argument);
    let too_long = Call::bytes("echo", vec![7; (3 << 20) + 1]);
    let refused = driver.backend.resolve(&too_long).expect_err("it is too long");
    assert!(matches!(
        refused,
        CallError::PayloadTooLarge { size: Some(3_145_729), limit: 3_145_728, ran: false }
    ));
    let error = driver.call(Call::raw_json("big", "4000000")).await.expect_err("its result is too long");
    assert!(matches!(error, CallError::PayloadTooLarge { limit: 3_145_728, ran: true, .. }), "{error:?}");
    driver.call(Call::raw_json("echo", "1")).await.expect("the worker survives");
}

#[actix_rt::test]
async fn many_calls_on_the_socket_are_each_answered_once() {
    let mut driver = Driver::basic().await;
    let mut sent = Vec::new();
    for number in 0..1000_u32 {
        let size = if number % 100 == 0 { 100_000 } else { 10 };
        let argument = Bytes::from(vec![number as u8; size]);
        sent.push((driver.send(&Call::bytes("echo", argument.clone())), argument));
    }
    for (id, argument) in sent {
        let (answered, result) = driver.done().await;
        assert_eq!((answered, result.expect("it returns").bytes()), (id, argument));
    }
}

#[actix_rt::test]
async fn what_goes_wrong_in_a_call_is_told_by_its_kind() {
    let mut driver = Driver::basic().await;
    let error = driver.call(Call::raw_json("fail", "\"why\"")).await.expect_err("it raises");
    let CallError::Exception { type_name, message, traceback, .. } = error else { panic!("{error:?}") };
    assert_eq!((&*type_name, &*message), ("ValueError", "why"));
    assert!(traceback.contains("raise ValueError(message)"), "{traceback}");
    let error = driver.call(Call::raw_json("echo", "{")).await.expect_err("it is not JSON");
    assert!(matches!(error, CallError::Decode { ran: false, .. }), "{error:?}");
    let error = driver.call(Call::raw_json("not_json", "null")).await.expect_err("it cannot be JSON");
    assert!(matches!(error, CallError::Encode { ran: true, .. }), "{error:?}");
    let error = driver.backend.resolve(&Call::raw_json("ecko", "1")).expect_err("it does not exist");
    assert!(
        matches!(&error, CallError::UnknownFunction { known, .. } if known.iter().any(|name| name == "echo"))
    );
}

#[actix_rt::test]
async fn metadata_reach_the_function() {
    let mut driver = Driver::basic().await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let reply = driver.call(Call::raw_json("trace", "null").traceparent(parent)).await.expect("it returns");
    assert_eq!(reply.json::<String>().expect("it is a string"), parent);
    let long = Call::raw_json("trace", "null").metadata("k", "x".repeat(70_000));
    assert!(matches!(driver.backend.resolve(&long), Err(CallError::Encode { ran: false, .. })));
}

#[actix_rt::test]
async fn running_call_that_is_cancelled_is_interrupted_and_the_worker_lives_on() {
    let mut driver = Driver::basic().await;
    let begun = Instant::now();
    let id = driver.send(&Call::raw_json("sleep", "30"));
    driver.until(id, Phase::Running).await;
    driver.link.cancel(id);
    assert!(matches!(driver.event().await, LinkEvent::Interrupted(ended) if ended == id));
    assert!(begun.elapsed() < Duration::from_secs(5));
    driver.call(Call::raw_json("echo", "1")).await.expect("the worker survives");
}

#[actix_rt::test]
async fn call_that_has_not_started_is_skipped_when_it_is_cancelled_or_revoked() {
    let mut driver = Driver::basic().await;
    let directory = tempfile::tempdir().expect("the disk has room");
    let go = directory.path().join("go");
    let first = driver.send(&Call::json("wait_for", &go).expect("it is JSON"));
    let cancelled = driver.send(&Call::raw_json("echo", "1"));
    let revoked = driver.send(&Call::raw_json("echo", "2"));
    let last = driver.send(&Call::raw_json("echo", "3"));
    driver.until(first, Phase::Running).await;
    driver.link.cancel(cancelled);
    driver.link.revoke(revoked);
    // Revoking a call that has started has no effect.
    driver.link.revoke(first);
    std::fs::write(go, "").expect("the disk has room");
    assert_eq!(driver.done().await.0, first);
    assert!(matches!(driver.event().await, LinkEvent::Skipped(id) if id == cancelled));
    assert!(matches!(driver.event().await, LinkEvent::Skipped(id) if id == revoked));
    assert_eq!(driver.done().await.0, last);
}

#[actix_rt::test]
async fn async_calls_overlap_and_can_be_cancelled() {
    let mut driver = Driver::basic().await;
    let function = driver.backend.resolve(&Call::raw_json("wait", "1")).expect("the function is exposed");
    assert!(function.overlapping);
    let long = driver.send(&Call::raw_json("wait", "30"));
    // Each of them returns when all of them run.
    for _ in 0..20 {
        driver.send(&Call::raw_json("meet", "20"));
    }
    for _ in 0..20 {
        assert!(driver.done().await.1.is_ok());
    }
    driver.link.cancel(long);
    assert!(matches!(driver.event().await, LinkEvent::Interrupted(id) if id == long));
}
