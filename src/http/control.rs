//! `POST /dashboard/control`: what the buttons of the live page do. Off unless the gateway has a
//! token.
//!
//! The token comes in a header that a page of another origin cannot set without asking first, and
//! never in a cookie or a URL that is sent: so no other page can press a button.

use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::Gateway;
use super::admission::Open;
use super::body::{self, Bounds};
use super::problem::Problem;
use super::secret::Secret;

const LONGEST_ORDER: usize = 4096;

/// What can be asked for.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum Order {
    /// Replaces the process of a slot; the new one serves before the old one drains.
    Replace { slot: u32 },
    /// Replaces all, so that they read the code anew.
    Reload,
    /// Lets what runs end, then ends the gateway.
    Drain,
}

pub(super) async fn control(
    Open(gateway): Open,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    match obey(&request, payload, &gateway).await {
        Ok(()) => HttpResponse::Ok().json(json!({"done": true})),
        Err(problem) => problem.into_response(),
    }
}

async fn obey(request: &HttpRequest, payload: web::Payload, gateway: &Gateway) -> Result<(), Problem> {
    if !gateway.options().dashboard {
        return Err(Problem::dashboard_off());
    }
    if request.method() != Method::POST {
        return Err(Problem::method_not_allowed(request.method(), "POST"));
    }
    authorize(request.headers(), gateway.options().control.as_ref())?;
    let bounds = Bounds { one: LONGEST_ORDER, ..gateway.options().bounds() };
    let body = body::read(payload, request.headers(), bounds, gateway.bodies()).await?;
    let order: Order = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_order", "No such action", error.to_string())
    })?;
    tracing::info!(?order, "asked on the live page");
    match order {
        Order::Replace { slot } if gateway.pool().replace(slot).await => Ok(()),
        Order::Replace { slot } => {
            let detail = format!("slot {slot} does not serve");
            Err(Problem::new(StatusCode::CONFLICT, "not_serving", "The slot does not serve", detail))
        }
        Order::Reload => gateway.pool().reload().await.map_err(|error| {
            let detail = format!("the old code stays; failed to {error}");
            Problem::new(StatusCode::CONFLICT, "reload_failed", "The new code does not start", detail)
        }),
        Order::Drain => {
            gateway.set_draining();
            gateway.ask_to_drain();
            Ok(())
        }
    }
}

/// The control token is needed, whatever else opens the gateway.
fn authorize(headers: &HeaderMap, token: Option<&Secret>) -> Result<(), Problem> {
    match token {
        Some(token) if token.is_in(headers) => Ok(()),
        Some(_) => Err(Problem::unauthorized("the control token is missing or wrong")),
        None => {
            let detail = "this gateway was started without a control token".to_owned();
            Err(Problem::new(StatusCode::FORBIDDEN, "control_off", "Control is off", detail).closing())
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::{Secret, authorize};

    #[test]
    fn only_the_token_opens_and_without_one_nothing_does() {
        let secret = Secret::new("secret".to_owned());
        let status = |value: &str, token| {
            let request = TestRequest::default().insert_header(("authorization", value)).to_http_request();
            authorize(request.headers(), token).map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(status("Bearer secret", Some(&secret)), Ok(()));
        assert_eq!(status("Bearer secret2", Some(&secret)), Err(401));
        assert_eq!(status("Bearer secret", None), Err(403));
    }
}
