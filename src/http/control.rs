//! `POST /dashboard/control`: what the buttons of the live page do. The main structure is
//! [`ControlAction`]. Control is off unless the gateway has a control token.
//!
//! The token comes in a header, which a page of another origin cannot set without a preflight
//! request, and never in a cookie or in a URL that is sent. So no other page can press a button.

use actix_pyproc_actors::id::SlotId;
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::admission::Open;
use super::body::{self, Bounds};
use super::gateway::Gateway;
use super::problem::Problem;
use super::secret::Secret;

const BODY_LIMIT: usize = 4096;

/// The body of `POST /dashboard/control`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum ControlAction {
    /// Replaces the process of a slot; the new one serves before the old one drains.
    Replace {
        /// The slot.
        slot: SlotId,
    },
    /// Replaces all processes, so that they load the code again.
    Reload,
    /// Drains the gateway, then stops it.
    Drain,
}

pub(super) async fn control(
    Open(gateway): Open,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    match perform(&request, payload, &gateway).await {
        Ok(()) => HttpResponse::Ok().json(json!({"done": true})),
        Err(problem) => problem.into_response(),
    }
}

async fn perform(request: &HttpRequest, payload: web::Payload, gateway: &Gateway) -> Result<(), Problem> {
    if !gateway.options().dashboard {
        return Err(Problem::dashboard_off());
    }
    if request.method() != Method::POST {
        return Err(Problem::method_not_allowed(request.method(), "POST"));
    }
    authorize(request.headers(), gateway.options().control.as_ref())?;
    let bounds = Bounds { one: BODY_LIMIT, ..gateway.options().bounds() };
    let body = body::read(payload, request.headers(), bounds, gateway.bodies()).await?;
    let action: ControlAction = serde_json::from_slice(&body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_order", "No such action", error.to_string())
    })?;
    tracing::info!(target: "pyproc::gateway", ?action, "requested on the live page");
    match action {
        ControlAction::Replace { slot } if gateway.pool().replace(slot).await => Ok(()),
        ControlAction::Replace { slot } => {
            let detail = format!("slot {slot} does not serve");
            Err(Problem::new(StatusCode::CONFLICT, "not_serving", "The slot does not serve", detail))
        }
        ControlAction::Reload => gateway.pool().reload().await.map_err(|error| {
            let detail = format!("{error}; the old workers keep serving");
            Problem::new(StatusCode::CONFLICT, "reload_failed", "The new code failed to start", detail)
        }),
        ControlAction::Drain => {
            gateway.set_draining();
            gateway.request_drain();
            Ok(())
        }
    }
}

/// Requires the control token; the other token is not enough.
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
