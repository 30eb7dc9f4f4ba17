//! The figures of the contract: how soon callers get an answer, and how soon a pool is whole again.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_pyproc::{Call, CallError, Pool, WorkerEvent};
use serde_json::{Value, json};

use crate::support::leaks::alone;
use crate::support::{Events, capped, pids, signal, start, until, worker};

const MOST_ROUNDS: usize = 60;
/// The figure of the contract, with a first restart delay of 50 ms.
const LIMIT: Duration = Duration::from_millis(150);

#[derive(Default)]
struct Book {
    ok: Cell<u64>,
    lost: Cell<u64>,
    over: Cell<bool>,
}

/// Makes calls that take 2 ms, so that a worker has one at a time.
async fn caller(pool: Pool, book: Rc<Book>) {
    let argument = json!({"path": "/dev/null", "seconds": 0.002});
    while !book.over.get() {
        match capped("a call", pool.call::<Value>("touch_and_sleep", &argument)).await {
            Ok(_) => book.ok.set(book.ok.get() + 1),
            Err(CallError::WorkerLost { .. }) => book.lost.set(book.lost.get() + 1),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_killed_worker_of_two_costs_the_call_that_ran_and_serves_again_within_150_ms() {
    alone(async {
        let mut config = worker("contract.py").workers(2);
        // Every kill counts as the first.
        config.restart.reset_after = Duration::ZERO;
        config.restart.max_restarts = 1000;
        assert_eq!(config.restart.initial, Duration::from_millis(50));
        let pool = start(config).await;
        let mut events = Events::of(&pool).await;
        let book = Rc::new(Book::default());
        let callers: Vec<_> =
            (0..8).map(|_| actix_rt::spawn(caller(pool.clone(), Rc::clone(&book)))).collect();
        let mut recoveries = Vec::new();
        // Other programs slow most of the recoveries down.
        while recoveries.len() < 5
            || (recoveries.iter().all(|&took| took > LIMIT) && recoveries.len() < MOST_ROUNDS)
        {
            let before = book.ok.get();
            until("calls run", || book.ok.get() > before + 50).await;
            let lost = book.lost.get();
            let victim = pids(&pool).await[recoveries.len() % 2];
            let killed = Instant::now();
            signal(victim, "KILL");
            let exited = |event: &WorkerEvent| match event {
                WorkerEvent::Exited { pid, lost_calls, .. } => Some((*pid, *lost_calls as u64)),
                _ => None,
            };
            let (pid, lost_calls) = events.next("the end", exited).await;
            assert_eq!(pid, victim);
            until("the caller gets the error", || book.lost.get() - lost == lost_calls).await;
            assert!(lost_calls <= 1, "{lost_calls} calls were lost");
            events.started().await;
            recoveries.push(killed.elapsed());
        }
        book.over.set(true);
        for caller in callers {
            caller.await.expect("its calls ended as expected");
        }
        println!("{recoveries:?}, {} calls lost", book.lost.get());
        assert!(recoveries.iter().any(|&took| took <= LIMIT), "{recoveries:?}");
        pool.shutdown().await;
    });
}

/// The time between the deadline of a call and its answer: the minimum of several calls.
async fn lateness(pool: &Pool, function: &'static str, argument: Value) -> Duration {
    let deadline = Duration::from_millis(50);
    let mut least = Duration::MAX;
    for _ in 0..MOST_ROUNDS {
        let call = Call::json(function, &argument).expect("it is JSON").timeout(deadline);
        let begun = Instant::now();
        let error = capped("a call", pool.request(call)).await.expect_err("its deadline passes");
        assert!(matches!(error, CallError::DeadlineExceeded { .. }), "{error:?}");
        least = least.min(begun.elapsed() - deadline);
        if least <= Duration::from_millis(10) {
            break;
        }
    }
    least
}

#[test]
fn a_caller_has_its_answer_within_10_ms_of_the_deadline_whatever_the_worker_does() {
    alone(async {
        let pool = start(worker("contract.py").workers(1)).await;
        // A call that can be interrupted, one that cannot, and one that waits behind it.
        for (function, argument) in [
            ("touch_and_sleep", json!({"path": "/dev/null", "seconds": 60})),
            ("deaf", json!(null)),
            ("predict", json!({"value": 1})),
        ] {
            let blocking = (function == "predict").then(|| pool.send(Call::raw_json("deaf", "null")));
            let blocking = blocking.map(actix_rt::spawn);
            let late = lateness(&pool, function, argument).await;
            assert!(late <= Duration::from_millis(10), "{function}: {late:?}");
            if let Some(blocking) = blocking {
                blocking.abort();
            }
        }
        pool.shutdown_within(Duration::from_millis(10)).await;
    });
}
