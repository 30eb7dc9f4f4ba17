//! The handlers of one pool and their options. The main structure is [`Gateway`].

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, guard};
use tokio::sync::Notify;

use super::admission::Open;
use super::body::Bounds;
use super::host::Hosts;
use super::monitor::Feed;
use super::origin::Origins;
use super::problem::Problem;
use super::secret::Secret;
use super::{call, control, dashboard, health, openapi};
use crate::Pool;

/// How many bytes of bodies may be in part in memory, if nothing else is said and bodies are not
/// longer.
const BODIES_LIMIT: usize = 256 << 20;

/// Mounts a pool's handlers with the default options: `App::new().configure(routes(pool))`, in
/// every worker thread.
///
/// A call is interrupted when its client goes away. actix-web sees that for sure only with
/// `HttpServer::h1_allow_half_closed(false)`; otherwise a client that closes its side is taken to
/// still wait for the answer.
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

/// A pool's HTTP handlers, with their options. Clones are the same gateway; one whose options are
/// changed is another.
///
/// It is a handle of the pool, and so are the routes that it makes: the pool lives at least as long
/// as the server that they are mounted in. The task that watches the pool for the live page is not
/// one.
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
    shared: Arc<Shared>,
}

/// What all clones of a gateway have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pool: Pool,
    options: Options,
    draining: AtomicBool,
    drain_asked: Notify,
    watched: AtomicBool,
    feed: Feed,
    /// The bytes of the bodies that have come in part.
    bodies: AtomicUsize,
}

#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) tracebacks: bool,
    pub(super) dashboard: bool,
    pub(super) token: Option<Secret>,
    pub(super) control: Option<Secret>,
    pub(super) hosts: Hosts,
    pub(super) origins: Origins,
    pub(super) min_timeout: Duration,
    body_limit: usize,
    body_timeout: Duration,
    bodies_limit: Option<usize>,
}

impl Options {
    pub(super) fn bounds(&self) -> Bounds {
        let all = self.bodies_limit.unwrap_or(BODIES_LIMIT.max(self.body_limit.saturating_mul(4)));
        // A body that is within its own limit can come when no other does.
        Bounds { one: self.body_limit, all: all.max(self.body_limit), time: self.body_timeout }
    }

    /// Whether a request may call, and read what the gateway has to say.
    pub(super) fn may_read(&self, headers: &HeaderMap) -> bool {
        match &self.token {
            None => true,
            Some(token) => {
                token.is_in(headers) || self.control.as_ref().is_some_and(|control| control.is_in(headers))
            }
        }
    }
}

impl Shared {
    fn new(pool: Pool, options: Options) -> Self {
        Self {
            pool,
            options,
            draining: AtomicBool::default(),
            drain_asked: Notify::default(),
            watched: AtomicBool::default(),
            feed: Feed::default(),
            bodies: AtomicUsize::default(),
        }
    }
}

impl Gateway {
    /// A gateway to a pool, with the default options.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        let options = Options {
            tracebacks: false,
            dashboard: true,
            token: None,
            control: None,
            hosts: Hosts::default(),
            origins: Origins::default(),
            min_timeout: Duration::from_millis(100),
            body_limit: pool.config().max_frame,
            body_timeout: Duration::from_secs(30),
            bodies_limit: None,
        };
        Self { shared: Arc::new(Shared::new(pool, options)) }
    }

    /// Refuses longer request bodies with 413. Default: the pool's `max_frame`, which is the most
    /// that can be set.
    #[must_use]
    pub fn body_limit(self, bytes: usize) -> Self {
        let most = self.pool().config().max_frame;
        self.with(|options| options.body_limit = bytes.min(most))
    }

    /// Refuses with 408 a request whose body does not come as a whole in this time. Default: 30 s.
    #[must_use]
    pub fn body_timeout(self, timeout: Duration) -> Self {
        self.with(|options| options.body_timeout = timeout)
    }

    /// Refuses bodies with 503 while those that have come in part hold more bytes than this, over
    /// all connections. Default: 256 MiB, or four times the limit of one body if that is more; at
    /// least the limit of one body.
    #[must_use]
    pub fn bodies_limit(self, bytes: usize) -> Self {
        self.with(|options| options.bodies_limit = Some(bytes))
    }

    /// Raises shorter deadlines that clients ask for to this. Default: 100 ms.
    ///
    /// A call that does not end at its deadline is interrupted, and a function that cannot be
    /// interrupted costs its worker. So a client that asks for very short deadlines takes workers
    /// from the others.
    #[must_use]
    pub fn min_timeout(self, floor: Duration) -> Self {
        self.with(|options| options.min_timeout = floor)
    }

    /// Tells clients the Python traceback of an exception, and the last lines of standard error and
    /// the stacks of a worker that was lost, in answers and on the live page. Default: `false`,
    /// because they tell of the code and of its data.
    #[must_use]
    pub fn tracebacks(self, tell: bool) -> Self {
        self.with(|options| options.tracebacks = tell)
    }

    /// Whether there is a live page, with its events and its control. Default: `true`.
    #[must_use]
    pub fn dashboard(self, on: bool) -> Self {
        self.with(|options| options.dashboard = on)
    }

    /// Asks for this token, as `Authorization: Bearer TOKEN`, in calls, and in all requests that
    /// read more than whether the gateway is live and ready. Default: none, and everybody who
    /// reaches the gateway may call.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        self.with(|options| options.token = Some(Secret::new(token.into())))
    }

    /// Lets who knows this token replace workers, reload and drain from the live page. It opens
    /// what [`Gateway::token`] opens too.
    /// Default: none, and nobody can.
    #[must_use]
    pub fn control(self, token: impl Into<String>) -> Self {
        self.with(|options| options.control = Some(Secret::new(token.into())))
    }

    /// Answers to this name in the `Host` header, with any port. Repeat it for more names.
    ///
    /// A server on a loopback address answers to `localhost`, the loopback addresses and these
    /// names. One on another address answers to every host until a name is given; from then on to
    /// these names, `localhost` and all addresses.
    #[must_use]
    pub fn allow_host(self, name: &str) -> Self {
        self.with(|options| options.hosts.allow(name))
    }

    /// Lets pages of this origin, such as `https://app.example`, send requests. Repeat it for more
    /// origins. Pages of other origins than the gateway's own are refused with 403.
    ///
    /// It does not make a browser show the answer to the page; that needs CORS headers, as of the
    /// crate `actix-cors`.
    #[must_use]
    pub fn allow_origin(self, origin: &str) -> Self {
        self.with(|options| options.origins.allow(origin))
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        match Arc::get_mut(&mut self.shared) {
            Some(shared) => change(&mut shared.options),
            None => {
                // Clones, and the routes that were made before, keep their options.
                let mut options = self.shared.options.clone();
                change(&mut options);
                self.shared = Arc::new(Shared::new(self.shared.pool.clone(), options));
            }
        }
        self
    }

    /// Begins to gather, on the current thread, what the live page shows; [`Gateway::routes`] does
    /// it by itself. It ends with the last clone of the gateway.
    pub fn watch(&self) {
        if self.shared.options.dashboard && !self.shared.watched.swap(true, Ordering::Relaxed) {
            super::monitor::start(self);
        }
    }

    /// What `App::configure` or `Scope::configure` takes.
    pub fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + Clone + use<> {
        let gateway = self.clone();
        move |config| {
            gateway.watch();
            config.app_data(web::Data::new(gateway)).configure(Self::mount);
        }
    }

    /// Takes the gateway out of service: from now on it is not ready, and answers close their
    /// connections. The pool goes on.
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
        &self.shared.pool
    }

    pub(super) fn options(&self) -> &Options {
        &self.shared.options
    }

    pub(super) fn bodies(&self) -> &AtomicUsize {
        &self.shared.bodies
    }

    pub(super) fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.shared.feed
    }

    pub(super) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.shared)
    }

    pub(super) fn upgrade(shared: &Weak<Shared>) -> Option<Self> {
        Some(Self { shared: shared.upgrade()? })
    }

    /// Mounts the handlers without a gateway, which comes later: as what `App::data_factory` makes.
    /// So a pool can be started on the thread of an `HttpServer` worker, from where a call crosses
    /// no thread. Then [`Gateway::watch`] must be called there.
    pub fn mount(config: &mut ServiceConfig) {
        config
            // A plain prefix: to find a name by a pattern costs a twentieth of a call.
            .service(web::scope("/call").default_service(web::to(call::call)))
            .service(get("/functions", openapi::functions))
            .service(get("/live", health::live))
            .service(get("/ready", health::ready))
            .service(get("/metrics", health::metrics))
            .service(get("/dashboard", dashboard::page))
            .service(get("/dashboard/app.js", dashboard::script))
            .service(get("/dashboard/charts.js", dashboard::charts))
            .service(get("/dashboard/numbers.js", dashboard::numbers))
            .service(get("/dashboard/style.css", dashboard::style))
            .service(get("/dashboard/events", dashboard::events))
            .service(web::resource("/dashboard/control").route(web::to(control::control)));
    }
}

/// Something to read: `GET`, and `HEAD`, whose answer goes without its body. Other methods are 405.
fn get<H, A>(path: &str, handler: H) -> Resource
where
    H: Handler<A>,
    A: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    let reads = guard::Any(guard::Get()).or(guard::Head());
    web::resource(path).route(web::route().guard(reads).to(handler)).default_service(web::to(only_get))
}

async fn only_get(_: Open, request: HttpRequest) -> HttpResponse {
    Problem::method_not_allowed(request.method(), "GET, HEAD").into_response()
}
