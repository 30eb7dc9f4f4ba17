//! `/live`, `/ready` and `/metrics`.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::admission::{Allowed, Open};
use super::{Gateway, prometheus};
use crate::PoolStatus;

/// The process answers, and its pool is not broken for good: what ends a process that is not live
/// starts a new one.
pub(super) async fn live(Open(gateway): Open) -> HttpResponse {
    live_answer(&gateway.pool().status().await)
}

fn live_answer(status: &PoolStatus) -> HttpResponse {
    match status.panic {
        None => HttpResponse::Ok().json(json!({"live": true})),
        Some(_) => HttpResponse::ServiceUnavailable().json(json!({"live": false})),
    }
}

/// Calls are taken, and a worker serves. A probe without the token that the gateway asks for reads
/// that alone.
pub(super) async fn ready(Open(gateway): Open, request: HttpRequest) -> HttpResponse {
    let status = gateway.pool().status().await;
    let reason = unready(&gateway, &status);
    let mut body = json!({"ready": reason.is_none()});
    if gateway.options().may_read(request.headers()) {
        body["reason"] = json!(reason);
        body["serving"] = json!(status.serving);
        body["workers"] = json!(status.slots.len());
    }
    let mut response = match reason {
        None => HttpResponse::Ok(),
        Some(_) => HttpResponse::ServiceUnavailable(),
    };
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store"))).json(body)
}

/// Why the pool is not ready, if it is not.
pub(super) fn unready(gateway: &Gateway, status: &PoolStatus) -> Option<&'static str> {
    if gateway.is_draining() || status.admission == "shutting_down" {
        Some("draining")
    } else if status.panic.is_some() {
        Some("the pool is broken and does not come back")
    } else if status.admission != "open" {
        Some("no worker can start")
    } else if status.serving == 0 {
        Some("no worker serves")
    } else {
        None
    }
}

pub(super) async fn metrics(Allowed(gateway): Allowed) -> HttpResponse {
    let status = gateway.pool().status().await;
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(prometheus::text(&crate::metrics::families(&status)))
}

#[cfg(test)]
mod tests {
    use super::live_answer;
    use crate::PoolStatus;

    #[test]
    fn a_gateway_whose_pool_is_broken_for_good_is_not_live() {
        let broken = PoolStatus { panic: Some("router: a defect".to_owned()), ..PoolStatus::default() };
        assert_eq!(live_answer(&PoolStatus::default()).status(), 200);
        assert_eq!(live_answer(&broken).status(), 503);
    }
}
