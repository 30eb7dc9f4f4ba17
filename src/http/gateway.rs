//! A pool behind HTTP, with its options. The main structure is [`Gateway`].

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use tokio::sync::Notify;

use super::body::Bounds;
use super::feed::Feed;
use super::host::Hosts;
use super::origin::Origins;
use super::secret::Secret;
use crate::pool::Pool;

/// How many bytes half-received bodies may hold by default, unless a single body may be longer.
const BODIES_LIMIT: usize = 256 << 20;

/// A pool's HTTP handlers, with their options. Clones are the same gateway; one whose options are
/// changed is another.
///
/// It is a handle of the pool, and so are the routes that it makes: the pool lives at least as long
/// as the server that they are mounted in. The task that watches the pool for the live page is not
/// a handle.
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

/// What all clones of a gateway share.
#[derive(Debug)]
pub(super) struct Shared {
    pool: Pool,
    options: Options,
    draining: AtomicBool,
    drain_requested: Notify,
    watched: AtomicBool,
    feed: Feed,
    /// How many bytes half-received bodies hold.
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
    pub(super) access_log: bool,
    /// Other pools whose metrics are shown too.
    measured: Vec<Pool>,
    body_limit: usize,
    body_timeout: Duration,
    bodies_limit: Option<usize>,
}

impl Options {
    pub(super) fn bounds(&self) -> Bounds {
        let all = self.bodies_limit.unwrap_or(BODIES_LIMIT.max(self.body_limit.saturating_mul(4)));
        // A body within its own limit is accepted when no other body is being received.
        Bounds { one: self.body_limit, all: all.max(self.body_limit), time: self.body_timeout }
    }

    /// Whether a request may call functions and read what needs the token.
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
            drain_requested: Notify::default(),
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
            access_log: false,
            measured: Vec::new(),
            body_limit: pool.config().max_frame,
            body_timeout: Duration::from_secs(30),
            bodies_limit: None,
        };
        Self { shared: Arc::new(Shared::new(pool, options)) }
    }

    /// Refuses longer request bodies with 413. Default: the pool's `max_frame`, which is also the
    /// maximum.
    #[must_use]
    pub fn body_limit(self, bytes: usize) -> Self {
        let most = self.pool().config().max_frame;
        self.with(|options| options.body_limit = bytes.min(most))
    }

    /// Refuses a request with 408 if its body is not complete within this time. Default: 30 s.
    #[must_use]
    pub fn body_timeout(self, timeout: Duration) -> Self {
        self.with(|options| options.body_timeout = timeout)
    }

    /// Refuses bodies with 503 while half-received bodies hold more bytes than this, over all
    /// connections. Default: 256 MiB, or four times the limit of one body if that is more. The
    /// minimum is the limit of one body.
    #[must_use]
    pub fn bodies_limit(self, bytes: usize) -> Self {
        self.with(|options| options.bodies_limit = Some(bytes))
    }

    /// Raises shorter deadlines that clients ask for to this. Default: 100 ms.
    ///
    /// A call that passes its deadline is interrupted, and a function that cannot be interrupted
    /// costs its worker. So a client that asks for very short deadlines can take the workers away
    /// from other clients.
    #[must_use]
    pub fn min_timeout(self, floor: Duration) -> Self {
        self.with(|options| options.min_timeout = floor)
    }

    /// Shows Python tracebacks, and the last lines of standard error and the stacks of workers that
    /// were lost, in answers and on the live page. Default: `false`, because they reveal code and
    /// data.
    #[must_use]
    pub fn tracebacks(self, show: bool) -> Self {
        self.with(|options| options.tracebacks = show)
    }

    /// Serves the live page with its events and its control. Default: `true`.
    #[must_use]
    pub fn dashboard(self, on: bool) -> Self {
        self.with(|options| options.dashboard = on)
    }

    /// Requires this token, as `Authorization: Bearer TOKEN`, for calls and for everything that can
    /// be read except whether the gateway is live and ready. Default: none; everybody who can reach
    /// the gateway may call.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        self.with(|options| options.token = Some(Secret::new(token.into())))
    }

    /// Lets those who have this token replace workers, reload and drain from the live page. It also
    /// works wherever [`Gateway::token`] does. Default: none, and control is off.
    #[must_use]
    pub fn control(self, token: impl Into<String>) -> Self {
        self.with(|options| options.control = Some(Secret::new(token.into())))
    }

    /// Answers requests with this name in the `Host` header, with any port. Repeat it for more
    /// names.
    ///
    /// A server on a loopback address answers to `localhost`, to loopback addresses and to these
    /// names. A server on another address answers to every host, or, once a name is given, to these
    /// names, `localhost` and all addresses.
    #[must_use]
    pub fn allow_host(self, name: &str) -> Self {
        self.with(|options| options.hosts.allow(name))
    }

    /// Lets pages of this origin, such as `https://app.example`, send requests. Repeat it for more
    /// origins. Pages of other origins than the gateway's own are refused with 403.
    ///
    /// For the page to read the answer, the browser also needs CORS headers, such as those of the
    /// crate `actix-cors`.
    #[must_use]
    pub fn allow_origin(self, origin: &str) -> Self {
        self.with(|options| options.origins.allow(origin))
    }

    /// Logs each request: a `tracing` event with the target `pyproc::access` at level `info`, with
    /// the fields that `docs/gateway.md` lists. Default: `false`.
    ///
    /// Each request then has an id: that of the header `X-Request-Id`, or a generated one. It is in
    /// the answer and in the metadata of the call, `current_call().metadata["x-request-id"]`.
    /// Without the log, a call has it in its metadata only if the client sent the header, because
    /// metadata have to be encoded and decoded.
    #[must_use]
    pub fn access_log(self, on: bool) -> Self {
        self.with(|options| options.access_log = on)
    }

    /// Adds the metrics of another pool to `/metrics`, so that one scrape has those of all pools of
    /// a program. The label `pool` is the name of each pool, `PoolConfig::name`. Repeat it for more
    /// pools.
    ///
    /// The gateway then is a handle of that pool too.
    #[must_use]
    pub fn also_measure(self, pool: Pool) -> Self {
        self.with(|options| options.measured.push(pool))
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

    /// Takes the gateway out of service: from now on it is not ready, and answers close their
    /// connections. The pool keeps running.
    pub fn set_draining(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.shared.feed.changed();
    }

    /// Resolves when somebody requests on the live page that the gateway drains and stops.
    pub async fn drain_asked(&self) {
        self.shared.drain_requested.notified().await;
    }

    pub(super) fn request_drain(&self) {
        self.shared.drain_requested.notify_one();
    }

    /// The pool behind the gateway.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.shared.pool
    }

    /// The pools of [`Gateway::also_measure`].
    pub(super) fn measured(&self) -> &[Pool] {
        &self.options().measured
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

    /// Returns `true` to the first caller.
    pub(super) fn begin_to_watch(&self) -> bool {
        !self.shared.watched.swap(true, Ordering::Relaxed)
    }

    pub(super) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.shared)
    }

    pub(super) fn upgrade(shared: &Weak<Shared>) -> Option<Self> {
        Some(Self { shared: shared.upgrade()? })
    }
}
