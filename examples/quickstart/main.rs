//! Starts a pool of two Python processes, calls their functions, and prints the result of each
//! call.
//!
//!     cargo run --release --example quickstart

use std::time::{Duration, Instant};

use actix_pyproc::{Call, CallError, Pool, PoolConfig};
use futures::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

const WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart/worker.py");

/// What `predict` returns.
#[derive(Debug, Deserialize)]
struct Prediction {
    result: i64,
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let begun = Instant::now();
    let pool = Pool::start(PoolConfig::new(WORKER).workers(2)).await?;
    println!(
        "Two Python {} processes were ready after {:.0?}. They expose",
        pool.python_version(),
        begun.elapsed()
    );
    for function in pool.functions().iter() {
        println!("    {}{}", function.name, function.signature);
    }
    one_call(&pool).await?;
    many_calls(&pool).await?;
    calls_that_fail(&pool).await?;

    let status = pool.status().await;
    println!("\nSince the start: {} calls returned, {:?} did not.", status.calls.ok, status.calls.errors);
    pool.shutdown().await;
    Ok(())
}

async fn one_call(pool: &Pool) -> Result<(), CallError> {
    println!("\nOne call, in two ways");
    let prediction: Prediction = pool.call("predict", &json!({"value": 21})).await?;
    show("predict({\"value\": 21})", prediction.result);

    // The same call as an actor message, with a deadline.
    let call = Call::json("predict", &json!({"value": 21}))?.timeout(Duration::from_secs(1));
    let reply = pool.request(call).await?;
    show("predict({\"value\": 21})", format!("{} from process {}", reply.value()?, reply.pid()));
    Ok(())
}

async fn many_calls(pool: &Pool) -> Result<(), CallError> {
    println!("\nMany calls at once");
    let begun = Instant::now();
    let calls = (0..4000).map(|value| async move {
        let prediction: Prediction = pool.call("predict", &json!({"value": value})).await?;
        Ok::<_, CallError>(prediction.result)
    });
    let sum: i64 = join_all(calls).await.into_iter().sum::<Result<_, _>>()?;
    show("the sum of 4,000 predictions", format!("{sum} after {:.0?}", begun.elapsed()));

    let begun = Instant::now();
    let waits = join_all((0..100).map(|_| pool.call::<String>("fetch", &0.1))).await;
    let fetched = waits.iter().filter(|result| result.is_ok()).count();
    show("100 times fetch(0.1)", format!("{fetched} fetched after {:.0?}", begun.elapsed()));
    Ok(())
}

async fn calls_that_fail(pool: &Pool) -> Result<(), CallError> {
    println!("\nCalls that fail");
    let calls = [
        ("divide(1, 0)", Call::json("divide", &json!({"a": 1, "b": 0}))?),
        ("fetch(60), with a deadline", Call::json("fetch", &60)?.timeout(Duration::from_millis(50))),
        ("guess()", Call::json("guess", &Value::Null)?),
        ("crash()", Call::json("crash", &Value::Null)?),
    ];
    for (text, call) in calls {
        match pool.request(call).await {
            Ok(reply) => show(text, reply.value()?),
            Err(error) => show(text, format!("{}: {error}", error.kind())),
        }
    }
    // The pool replaces the crashed process; the other one serves in the meantime.
    let prediction: Prediction = pool.call("predict", &json!({"value": 21})).await?;
    show("predict({\"value\": 21})", prediction.result);
    Ok(())
}

fn show(call: &str, result: impl std::fmt::Display) {
    println!("    {call:<30} -> {result}");
}
