//! A web service with two pools, each with its own worker file, Python environment and size.
//! Without `--serve` it sends itself a few requests and exits.
//!
//!     cargo run --release --features http --example web_service -- --serve
//!     curl http://127.0.0.1:8080/revenue --data-binary @examples/real_input/orders.csv
//!     curl http://127.0.0.1:8080/digits/functions

#[path = "../support/ask.rs"]
mod ask;
#[path = "../support/venv.rs"]
mod venv;

use std::time::Duration;

use actix_pyproc::{Call, CallError, Pool, PoolConfig, PoolStatus, http};
use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{App, HttpResponse, HttpServer};
use ask::ask;
use serde_json::json;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// The size limit for CSV files, in bytes.
const MAX_CSV: usize = 8 << 20;

/// The image of a zero.
const IMAGE: &str = "[0,0,5,13,9,1,0,0, 0,0,13,15,10,15,5,0, 0,3,15,2,0,11,8,0, 0,4,12,0,0,8,8,0, \
    0,5,8,0,0,9,8,0, 0,4,11,0,1,12,7,0, 0,2,14,5,10,12,0,0, 0,0,6,13,10,0,0,0]";

struct Pools {
    digits: Pool,
    tables: Pool,
}

/// The body is a CSV file; the response is its revenue by region and quarter.
async fn revenue(pools: Data<Pools>, csv: Bytes) -> Result<HttpResponse, CallError> {
    let call = Call::bytes("revenue", csv).timeout(Duration::from_secs(5));
    match pools.tables.request(call).await {
        Ok(reply) => Ok(HttpResponse::Ok().content_type("application/json").body(reply.bytes())),
        // The client has to fix a file that pandas rejects.
        Err(CallError::Exception { type_name, message, .. }) => {
            Ok(HttpResponse::UnprocessableEntity().json(json!({"error": type_name, "message": message})))
        }
        Err(error) => Err(error),
    }
}

async fn status(pools: Data<Pools>) -> HttpResponse {
    let (digits, tables) = futures::join!(pools.digits.status(), pools.tables.status());
    let row = |it: PoolStatus| json!({"serving": it.serving, "ok": it.calls.ok, "errors": it.calls.errors});
    HttpResponse::Ok().json(json!({"digits": row(digits), "tables": row(tables)}))
}

#[actix::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let stay = std::env::args().any(|arg| arg == "--serve");
    let worker = |name| PoolConfig::new(format!("{EXAMPLES}/{name}/worker.py")).python(venv::python(name));
    // Many small calls on one pool; few large calls on the other, with a short queue.
    let digits = worker("scikit_learn").workers(2).env("OMP_NUM_THREADS", "1");
    let tables = worker("pandas").workers(1).max_queue(8);
    let (digits, tables) = futures::try_join!(Pool::start(digits), Pool::start(tables))?;

    // The gateway serves every function of a worker; `/revenue` has its own handler to return other
    // responses.
    let routes = http::routes(digits.clone());
    let pools = Data::new(Pools { digits, tables });
    let data = pools.clone();
    let app = move || {
        App::new()
            .app_data(data.clone())
            .app_data(PayloadConfig::new(MAX_CSV))
            .route("/revenue", web::post().to(revenue))
            .route("/status", web::get().to(status))
            .service(web::scope("/digits").configure(routes.clone()))
    };
    let server = HttpServer::new(app).workers(2).h1_allow_half_closed(false);
    let server = server.bind(("127.0.0.1", if stay { 8080 } else { 0 }))?;
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    println!("listening on http://{address}");
    if !stay {
        let orders = std::fs::read_to_string(format!("{EXAMPLES}/real_input/orders.csv"))?;
        let digit = ask(address, "POST /digits/call/predict", "application/json", IMAGE, 200).await?;
        assert_eq!(digit, "0", "the image shows a zero");
        ask(address, "POST /digits/call/predict", "application/json", "[1, 2]", 500).await?;
        ask(address, "GET /digits/ready", "", "", 200).await?;
        ask(address, "POST /revenue", "text/csv", &orders, 200).await?;
        ask(address, "POST /revenue", "text/csv", "region\nnorth\n", 422).await?;
        ask(address, "GET /status", "", "", 200).await?;
        handle.stop(true).await;
    }
    // The server stops on SIGINT or SIGTERM; after that, no request needs the pools.
    serving.await??;
    futures::join!(pools.digits.shutdown(), pools.tables.shutdown());
    Ok(())
}
