//! A web application that embeds the pool. Without `--serve` it sends itself a few requests and
//! exits.
//!
//!     cargo run --release --features http --example actix_web -- --serve
//!     curl http://127.0.0.1:8080/words -d '{"text": "to be or not to be"}'

#[path = "../support/ask.rs"]
mod ask;

use actix_pyproc::{Call, CallError, Pool, PoolConfig};
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer};
use ask::ask;

const WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/actix_web/worker.py");

/// The body of the request is the argument, and the result is the body of the response. The
/// response to a failed call is that of the gateway, without its traceback.
async fn words(pool: Data<Pool>, body: Bytes) -> Result<HttpResponse, CallError> {
    let reply = pool.request(Call::raw_json("words", body)).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(reply.bytes()))
}

async fn pool_status(pool: Data<Pool>) -> HttpResponse {
    HttpResponse::Ok().json(pool.status().await)
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let stay = std::env::args().any(|arg| arg == "--serve");
    let pool = Pool::start(PoolConfig::new(WORKER).workers(2)).await?;
    let data = Data::new(pool.clone());
    // All threads of the server share one pool.
    let app = move || {
        App::new()
            .app_data(data.clone())
            .route("/words", web::post().to(words))
            .route("/status", web::get().to(pool_status))
    };
    let server = HttpServer::new(app).workers(2).bind(("127.0.0.1", if stay { 8080 } else { 0 }))?;
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    println!("listening on http://{address}");
    if !stay {
        ask(address, "POST /words", "application/json", r#"{"text": "To be, or not to be", "most": 2}"#, 200)
            .await?;
        ask(address, "POST /words", "application/json", r#"{"text": 5}"#, 500).await?;
        ask(address, "POST /words", "application/json", "no JSON", 400).await?;
        ask(address, "GET /status", "", "", 200).await?;
        handle.stop(true).await;
    }
    // The server stops on SIGINT or SIGTERM; after that, no request needs the pool.
    serving.await??;
    pool.shutdown().await;
    Ok(())
}
