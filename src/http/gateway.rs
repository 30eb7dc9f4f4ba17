//! The handlers of one pool and their options. The main structure is [`Gateway`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use tokio::sync::Notify;

use super::monitor::Feed;
use super::{call, control, dashboard, health, openapi};
use crate::Pool;

/// Mounts a pool's handlers with the default options: `App::new().configure(routes(pool))`, in every worker thread.
///
/// A call is interrupted when its client goes away. actix-web sees that for sure only with
/// `HttpServer::h1_allow_half_closed(false)`; otherwise a client that closes its side is taken to still wait for the answer.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use actix_pyproc::{Pool, PoolConfig};
/// use actix_web::{App, HttpServer};
///
/// let pool = Pool::start(PoolConfig::new("worker.py")).await?;
/// let routes = actix_pyproc::http::routes(pool.clone());
/// HttpServer::new(move || App::new().configure(routes.clone()))
///     .h1_allow_half_closed(false)
///     .bind("127.0.0.1:8000")?
///     .run()
///     .await?;
/// pool.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub fn routes(pool: Pool) -> impl FnOnce(&mut ServiceConfig) + Clone {
    Gateway::new(pool).routes()
}

/// A pool's HTTP handlers, with their options. Clones are the same gateway.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let pool = actix_pyproc::Pool::start(actix_pyproc::PoolConfig::new("worker.py")).await?;
/// use actix_pyproc::http::Gateway;
/// use actix_web::{web, App, HttpServer};
///
/// let gateway = Gateway::new(pool).body_limit(1 << 20).tracebacks(true);
/// let routes = gateway.routes();
/// let server = HttpServer::new(move || App::new().service(web::scope("/python").configure(routes.clone())));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gateway {
    pool: Pool,
    body_limit: usize,
    tracebacks: bool,
    control: Option<Arc<str>>,
    shared: Arc<Shared>,
}

/// What all clones of a gateway have in common.
#[derive(Debug, Default)]
struct Shared {
    draining: AtomicBool,
    drain_asked: Notify,
    watched: AtomicBool,
    feed: Feed,
}

impl Gateway {
    /// A gateway to a pool, with the default options.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        let body_limit = pool.config().max_frame;
        Self { pool, body_limit, tracebacks: false, control: None, shared: Arc::default() }
    }

    /// Refuses longer request bodies with 413. Default: the pool's `max_frame`, which is the most that can be set.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes.min(self.pool.config().max_frame);
        self
    }

    /// Tells clients the Python traceback of an exception, and the last lines of standard error of a worker that was lost.
    /// Default: `false`, because both tell of the code.
    #[must_use]
    pub fn tracebacks(mut self, tell: bool) -> Self {
        self.tracebacks = tell;
        self
    }

    /// Lets who knows this token replace workers, reload and drain from the live page. Default: none, and nobody can.
    #[must_use]
    pub fn control(mut self, token: impl Into<String>) -> Self {
        self.control = Some(token.into().into());
        self
    }

    /// Begins to gather, on the current thread, what the live page shows; [`Gateway::routes`] does it by itself.
    pub fn watch(&self) {
        super::monitor::start(self);
    }

    /// What `App::configure` or `Scope::configure` takes.
    pub fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + Clone {
        let gateway = self.clone();
        move |config| {
            gateway.watch();
            config.app_data(web::Data::new(gateway)).configure(Self::mount);
        }
    }

    /// Takes the gateway out of service: from now on it is not ready, and answers close their connections. The pool goes on.
    pub fn set_draining(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.shared.feed.changed();
    }

    /// Resolves when somebody asks on the live page that the gateway drains and ends.
    pub async fn drain_asked(&self) {
        self.shared.drain_asked.notified().await;
    }

    pub(super) fn ask_to_drain(&self) {
        self.shared.drain_asked.notify_one();
    }

    /// The pool behind it.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) const fn body_limit_bytes(&self) -> usize {
        self.body_limit
    }

    pub(super) const fn tells_tracebacks(&self) -> bool {
        self.tracebacks
    }

    pub(super) fn control_token(&self) -> Option<&str> {
        self.control.as_deref()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.shared.feed
    }

    /// Whether the caller is the first to ask: then it starts the monitor.
    pub(super) fn claim_watch(&self) -> bool {
        !self.shared.watched.swap(true, Ordering::Relaxed)
    }

    /// Mounts the handlers without a gateway, which comes later: as what `App::data_factory` makes. So a pool can be started on
    /// the thread of an `HttpServer` worker, from where a call crosses no thread. Then [`Gateway::watch`] must be called there.
    pub fn mount(config: &mut ServiceConfig) {
        config
            // A plain prefix: to find a name by a pattern costs a twentieth of a call.
            .service(web::scope("/call").default_service(web::to(call::call)))
            .route("/functions", web::get().to(openapi::functions))
            .route("/live", web::get().to(health::live))
            .route("/ready", web::get().to(health::ready))
            .route("/metrics", web::get().to(health::metrics))
            .route("/dashboard", web::get().to(dashboard::page))
            .route("/dashboard/app.js", web::get().to(dashboard::script))
            .route("/dashboard/charts.js", web::get().to(dashboard::charts))
            .route("/dashboard/numbers.js", web::get().to(dashboard::numbers))
            .route("/dashboard/style.css", web::get().to(dashboard::style))
            .route("/dashboard/events", web::get().to(dashboard::events))
            .route("/dashboard/control", web::post().to(control::control));
    }
}
