//! Thousands of deadlines that pass at about the time when their calls end. No interrupt hits
//! another call or the worker's own code.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_pyproc::{Call, CallError, Pool, WorkerEvent};
use serde_json::{Value, json};

use crate::support::{Events, capped, pids, start, worker};

/// The number of calls with a deadline.
const CALLS: u64 = 6000;
/// The number of tasks that make calls with a deadline, and of tasks that make calls without. Few
/// enough that nearly all calls start at once.
const CALLERS: u64 = 2;

#[derive(Default)]
struct Tally {
    ended: u64,
    late: u64,
    not_started: u64,
}

/// Makes calls that take 0 to 3 ms, with a deadline up to 0.5 ms before or after their end.
async fn with_deadlines(pool: Pool, mut random: fastrand::Rng, calls: u64) -> Tally {
    let mut tally = Tally::default();
    for value in 0..calls {
        let takes = Duration::from_micros(random.u64(0..3000));
        let function = if random.bool() { "sleeps" } else { "loops" };
        let timeout = (takes + Duration::from_micros(random.u64(0..1000)))
            .saturating_sub(Duration::from_micros(500))
            .max(Duration::from_micros(1));
        let argument = json!({"seconds": takes.as_secs_f64(), "value": value});
        let call = Call::json(function, &argument).expect("it is JSON").timeout(timeout);
        let begun = Instant::now();
        match capped("a call", pool.request(call)).await {
            Ok(reply) => {
                assert_eq!(reply.value().expect("a value"), json!(value * 2));
                tally.ended += 1;
            }
            Err(CallError::DeadlineExceeded { started }) => {
                assert!(begun.elapsed() >= timeout, "the deadline has passed");
                tally.late += u64::from(started);
                tally.not_started += u64::from(!started);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    tally
}

/// Makes calls without a deadline and checks their results, until `stop` is set. Returns the number
/// of calls.
async fn neighbour(pool: Pool, stop: Rc<Cell<bool>>) -> u64 {
    let mut value = 0_u64;
    while !stop.get() {
        let n = value % 2000;
        let result: Result<Value, _> = capped("a neighbour", pool.call("neighbour", &value)).await;
        let expected = n * n.saturating_sub(1) / 2;
        assert_eq!(result.expect("no neighbour is interrupted"), json!(expected), "neighbour {value}");
        value += 1;
    }
    value
}

async fn no_interrupt_hits_another(file: &str) {
    let config = worker(file).workers(2).kill_grace(Duration::from_secs(10)).call_timeout(None);
    let pool = start(config).await;
    let before = pids(&pool).await;
    let mut events = Events::of(&pool).await;
    let (seed, stop) = (fastrand::u64(..), Rc::new(Cell::new(false)));
    println!("seed {seed}");
    let others: Vec<_> =
        (0..CALLERS).map(|_| actix_rt::spawn(neighbour(pool.clone(), Rc::clone(&stop)))).collect();
    let callers = (0..CALLERS).map(|caller| {
        let random = fastrand::Rng::with_seed(seed ^ caller);
        actix_rt::spawn(with_deadlines(pool.clone(), random, CALLS / CALLERS))
    });
    let mut sum = Tally::default();
    for caller in callers.collect::<Vec<_>>() {
        let Tally { ended, late, not_started } = caller.await.expect("its calls ended as expected");
        sum.ended += ended;
        sum.late += late;
        sum.not_started += not_started;
    }
    stop.set(true);
    let mut neighbours = 0;
    for other in others {
        neighbours += other.await.expect("every neighbour ended as expected");
    }
    let Tally { ended, late, not_started } = sum;
    println!("{ended} ended, {late} were late, {not_started} did not start, {neighbours} neighbours");
    assert_eq!(ended + late + not_started, CALLS, "each call ended once");
    assert!(late > CALLS / 10, "deadlines passed while calls ran: {late}");
    assert!(neighbours > CALLS / 10, "neighbours ran at the same time: {neighbours}");
    assert_eq!(pids(&pool).await, before, "no worker has died");
    pool.shutdown().await;
    let exits = |event: &WorkerEvent| match event {
        WorkerEvent::Exited { expected, exit, .. } => Some((*expected, exit.status.code())),
        _ => None,
    };
    for _ in before {
        assert_eq!(events.next("the end of a worker", exits).await, (true, Some(0)));
    }
}

#[actix_rt::test]
async fn deadlines_near_the_end_of_functions_interrupt_no_other_call_and_no_worker() {
    no_interrupt_hits_another("near_deadline.py").await;
}

#[actix_rt::test]
async fn deadlines_near_the_end_of_coroutines_interrupt_no_other_call_and_no_worker() {
    no_interrupt_hits_another("near_deadline_on_a_loop.py").await;
}
