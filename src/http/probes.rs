//! `GET /live` and `GET /ready`, for process managers and load balancers. The main items are the
//! handlers [`live`] and [`ready`].

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::admission::Open;
use super::page::NotReady;

/// 503 once the pool is broken for good, so that a process manager replaces this process.
pub(super) async fn live(Open(gateway): Open) -> HttpResponse {
    answer(gateway.pool().panic().await.is_some())
}

fn answer(broken: bool) -> HttpResponse {
    let mut response = if broken { HttpResponse::ServiceUnavailable() } else { HttpResponse::Ok() };
    response.json(json!({"live": !broken}))
}

/// 200 while the pool admits calls and a worker serves. A probe without the token that the gateway
/// requires learns nothing else.
pub(super) async fn ready(Open(gateway): Open, request: HttpRequest) -> HttpResponse {
    let pool = gateway.pool().readiness().await;
    let reason = NotReady::of(pool, gateway.is_draining());
    let mut body = json!({"ready": reason.is_none()});
    if gateway.options().may_read(request.headers()) {
        body["reason"] = json!(reason);
        body["serving"] = json!(pool.serving);
        body["workers"] = json!(pool.workers);
    }
    let mut response = match reason {
        None => HttpResponse::Ok(),
        Some(_) => HttpResponse::ServiceUnavailable(),
    };
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(body)
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn a_gateway_whose_pool_is_broken_for_good_is_not_live() {
        assert_eq!(answer(false).status(), 200);
        assert_eq!(answer(true).status(), 503);
    }
}
