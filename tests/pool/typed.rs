//! Typed calls on real Python: declarations that fit work, others are reported when the pool
//! starts.

use std::time::Duration;

use actix_pyproc::pool::FunctionInfo;
use actix_pyproc::pool::SlotId;
use actix_pyproc::{CallError, Pool, PoolConfig, StartError, functions};
use bytes::Bytes;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::{capped, exists, pids, start, worker};

#[derive(Serialize, Deserialize)]
struct Input {
    value: i64,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Prediction {
    result: i64,
}

functions! {
    /// The functions of typed.py.
    struct Model {
        /// Doubles the value.
        fn predict(input: Input) -> Prediction;
        fn add(a: i64, b: i64) -> i64;
        fn greet(name: Option<&str>) -> String;
        fn reverse(data: Bytes) -> Bytes as bytes;
        fn total(values: &[f64]) -> f64 as msgpack = "model.sum";
        fn forget();
        fn half(value: u32) -> Option<f64>;
    }

    /// Another view of the same functions.
    struct Strange {
        fn add(a: serde_json::Value, b: u8) -> f32 as msgpack;
        fn reverse(packed: Bytes) -> Bytes as msgpack;
    }

    struct Wrong {
        fn scaled(input: Input) -> Prediction;
        fn add(a: f64, b: i64) -> i64;
        fn greet(name: &str) -> Prediction;
        fn half(value: u32) -> f64;
        fn nowhere(text: String);
    }
}

#[actix::test]
async fn typed_calls_give_what_python_returns() {
    let pool: Model = capped("the start", Pool::start_typed(worker("typed.py"))).await.expect("all fits");
    let out: Prediction = pool.predict(Input { value: 42 }).await.expect("it returns");
    assert_eq!(out, Prediction { result: 84 });
    assert_eq!(pool.add(40, 2).timeout(Duration::from_secs(5)).idempotent().await.expect("it returns"), 42);
    assert_eq!(pool.greet(None).await.expect("it returns"), "hello, None", "Optional takes null");
    assert_eq!(pool.greet(Some("Ada")).await.expect("it returns"), "hello, Ada");
    assert_eq!(pool.reverse(Bytes::from_static(b"abc")).await.expect("it returns"), &b"cba"[..]);
    assert!((pool.total(&[0.5, 1.5]).await.expect("it returns") - 2.0).abs() < 1e-9);
    pool.forget().await.expect("it returns");
    assert_eq!(pool.half(0).await.expect("it returns"), None);
    // The reply without decoding, and the plain message.
    let reply = pool.half(3).traceparent("00-1").reply().await.expect("it returns");
    assert_eq!((&reply.bytes()[..], reply.served_by()), (&b"1.5"[..], SlotId(0)));
    let call = pool.add(1, 2).into_call().expect("it is encoded");
    assert_eq!(&call.payload()[..], br#"{"a":1,"b":2}"#);

    let strange: Strange = pool.as_ref().typed().expect("it fits as well");
    assert!((strange.add(1.into(), 2).await.expect("it returns") - 3.0).abs() < 1e-9);
    assert_eq!(strange.reverse(Bytes::from_static(b"ab")).await.expect("it returns"), &b"ba"[..]);
    pool.as_ref().shutdown().await;
    assert!(matches!(pool.add(1, 2).await, Err(CallError::ShuttingDown)));
}

#[actix::test]
async fn mismatch_is_an_error_of_the_start_that_names_both_sides() {
    let result = capped("the start", Pool::start_typed::<Wrong>(worker("typed.py"))).await;
    let error = result.expect_err("nothing fits");
    let StartError::Signature { problems } = &error else { panic!("{error}") };
    let expected = [
        "scaled: Rust sends (input: Input), Python takes (req: dict, scale: float): `req` is missing",
        "add: Rust sends (a: f64, b: i64), Python takes (a: int, b: int): f64 does not fit int",
        "greet: Rust reads Prediction, Python returns str",
        "half: Rust reads f64, Python returns Optional[float]",
        "nowhere: Rust sends (text: String), Python has no such function; it has \
         predict, scaled, add, greet, reverse, model.sum, status, call, forget, half",
    ];
    assert_eq!(problems[..], expected);
    assert_eq!(
        error.to_string(),
        format!("failed to match the functions of Rust and Python: {}", expected.join("; "))
    );
}

#[actix::test]
async fn several_arguments_fit_parameters_with_defaults_and_keyword_only_ones() {
    functions! {
        struct Several {
            fn plain(a: i64, b: i64) -> Vec<i64>;
            fn keyword(a: i64, b: i64) -> Vec<i64> as msgpack;
            fn plain_alone(a: i64) -> Vec<i64> = "plain";
            fn both_of_an_object(both: Both) -> Vec<i64> = "keyword";
            fn optional() -> String;
            fn at(point: Both) -> i64;
            fn decode(data: String) -> i64;
            fn decode_raw(data: Bytes) -> i64 as bytes = "decode";
            fn decode_packed(data: Bytes) -> i64 as msgpack = "decode";
        }

        struct Spread {
            fn plain(pair: (i64, i64)) -> Vec<i64>;
        }
    }

    #[derive(Serialize, Deserialize)]
    struct Both {
        a: i64,
        b: i64,
    }

    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("worker.py");
    let code = "from dataclasses import dataclass\nfrom pyproc_worker import expose\n\n\
        @expose\ndef plain(a, b=2):\n    return [a, b]\n\n\
        @expose\ndef keyword(a, *, b=2):\n    return [a, b]\n\n\
        @expose\ndef optional(name: str = 'nobody'):\n    return name\n\n\
        @dataclass\nclass Point:\n    a: int\n    b: int\n\n\
        @expose\ndef at(point: Point):\n    return point.a + point.b\n\n\
        @expose\ndef decode(data: bytes):\n    return len(data)\n";
    std::fs::write(&path, code).expect("the folder can be written to");
    let pool = start(PoolConfig::new(&path).workers(1)).await;
    let several: Several = pool.typed().expect("all fits");
    assert_eq!(several.plain(1, 5).await.expect("it returns"), [1, 5]);
    assert_eq!(several.keyword(1, 5).await.expect("it returns"), [1, 5]);
    assert_eq!(several.plain_alone(1).await.expect("it returns"), [1, 2]);
    assert_eq!(several.both_of_an_object(Both { a: 1, b: 5 }).await.expect("it returns"), [1, 5]);
    assert_eq!(several.optional().await.expect("it returns"), "nobody");
    assert_eq!(several.at(Both { a: 1, b: 5 }).await.expect("it returns"), 6);
    assert_eq!(several.decode("AAEC".to_owned()).await.expect("it returns"), 3);
    let bytes = Bytes::from_static(b"abc");
    assert_eq!(several.decode_raw(bytes.clone()).await.expect("it returns"), 3);
    assert_eq!(several.decode_packed(bytes).await.expect("it returns"), 3);

    let error = pool.typed::<Spread>().expect_err("Python would take it apart");
    let problem = "plain: Rust sends (pair: (i64, i64)), Python takes (a, b=2): \
        Python would spread the list over its parameters";
    assert!(matches!(&error, StartError::Signature { problems } if problems[..] == [problem]), "{error}");
    pool.shutdown().await;
}

#[actix::test]
async fn pool_that_does_not_fit_lives_on_if_it_was_there_before() {
    let pool = start(worker("typed.py")).await;
    let process = pids(&pool).await[0];
    assert!(matches!(pool.typed::<Wrong>(), Err(StartError::Signature { .. })));
    assert!(exists(process));
    assert_eq!(pool.typed::<Model>().expect("it fits").add(1, 1).await.expect("it returns"), 2);
    pool.shutdown().await;
}

#[actix::test]
async fn reload_of_code_that_does_not_fit_ends_with_the_mismatch_and_the_old_code_stays() {
    functions! {
        struct Doubler {
            fn double(value: i64) -> i64;
        }
    }

    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("worker.py");
    let write = |signature: &str| {
        let code =
            format!("from pyproc_worker import expose\n\n@expose\ndef {signature}:\n    return 2 * value\n");
        std::fs::write(&path, code).expect("the folder can be written to");
    };
    write("double(value: int) -> int");
    let pool: Doubler =
        capped("the start", Pool::start_typed(PoolConfig::new(&path).workers(1))).await.expect("it fits");
    let process = pids(pool.as_ref()).await;

    write("double(value: str) -> str");
    let error = capped("the reload", pool.as_ref().reload()).await.expect_err("it does not fit");
    let StartError::Signature { problems } = &error else { panic!("{error}") };
    assert_eq!(
        problems[..],
        ["double: Rust sends (value: i64), Python takes (value: str): i64 does not fit str"]
    );
    assert_eq!((pids(pool.as_ref()).await, pool.double(21).await.expect("the old code runs")), (process, 42));

    write("double(value: float) -> int");
    capped("the reload", pool.as_ref().reload()).await.expect("an integer is a float too");
    assert_eq!(pool.double(4).await.expect("the new code runs"), 8);
    pool.as_ref().shutdown().await;
}

#[actix::test]
async fn typed_calls_are_futures_that_borrow_nothing_and_are_sent_when_polled() {
    let model: Model = capped("the start", Pool::start_typed(worker("typed.py"))).await.expect("all fits");
    let pool = model.as_ref().clone();
    let never_polled = model.add(0, 0);
    // Another thread: a call is Send and 'static.
    let sum = tokio::task::spawn_blocking({
        let call = model.add(2, 3);
        move || futures::executor::block_on(call)
    });
    assert_eq!(capped("the call", sum).await.expect("it does not panic").expect("it returns"), 5);
    let task = actix_rt::spawn(model.add(3, 4));
    let texts = ["a".to_owned(), "b".to_owned()];
    // Arguments may be borrowed: they are encoded before the method returns.
    let greetings = join_all(texts.iter().map(|name| model.greet(Some(name))).collect::<Vec<_>>());
    drop((model, texts));
    assert_eq!(capped("the task", task).await.expect("it does not panic").expect("it returns"), 7);
    let greetings: Vec<_> = greetings.await.into_iter().map(|each| each.expect("it returns")).collect();
    assert_eq!(greetings, ["hello, a", "hello, b"]);
    let status = pool.status().await;
    assert_eq!(
        status.functions.iter().map(|function| function.calls.ok).sum::<u64>(),
        4,
        "one was never sent"
    );
    drop(never_polled);
    pool.shutdown().await;
}

#[actix::test]
async fn typed_call_keeps_its_pool_alive() {
    let model: Model = capped("the start", Pool::start_typed(worker("typed.py"))).await.expect("all fits");
    let call = model.add(20, 22);
    drop(model);
    assert_eq!(capped("the call", call).await.expect("it returns"), 42);
}

#[actix::test]
async fn functions_may_have_the_names_of_methods_of_the_pool() {
    functions! {
        struct Names {
            fn status() -> String;
            fn call(function: String, argument: i64) -> String;
            fn pool() -> String = "status";
            fn as_ref() -> String = "status";
            fn clone() -> String as msgpack = "status";
        }
    }

    let names: Names = capped("the start", Pool::start_typed(worker("typed.py"))).await.expect("all fits");
    let copy = Clone::clone(&names);
    for answer in [names.status(), names.pool(), names.as_ref(), copy.clone()] {
        assert_eq!(answer.await.expect("it returns"), "status of Python");
    }
    assert_eq!(names.call("f".to_owned(), 1).await.expect("it returns"), "f(1)");
    let pool: &Pool = AsRef::as_ref(&names);
    assert_eq!(pool.status().await.serving, 1);
    pool.shutdown().await;
}

/// A golden function, as `tests/vectors/functions.json` has it.
#[derive(Deserialize)]
struct Golden {
    ready: FunctionInfo,
    calls: Vec<(Value, Value)>,
    rejects: Vec<Value>,
}

#[derive(Deserialize)]
struct Vectors {
    bound: Vec<Golden>,
}

#[actix::test]
async fn workers_state_how_they_bind_an_argument_and_bind_it_so() {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/functions.json");
    let text = std::fs::read_to_string(vectors).expect("the vectors can be read");
    let golden = serde_json::from_str::<Vectors>(&text).expect("the vectors have this form").bound;
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("worker.py");
    let code = format!(
        "import json, sys, types\nfrom pyproc_worker import expose\n\n\
         for at, golden in enumerate(json.load(open({vectors:?}))['bound']):\n    \
         module = types.ModuleType('golden')\n    sys.modules['golden'] = module\n    \
         exec(golden['source'], module.__dict__)\n    expose(module.f, name=f'f{{at}}')\n"
    );
    std::fs::write(&path, code).expect("the folder can be written to");
    let pool = start(PoolConfig::new(&path).workers(1)).await;
    for (at, (golden, stated)) in golden.iter().zip(&pool.functions()[..]).enumerate() {
        let (mut expected, mut stated) = (golden.ready.clone(), stated.clone());
        expected.name = format!("f{at}");
        stated.doc = None;
        assert_eq!(stated, expected);
        for (argument, result) in &golden.calls {
            let found: Value = pool.call(expected.name.clone(), argument).await.expect("it returns");
            assert_eq!(&found, result, "{}{} with {argument}", expected.name, expected.signature);
        }
        for argument in &golden.rejects {
            let error =
                pool.call::<Value>(expected.name.clone(), argument).await.expect_err("it does not fit");
            assert!(matches!(&error, CallError::InvalidArgument { .. }), "{}: {error}", expected.signature);
        }
    }
    assert_eq!(pool.functions().len(), golden.len());
    pool.shutdown().await;
}
