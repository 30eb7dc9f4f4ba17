//! The paths of the gateway and their handlers. The main item is [`routes`].

use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, guard};

use super::access_log;
use super::admission::Open;
use super::gateway::Gateway;
use super::problem::Problem;
use super::{call, control, dashboard, docs, metrics, openapi, probes};
use crate::pool::Pool;

/// Mounts a pool's handlers with the default options: `App::new().configure(routes(pool))`, in
/// every worker thread.
///
/// A call is interrupted when its client disconnects. actix-web notices every disconnect only with
/// `HttpServer::h1_allow_half_closed(false)`; otherwise it assumes that a client that closed its
/// side of the connection still waits for the answer.
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

impl Gateway {
    /// The handlers of this gateway, for `App::configure` or `Scope::configure`.
    pub fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + Clone + use<> {
        let gateway = self.clone();
        move |config| {
            gateway.watch();
            config.app_data(web::Data::new(gateway)).configure(Self::mount);
        }
    }

    /// Mounts the handlers for a gateway that is added later as application data, for example by
    /// `App::data_factory`. So the pool can run on the thread of an `HttpServer` worker, and calls
    /// from there cross no thread. Call [`Gateway::watch`] on that thread.
    pub fn mount(config: &mut ServiceConfig) {
        config
            // A plain prefix: matching a pattern would cost a twentieth of a call.
            .service(web::scope("/call").default_service(web::to(call::call)))
            .service(get("/", docs::index))
            .service(get("/functions", openapi::functions))
            .service(get("/openapi.json", openapi::functions))
            .service(get("/docs", docs::page))
            .service(get("/docs/app.js", docs::script))
            .service(get("/docs/schemas.js", docs::schemas))
            .service(get("/docs/style.css", docs::style))
            .service(get("/live", probes::live))
            .service(get("/ready", probes::ready))
            .service(get("/metrics", metrics::metrics))
            .service(get("/dashboard", dashboard::page))
            .service(get("/dashboard/app.js", dashboard::script))
            .service(get("/dashboard/charts.js", dashboard::charts))
            .service(get("/dashboard/details.js", dashboard::details))
            .service(get("/dashboard/dom.js", dashboard::dom))
            .service(get("/dashboard/numbers.js", dashboard::numbers))
            .service(get("/dashboard/style.css", dashboard::style))
            .service(get("/dashboard/events", dashboard::events))
            .service(logged(web::resource("/dashboard/control").route(web::to(control::control))));
    }
}

/// A resource that answers `GET` and `HEAD`. Other methods are 405.
fn get<H, A>(path: &str, handler: H) -> impl HttpServiceFactory + use<H, A>
where
    H: Handler<A>,
    A: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    let reads = guard::Any(guard::Get()).or(guard::Head());
    let read = web::route().guard(reads).to(handler);
    logged(web::resource(path).route(read).default_service(web::to(only_get)))
}

/// A resource whose requests are in the access log. The handler of calls logs them itself, because
/// this costs more.
fn logged(resource: Resource) -> impl HttpServiceFactory {
    resource.wrap(from_fn(access_log::log))
}

async fn only_get(_: Open, request: HttpRequest) -> HttpResponse {
    Problem::method_not_allowed(request.method(), "GET, HEAD").into_response()
}
