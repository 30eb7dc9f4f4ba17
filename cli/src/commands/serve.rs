//! `pyproc serve`: an HTTP gateway to a pool. The main item is [`run`].

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

/// How many seconds connections may stay open after the last call has its answer.
const LINGER: u64 = 2;

/// Answer calls over HTTP, with a live page at /dashboard
#[derive(clap::Args)]
#[command(override_usage = "pyproc serve [OPTIONS] WORKER\n       pyproc serve [OPTIONS] -m MODULE")]
pub(crate) struct Args {
    /// The Python file that the workers run
    #[arg(value_name = "WORKER", required_unless_present = "module", conflicts_with = "module")]
    worker: Option<PathBuf>,
    /// The address to listen on; port 0 selects a free port
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8000")]
    listen: String,
    /// The number of threads that read and write HTTP
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    http_threads: u16,
    /// Reload the code when a Python file changes; if new code fails to start, the old workers keep
    /// serving
    #[arg(long)]
    reload: bool,
    /// A directory to watch with --reload, in addition to the directory of the worker (repeatable)
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
        note("warning: serve ignores --codec: the Content-Type of each request selects the codec");
    }
    // Bind before anything starts, so that a port in use is reported at once.
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
    let mut started = None;
    let pool = async {
        let gateway = gateway.await.unwrap_or(Err(StartError::Stopped))?;
        Ok(started.insert(gateway).pool().clone())
    };
    let session = Session::start_with(pool).await?;
    let gateway = started.expect("the session has the pool of this gateway");
    settings.print_addresses(address);
    announce(format!("listening on http://{address}\n"))?;
    let _watch =
        args.reload.then(|| reload::watch(&session.pool, &args.reload_dir, args.pool.log)).transpose()?;
    serve(session, &gateway, &handle).await
}

/// Prints the one line on standard output from a separate thread: a reader that does not read must
/// not prevent signals from stopping the gateway.
fn announce(line: String) -> io::Result<()> {
    let print = move || {
        if let Err(error) = stdout().write_all(line.as_bytes()) {
            note(format_args!("warning: failed to write to standard output: {error}"));
        }
    };
    std::thread::Builder::new().name("stdout".to_owned()).spawn(print).map(drop)
}

/// A server whose first thread starts the pool, and the gateway to that pool.
///
/// The pool runs on the thread that reads and writes HTTP: on two cores this gives a quarter more
/// calls than a separate thread (`docs/gateway.md`).
fn server(
    config: PoolConfig,
    settings: Settings,
    listener: TcpListener,
    threads: u16,
) -> io::Result<(Server, oneshot::Receiver<Result<Gateway, StartError>>)> {
    let (sender, receiver) = oneshot::channel();
    let sender = Arc::new(Mutex::new(Some(sender)));
    let gateway: Arc<OnceCell<Option<Gateway>>> = Arc::default();
    let start = move || {
        let (gateway, config, settings, sender) =
            (gateway.clone(), config.clone(), settings.clone(), sender.clone());
        async move {
            let make = || async move {
                let made = Pool::start(config).await.map(|pool| settings.gateway(pool));
                let gateway = made.as_ref().ok().cloned();
                gateway.iter().for_each(Gateway::watch);
                let sender = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
                // The receiver is gone if the command has ended meanwhile.
                let _ = sender.expect("the cell is filled once").send(made);
                gateway
            };
            gateway.get_or_init(make).await.clone().ok_or("the pool did not start")
        }
    };
    let server = HttpServer::new(move || App::new().data_factory(start.clone()).configure(Gateway::mount))
        .workers(threads.into())
        .disable_signals()
        .shutdown_timeout(LINGER)
        // Detects a client that disconnects while its call runs; the call is then interrupted.
        .h1_allow_half_closed(false)
        .listen(listener)?;
    Ok((server.run(), receiver))
}

/// Serves until a signal comes or the live page asks to drain; then drains. A second signal stops
/// at once.
async fn serve(mut session: Session, gateway: &Gateway, handle: &ServerHandle) -> Result<(), Failure> {
    tokio::select! {
        signal = session.signal() => session.note_draining(signal),
        () = gateway.drain_asked() => note("draining: requested on the live page"),
    }
    gateway.set_draining();
    let pool = session.pool.clone();
    let drain = async {
        pool.shutdown().await;
        // Every call has its answer; the server still has to write some of them.
        handle.stop(true).await;
    };
    tokio::select! {
        () = drain => Ok(()),
        second = session.signal() => {
            // Give the pool's thread the time to kill what still runs.
            pool.shutdown_within(Duration::ZERO).await;
            Err(Failure::Signal(second))
        }
    }
}
