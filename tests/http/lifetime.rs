//! How long a pool lives when a gateway has a handle of it.

use actix_pyproc::http::Gateway;
use actix_web::{App, HttpServer};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::client::{post, send};
use crate::support::{capped, exists, pids, start, until, worker};

/// In 0.1 the task that watches the pool for the live page kept it alive for as long as its thread
/// lived.
#[actix_rt::test]
async fn a_pool_ends_with_the_server_that_its_gateway_was_mounted_in() {
    let pool = start(worker("contract.py").workers(2)).await;
    let workers = pids(&pool).await;
    let routes = Gateway::new(pool).routes();
    let server = HttpServer::new(move || App::new().configure(routes.clone()))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .expect("there is a free port");
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let server = actix_rt::spawn(server);
    // A live page that is open.
    let mut page = send(address, "GET", "/dashboard/events", &[], b"").await;
    let mut chunk = [0; 64];
    capped("the events", page.read_exact(&mut chunk)).await.expect("they arrive");
    let headers = [("Content-Type", "application/json")];
    let answer = post(address, "/call/predict", &headers, json!({"value": 1}).to_string().as_bytes()).await;
    assert_eq!(answer.status, 200, "the routes are a handle of the pool");

    handle.stop(false).await;
    capped("the server", server).await.expect("the task runs").expect("it succeeds");
    until("the workers have ended", || !workers.iter().any(|pid| exists(*pid))).await;
}

#[actix_rt::test]
async fn a_pool_ends_with_the_last_clone_of_a_gateway_that_watches_it() {
    let pool = start(worker("contract.py")).await;
    let workers = pids(&pool).await;
    let gateway = Gateway::new(pool);
    gateway.watch();
    let clone = gateway.clone();
    drop(gateway);
    assert_eq!(pids(clone.pool()).await, workers, "a clone is a handle");
    drop(clone);
    until("the workers have ended", || !workers.iter().any(|pid| exists(*pid))).await;
}
