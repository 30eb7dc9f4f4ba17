//! Computes the revenue of 5,000 orders in a CSV file with Python's csv, sqlite3 and statistics in
//! four processes.
//!
//!     cargo run --release --example real_input

use std::collections::BTreeMap;
use std::time::Instant;

use actix_pyproc::{Call, Pool, PoolConfig};
use futures::future::try_join_all;
use serde::Deserialize;
use serde_json::json;

const WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/real_input/worker.py");
const ORDERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/real_input/orders.csv");

/// The number of rows in one call.
const PIECE: usize = 500;

/// A row of `totals`: region, product, orders, units, cents.
type Total = (String, String, u64, u64, u64);

/// What `spread` returns, in cents.
#[derive(Deserialize)]
struct Spread {
    median: f64,
    p95: f64,
    largest: f64,
}

#[derive(Default)]
struct Sum {
    orders: u64,
    units: u64,
    cents: u64,
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let file = std::fs::read_to_string(ORDERS)?;
    let (header, rows) = file.split_once('\n').ok_or("the file has no header")?;
    let rows: Vec<&str> = rows.lines().collect();

    let pool = Pool::start(PoolConfig::new(WORKER).workers(4)).await?;
    let begun = Instant::now();

    // Each piece is sent as raw bytes, with the header that csv.DictReader needs.
    let pieces = rows.chunks(PIECE).map(|piece| {
        let data = format!("{header}\n{}\n", piece.join("\n"));
        pool.request(Call::bytes("totals", data))
    });
    let replies = try_join_all(pieces).await?;
    let mut served = BTreeMap::<u32, u32>::new();
    let mut regions = BTreeMap::<String, Sum>::new();
    let mut products = BTreeMap::<String, Sum>::new();
    for reply in &replies {
        *served.entry(reply.served_by().0).or_default() += 1;
        for (region, product, orders, units, cents) in reply.json::<Vec<Total>>()? {
            regions.entry(region).or_default().add(orders, units, cents);
            products.entry(product).or_default().add(orders, units, cents);
        }
    }
    let spread = async |region| pool.call("spread", &json!({"path": ORDERS, "region": region})).await;
    let spreads = regions.keys().map(spread);
    let spreads: Vec<Spread> = try_join_all(spreads).await?;
    let took = begun.elapsed();

    println!("{} calls of totals(), {PIECE} rows each, went to the workers {served:?}", replies.len());
    println!("{} calls of spread(), one for each region; all took {took:.0?}\n", spreads.len());
    println!(
        "{:8} {:>7} {:>7} {:>12} {:>9} {:>9} {:>9}",
        "region", "orders", "units", "revenue", "median", "p95", "largest"
    );
    for ((region, sum), Spread { median, p95, largest }) in regions.iter().zip(&spreads) {
        let [median, p95, largest] = [median, p95, largest].map(|cents| cents / 100.0);
        println!("{region:8} {sum} {median:9.2} {p95:9.2} {largest:9.2}");
    }
    println!("\n{:8} {:>7} {:>7} {:>12}", "product", "orders", "units", "revenue");
    for (product, sum) in &products {
        println!("{product:8} {sum}");
    }
    let counted: u64 = regions.values().map(|sum| sum.orders).sum();
    assert_eq!(counted, rows.len() as u64, "every row was counted once");
    pool.shutdown().await;
    Ok(())
}

impl Sum {
    fn add(&mut self, orders: u64, units: u64, cents: u64) {
        self.orders += orders;
        self.units += units;
        self.cents += cents;
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:7} {:7} {:12.2}", self.orders, self.units, self.cents as f64 / 100.0)
    }
}
