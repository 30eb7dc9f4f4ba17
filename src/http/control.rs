//! `POST /dashboard/control`: what the buttons of the live page do. Off unless the gateway has a token.
//!
//! The token comes in a header that a page of another origin cannot set without asking first, and never in a cookie or a URL that is sent:
//! so no other page can press a button.

use actix_web::http::{header, StatusCode};
use actix_web::{web, HttpRequest, HttpResponse};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::problem::Problem;
use super::Gateway;

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

pub(super) async fn control(request: HttpRequest, body: Bytes, gateway: web::Data<Gateway>) -> HttpResponse {
    match obey(&request, &body, &gateway).await {
        Ok(()) => HttpResponse::Ok().json(json!({"done": true})),
        Err(problem) => problem.into_response(),
    }
}

async fn obey(request: &HttpRequest, body: &Bytes, gateway: &Gateway) -> Result<(), Problem> {
    authorize(request, gateway.control_token())?;
    let order: Order = serde_json::from_slice(body).map_err(|error| {
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

fn authorize(request: &HttpRequest, token: Option<&str>) -> Result<(), Problem> {
    let Some(token) = token else {
        let detail = "this gateway was started without a control token".to_owned();
        return Err(Problem::new(StatusCode::FORBIDDEN, "control_off", "Control is off", detail));
    };
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match given.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(given) if same(given.as_bytes(), token.as_bytes()) => Ok(()),
        _ => {
            let detail = "the control token is missing or wrong".to_owned();
            Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Not allowed", detail))
        }
    }
}

/// Compares in a time that does not tell how much is right.
fn same(given: &[u8], expected: &[u8]) -> bool {
    given.len() == expected.len()
        && given.iter().zip(expected).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::{authorize, same};

    #[test]
    fn only_the_token_opens_and_without_one_nothing_does() {
        let request =
            |value: &str| TestRequest::default().insert_header(("authorization", value)).to_http_request();
        let status = |value: &str, token| {
            authorize(&request(value), token).map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(status("Bearer secret", Some("secret")), Ok(()));
        for wrong in ["Bearer secre", "Bearer secret2", "secret", "Bearer ", ""] {
            assert_eq!(status(wrong, Some("secret")), Err(401), "{wrong}");
        }
        assert_eq!(status("Bearer secret", None), Err(403));
        assert!(same(b"", b"") && !same(b"a", b"b"));
    }
}
