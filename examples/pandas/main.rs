//! Summarizes a CSV file with pandas in two processes, and shows how a caller sees an exception
//! that pandas raises.
//!
//!     cargo run --release --example pandas

#[path = "../support/venv.rs"]
mod venv;

use std::collections::BTreeMap;
use std::time::Instant;

use actix_pyproc::{CallError, Pool, PoolConfig};
use bytes::Bytes;
use serde::Deserialize;

const WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/pandas/worker.py");
const ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/real_input/orders.csv");

#[derive(Deserialize)]
struct Summary {
    rows: usize,
    columns: BTreeMap<String, String>,
    /// For each numeric column: `mean`, `max` and so on; values may be missing.
    spread: BTreeMap<String, BTreeMap<String, Option<f64>>>,
}

/// A table in the `split` format of pandas.
#[derive(Deserialize)]
struct Table {
    index: Vec<String>,
    columns: Vec<String>,
    data: Vec<Vec<f64>>,
}

actix_pyproc::functions! {
    /// The functions of worker.py. They take bytes and return JSON.
    struct Tables {
        fn summary(csv: Bytes) -> Summary as bytes;
        fn revenue(csv: Bytes) -> Table as bytes;
    }
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let config = PoolConfig::new(WORKER).python(venv::python("pandas")).workers(2);
    let tables: Tables = Pool::start_typed(config).await?;
    let csv = Bytes::from(std::fs::read(ORDERS)?);

    // Both calls run at the same time in two processes, and share the bytes.
    let begun = Instant::now();
    let (summary, revenue) = futures::try_join!(tables.summary(csv.clone()), tables.revenue(csv.clone()))?;
    println!("{} bytes of CSV, twice; {:.0?}\n", csv.len(), begun.elapsed());

    println!("summary(csv): {} rows", summary.rows);
    let keys = ["mean", "std", "min", "50%", "max"];
    println!("    {:12} {:8} {}", "column", "type", keys.map(|key| format!("{key:>9}")).concat());
    for (name, dtype) in &summary.columns {
        let figure = |key| *summary.spread.get(name)?.get(key)?;
        let figures = keys.map(|key| figure(key).map_or_else(String::new, |value| format!("{value:9.2}")));
        println!("{}", format!("    {name:12} {dtype:8} {}", figures.concat()).trim_end());
    }

    println!("\nrevenue(csv)");
    println!(
        "    {:12}{}",
        "region",
        revenue.columns.iter().map(|it| format!("{it:>12}")).collect::<String>()
    );
    for (region, row) in revenue.index.iter().zip(&revenue.data) {
        println!("    {region:12}{}", row.iter().map(|it| format!("{it:12.2}")).collect::<String>());
    }
    assert_eq!(summary.rows, csv.iter().filter(|&&byte| byte == b'\n').count() - 1, "every row was read");

    println!();
    for wrong in ["", "date,region\n2024-01-01,north\n1,2,3\n", "order,region\n1,north\n"] {
        match tables.revenue(Bytes::from(wrong)).await {
            Ok(table) => println!("revenue({wrong:?}): {} regions", table.index.len()),
            Err(CallError::Exception { type_name, message, .. }) => {
                println!("revenue({wrong:?}) raised {type_name}: {}", message.trim_end());
            }
            Err(error) => return Err(error.into()),
        }
    }
    tables.as_ref().shutdown().await;
    Ok(())
}
