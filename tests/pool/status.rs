//! What a status of a pool says about its calls and its workers.

use actix_pyproc::status::{CallStage, LineSource, PoolStatus};
use actix_pyproc::{CallError, Pool, WorkerEvent};
use serde_json::{Value, json};

use crate::support::{Events, Script, capped, ended, json_call, spawn, start};

const CODE: &str = "\
import logging, os, sys, time
from pyproc_worker import expose

@expose
def refuse(text):
    raise LookupError(text)

@expose
def die(text):
    print('out of memory', 7, file=sys.stderr, flush=True)
    os._exit(9)

@expose
def wait(path):
    while not os.path.exists(path):
        time.sleep(0.001)

@expose
def write(text):
    print('printed', text, flush=True)
    logging.getLogger('app').error('logged %s', text)
";

async fn fails(pool: &Pool, function: &'static str, text: &str) -> CallError {
    capped("a call", pool.call::<Value>(function, &json!(text))).await.expect_err("it fails")
}

/// The first status for which `condition` holds.
async fn status_when(pool: &Pool, what: &str, condition: impl Fn(&PoolStatus) -> bool) -> PoolStatus {
    capped(what, async {
        loop {
            let status = pool.status().await;
            if condition(&status) {
                return status;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    })
    .await
}

#[actix_rt::test]
async fn failures_are_counted_by_function_and_type_with_the_last_message_and_traceback() {
    let script = Script::new(CODE);
    let pool = start(script.config(1)).await;
    for text in ["one", "two"] {
        fails(&pool, "refuse", text).await;
    }
    fails(&pool, "die", "").await;
    let status = pool.status().await;
    let [lost, refused] = &status.failures[..] else { panic!("{:?}", status.failures) };
    assert_eq!((lost.function.as_str(), lost.kind.as_str(), lost.count), ("die", "worker_lost", 1));
    assert_eq!(lost.message, "exited with status 9");
    assert_eq!((refused.function.as_str(), refused.kind.as_str()), ("refuse", "exception"));
    assert_eq!((refused.type_name.as_deref(), refused.count), (Some("LookupError"), 2));
    assert_eq!(refused.message, "two");
    let traceback = refused.traceback.as_deref().expect("it has one");
    assert!(traceback.contains("in refuse") && traceback.ends_with("LookupError: two\n"), "{traceback}");
    assert!(lost.at_unix_ms >= refused.at_unix_ms, "the latest first");
    pool.shutdown().await;
}

#[actix_rt::test]
async fn crashes_name_the_functions_that_ran_and_equal_ones_are_one() {
    let script = Script::new(CODE);
    let pool = start(script.config(1)).await;
    let mut events = Events::of(&pool).await;
    for _ in 0..2 {
        fails(&pool, "die", "").await;
        events.next("the death", |event| matches!(event, WorkerEvent::Exited { .. }).then_some(())).await;
    }
    let status = status_when(&pool, "both crashes", |status| status.incidents.len() == 2).await;
    let [crash] = &status.crashes[..] else { panic!("{:?}", status.crashes) };
    assert_eq!((crash.count, crash.slots.len(), crash.functions["die"]), (2, 1, 2));
    assert_eq!(crash.last, status.incidents[0]);
    assert!(crash.first_unix_ms <= crash.last.at_unix_ms);
    for incident in &status.incidents {
        let [call] = &incident.calls[..] else { panic!("{incident:?}") };
        assert_eq!((call.function.as_str(), call.stage), ("die", CallStage::Running));
        assert!(call.running_ms.is_some() && incident.stderr == ["out of memory 7"]);
    }
    pool.shutdown().await;
}

#[actix_rt::test]
async fn calls_that_run_and_wait_are_listed_by_age() {
    let script = Script::new(CODE);
    let pool = start(script.config(1)).await;
    let dir = crate::support::scratch();
    let go = dir.path().join("go");
    let call = || json_call("wait", json!(go));
    let calls = [spawn(&pool, call()), spawn(&pool, call())];
    let runs = |status: &PoolStatus| {
        status.oldest_calls.iter().map(|call| call.stage).eq([CallStage::Running, CallStage::Queued])
    };
    let status = status_when(&pool, "one to run and one to wait", runs).await;
    let [first, second] = &status.oldest_calls[..] else { panic!("{:?}", status.oldest_calls) };
    assert_eq!((first.function.as_str(), first.slot.map(|slot| slot.0)), ("wait", Some(0)));
    assert!(first.running_ms.is_some() && first.left_ms.is_some() && first.age_ms >= second.age_ms);
    assert_eq!((second.slot, second.running_ms), (None, None));
    assert!(second.left_ms >= first.left_ms, "{status:?}");
    std::fs::write(&go, "").expect("the disk has room");
    for call in calls {
        ended(call).await.expect("it returns");
    }
    assert_eq!(pool.status().await.oldest_calls, []);
    pool.shutdown().await;
}

#[actix_rt::test]
async fn the_last_lines_of_all_workers_are_kept_with_slot_level_and_source() {
    let script = Script::new(CODE);
    let pool = start(script.config(1)).await;
    capped("a call", pool.call::<Value>("write", &json!("it"))).await.expect("it returns");
    let status = status_when(&pool, "both lines", |status| status.log.len() == 2).await;
    let printed = status.log.iter().find(|line| line.source == LineSource::Stdout).expect("it printed");
    assert_eq!((printed.text.as_str(), printed.level.as_str(), printed.slot.0), ("printed it", "info", 0));
    let logged = status.log.iter().find(|line| line.source == LineSource::Log).expect("it logged");
    assert_eq!(
        (logged.text.as_str(), logged.level.as_str(), logged.logger.as_str()),
        ("logged it", "error", "app")
    );
    assert_eq!((status.log[0].number, status.log[1].number), (1, 2));
    assert_eq!(Some(printed.pid), status.slots[0].pid);
    pool.shutdown().await;
}
