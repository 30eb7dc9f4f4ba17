//! `pyproc serve`: an HTTP gateway to a pool.

mod gateway;
mod reload;

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_pyproc::http::Gateway;
use actix_pyproc::{Codec, Pool, PoolConfig, StartError};
use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpServer};
use tokio::sync::{OnceCell, oneshot};

use self::gateway::{GatewayOptions, Settings};
use crate::console::{note, stdout};
use crate::failure::Failure;
use crate::options::PoolOptions;
use crate::session::Session;

/// How long, in seconds, connections may stay open once the last call has its answer.
const LINGER: u64 = 2;

/// Answer calls over HTTP, with a live page at /dashboard
#[derive(clap::Args)]
#[command(override_usage = "pyproc serve [OPTIONS] WORKER\n       pyproc serve [OPTIONS] -m MODULE")]
pub(crate) struct Args {
    /// The Python file that the workers run
    #[arg(value_name = "WORKER", required_unless_present = "module", conflicts_with = "module")]
    worker: Option<PathBuf>,
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8000")]
    listen: String,
    /// How many threads read and write HTTP
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    http_threads: u16,
    /// Read the code anew when a Python file changes; code that does not start is told and not used
    #[arg(long)]
    reload: bool,
    /// Another directory to watch with --reload, beside the worker's own; may be repeated
    #[arg(long, value_name = "DIR", requires = "reload")]
    reload_dir: Vec<PathBuf>,
    #[command(flatten)]
    gateway: GatewayOptions,
    #[command(flatten)]
    pub(crate) pool: PoolOptions,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let config = args.pool.config(args.worker.as_deref(), PoolConfig::default())?;
    if args.pool.codec != Codec::Json {
        note("--codec changes nothing here: the Content-Type of each request says how it is encoded");
    }
    // Bound before anything is started, for a port that is taken is found at once.
    let listener = TcpListener::bind(&args.listen).map_err(|error| {
        io::Error::new(error.kind(), format!("failed to listen on {}: {error}", args.listen))
    })?;
    let address = listener.local_addr()?;
    let settings = args.gateway.settings(|name| std::env::var(name).ok())?;
    if let Some(warning) = settings.warning(address) {
        note(warning);
    }
    let (server, gateway) = server(config, settings.clone(), listener, args.http_threads)?;
    let handle = server.handle();
    actix_rt::spawn(server);
    let mut made = None;
    let started = async {
        let gateway = gateway.await.unwrap_or(Err(StartError::Stopped))?;
        Ok(made.insert(gateway).pool().clone())
    };
    let session = Session::start_with(started).await?;
    let gateway = made.expect("a session has started with it");
    settings.tell(address);
    announce(format!("listening on http://{address}\n"))?;
    let _watch =
        args.reload.then(|| reload::watch(&session.pool, &args.reload_dir, args.pool.log)).transpose()?;
    serve(session, &gateway, &handle).await
}

/// Prints the one line on standard output, from a thread of its own: a reader that does not read
/// must not keep signals from ending the gateway.
fn announce(line: String) -> io::Result<()> {
    let print = move || {
        if let Err(error) = stdout().write_all(line.as_bytes()) {
            note(format_args!("warning: failed to write to standard output: {error}"));
        }
    };
    std::thread::Builder::new().name("stdout".to_owned()).spawn(print).map(drop)
}

/// A server whose first thread starts the pool, and the gateway to it.
///
/// The pool lives on the thread that reads and writes HTTP: on two cores that is a quarter more
/// calls than on one of its own (`docs/gateway.md`).
fn server(
    config: PoolConfig,
    settings: Settings,
    listener: TcpListener,
    threads: u16,
) -> io::Result<(Server, oneshot::Receiver<Result<Gateway, StartError>>)> {
    let (tell, told) = oneshot::channel();
    let tell = Arc::new(Mutex::new(Some(tell)));
    let gateway: Arc<OnceCell<Option<Gateway>>> = Arc::default();
    let start = move || {
        let (gateway, config, settings, tell) =
            (gateway.clone(), config.clone(), settings.clone(), tell.clone());
        async move {
            let make = || async move {
                let made = Pool::start(config).await.map(|pool| settings.gateway(pool));
                let gateway = made.as_ref().ok().cloned();
                gateway.iter().for_each(Gateway::watch);
                let tell = tell.lock().unwrap_or_else(PoisonError::into_inner).take();
                // A command that has ended meanwhile does not listen.
                let _ = tell.expect("the cell is filled once").send(made);
                gateway
            };
            gateway.get_or_init(make).await.clone().ok_or("the pool did not start")
        }
    };
    let server = HttpServer::new(move || App::new().data_factory(start.clone()).configure(Gateway::mount))
        .workers(threads.into())
        .disable_signals()
        .shutdown_timeout(LINGER)
        // So that a client that goes away is seen while its call runs, and the call is interrupted.
        .h1_allow_half_closed(false)
        .listen(listener)?;
    Ok((server.run(), told))
}

/// Serves until a signal comes or somebody asks for it on the live page; then drains. A second
/// signal ends it at once.
async fn serve(mut session: Session, gateway: &Gateway, handle: &ServerHandle) -> Result<(), Failure> {
    let limit = session.pool.config().drain_timeout;
    tokio::select! {
        signal = session.signal() => note(format_args!(
            "{signal}: waiting up to {limit:?} for what runs; a second signal stops it at once"
        )),
        () = gateway.drain_asked() => note("draining, as asked on the live page"),
    }
    gateway.set_draining();
    let pool = session.pool.clone();
    let drain = async {
        pool.shutdown().await;
        // Every call has its answer; what is left to do is to write them.
        handle.stop(true).await;
    };
    tokio::select! {
        () = drain => Ok(()),
        second = session.signal() => {
            // The pool's thread must have the time to kill what still runs.
            pool.shutdown_within(Duration::ZERO).await;
            Err(Failure::Signal(second))
        }
    }
}
