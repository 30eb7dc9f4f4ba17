//! Runs a worker of the Go project pyproc unchanged; README.md compares the code of the two hosts.
//!
//!     cargo run --release --example migrate_pyproc

use std::time::Duration;

use actix_pyproc::{Call, CallError, Pool, PoolConfig};
use futures::future::try_join_all;
use serde::Deserialize;
use serde_json::json;

const WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/migrate_pyproc/worker.py");
const ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/real_input/orders.csv");

#[derive(Deserialize)]
struct Forecast {
    last: f64,
    next: f64,
}

#[derive(Deserialize)]
struct Interval {
    low: f64,
    high: f64,
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let pool = Pool::start(PoolConfig::new(WORKER).workers(2).env("ORDERS_CSV", ORDERS)).await?;

    let Forecast { last, next } = pool.call("predict", &json!({"product": "tea"})).await?;
    println!("predict(tea)         -> {last} units in the last month, {next} expected in the next one");

    // Go needs a goroutine for each call; here a call is a future. Both workers are busy.
    let products = ["coffee", "cocoa", "kettle"];
    let rounds = |product| json!({"product": product, "rounds": 500});
    let intervals = products.map(|product| pool.call("interval", &rounds(product)));
    let intervals: Vec<Interval> = try_join_all(intervals).await?;
    for (product, Interval { low, high }) in products.iter().zip(&intervals) {
        println!("{:20} -> the mean order is between {low} and {high}", format!("interval({product})"));
    }

    // In Go: `strings.Contains(err.Error(), "KeyError")`.
    match pool.call::<Interval>("interval", &rounds("cheese")).await {
        Err(CallError::Exception { type_name, message, .. }) if &*type_name == "KeyError" => {
            println!("interval(cheese)     -> unknown product {message}");
        }
        other => return Err(format!("expected a KeyError: {:?}", other.map(drop)).into()),
    }

    // In Go: `context.WithTimeout`. Dropping the future replaces `cancel()`.
    let endless = json!({"product": "tea", "rounds": 1_000_000_000});
    let call = Call::json("interval", &endless)?.timeout(Duration::from_millis(300));
    match pool.request(call).await {
        Err(error @ CallError::DeadlineExceeded { started: true }) => {
            println!("interval(tea, ...)   -> {error}");
        }
        other => return Err(format!("expected DeadlineExceeded: {other:?}").into()),
    }
    // The function checked its `cancel_event`, so its process keeps running.
    let Forecast { next, .. } = pool.call("predict", &json!({"product": "honey"})).await?;
    println!("predict(honey)       -> {next} units expected in the next month");
    println!("{} processes were replaced", pool.status().await.restarts);
    pool.shutdown().await;
    Ok(())
}
