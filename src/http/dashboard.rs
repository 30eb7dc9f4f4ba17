//! The live page: its HTML, scripts and style, and the events that fill it. The main item is the
//! handler [`events`]. The page loads nothing from other servers.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::sync::broadcast;

use super::admission::{Allowed, Open};
use super::gateway::Gateway;
use super::openapi;
use super::page::{About, PageEvent};
use super::problem::Problem;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) async fn page(Open(gateway): Open) -> HttpResponse {
    asset(&gateway, "text/html; charset=utf-8", include_str!("assets/dashboard.html"))
}

pub(super) async fn script(Open(gateway): Open) -> HttpResponse {
    asset(&gateway, "text/javascript; charset=utf-8", include_str!("assets/dashboard.js"))
}

pub(super) async fn charts(Open(gateway): Open) -> HttpResponse {
    asset(&gateway, "text/javascript; charset=utf-8", include_str!("assets/charts.js"))
}

pub(super) async fn details(Open(gateway): Open) -> HttpResponse {
    asset(&gateway, "text/javascript; charset=utf-8", include_str!("assets/details.js"))
}

pub(super) async fn dom(Open(gateway): Open) -> HttpResponse {
    asset(&gateway, "text/javascript; charset=utf-8", include_str!("assets/dom.js"))
}

pub(super) async fn numbers(Open(gateway): Open) -> HttpResponse {
    asset(&gateway, "text/javascript; charset=utf-8", include_str!("assets/numbers.js"))
}

pub(super) async fn style(Open(gateway): Open) -> HttpResponse {
    asset(&gateway, "text/css; charset=utf-8", include_str!("assets/dashboard.css"))
}

fn asset(gateway: &Gateway, media: &'static str, text: &'static str) -> HttpResponse {
    if !gateway.options().dashboard {
        return Problem::dashboard_off().into_response();
    }
    guarded(HttpResponse::Ok()).content_type(media).body(text)
}

/// Adds the headers of a page that loads nothing from other servers.
pub(super) fn guarded(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)));
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
    response.insert_header((header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")));
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
    response
}

/// Sends [`PageEvent`]s until the gateway has drained.
pub(super) async fn events(Allowed(gateway): Allowed, request: HttpRequest) -> HttpResponse {
    if !gateway.options().dashboard {
        return Problem::dashboard_off().into_response();
    }
    let mut response = guarded(HttpResponse::Ok());
    response
        .content_type("text/event-stream")
        // Proxies would buffer the events.
        .insert_header((HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")));
    if request.method() == Method::HEAD {
        return response.finish();
    }
    let (hello, events) = gateway.feed().subscribe();
    let first = stream::iter([Ok(about(&gateway)), Ok(hello)]);
    let rest = stream::unfold((events, gateway), |(mut events, gateway)| async move {
        if gateway.is_draining() && gateway.pool().status().await.in_flight == 0 {
            return None;
        }
        match events.recv().await {
            Ok(event) => Some((Ok::<_, actix_web::Error>(event), (events, gateway))),
            // The page reconnects and gets everything again.
            Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => None,
        }
    });
    response.streaming(first.chain(rest))
}

fn about(gateway: &Gateway) -> Bytes {
    let (pool, options) = (gateway.pool(), gateway.options());
    let about = About {
        worker: openapi::title(&pool.config().worker),
        python: pool.python_version().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        max_queue: pool.config().max_queue,
        control: options.control.is_some(),
        token: options.token.is_some(),
        tracebacks: options.tracebacks,
    };
    format!("retry: 1000\n{}", PageEvent::About(about).write()).into()
}
