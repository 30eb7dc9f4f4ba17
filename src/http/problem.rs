//! Errors over HTTP: problem details, RFC 9457. The main structure is [`Problem`].

use std::fmt::Display;
use std::time::Duration;

use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value, json};

use super::status::status;
use crate::error::CallError;

/// A refusal or a failure.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    retry_after: Option<Duration>,
    /// Whether the connection closes after the answer, because the rest of the request is not read.
    close: bool,
    /// The methods that the resource supports.
    allow: Option<&'static str>,
    more: Map<String, Value>,
}

/// The kind of a problem, in the extensions of its response, for the access log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind(pub(super) &'static str);

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: String) -> Self {
        Self { status, kind, title, detail, retry_after: None, close: false, allow: None, more: Map::new() }
    }

    /// The error of a call. `details` adds what reveals code: traceback, standard error.
    pub(super) fn of(error: &CallError, details: bool) -> Self {
        let (status, title) = status(error);
        let mut problem = Self::new(status, error.kind(), title, error.to_string());
        problem.set("may_have_run", error.may_have_run());
        problem.set("retryable", error.is_retryable());
        problem.add(error, details);
        problem
    }

    fn add(&mut self, error: &CallError, details: bool) {
        match error {
            CallError::Exception { type_name, message, traceback, info } => {
                let mut exception = json!({"type": type_name, "message": message, "bases": info.bases});
                if details {
                    if let Some(args) = &info.args {
                        exception["args"] = json!(args);
                    }
                    exception["traceback"] = json!(traceback);
                }
                self.set("exception", exception);
            }
            CallError::UnknownFunction { known, .. } => self.set("functions", &known[..]),
            CallError::Overloaded { retry_after } | CallError::Unavailable { retry_after, cause: None } => {
                self.retry_after = Some(*retry_after);
            }
            CallError::Unavailable { retry_after, cause: Some(cause) } => {
                self.retry_after = Some(*retry_after);
                if details {
                    self.set("cause", json!({"message": cause.to_string(), "traceback": cause.details()}));
                }
            }
            CallError::WorkerLost { exit, stderr_tail, .. } => {
                self.set("exit", exit.to_string());
                if details {
                    self.set("stderr", &stderr_tail[..]);
                }
            }
            CallError::Quarantined { attempts, exit } => {
                self.set("attempts", *attempts);
                self.set("exit", exit.to_string());
            }
            CallError::ShuttingDown => {
                self.retry_after = Some(Duration::from_secs(1));
                self.close = true;
            }
            CallError::InvalidArgument { errors } => self.set("errors", json!(errors)),
            CallError::PayloadTooLarge { limit, .. } => self.set("limit", *limit),
            CallError::DeadlineExceeded { .. } | CallError::Encode { .. } | CallError::Decode { .. } => {}
        }
    }

    pub(super) fn unsupported_media_type(found: &str) -> Self {
        let found = if found.is_empty() { "no Content-Type" } else { found };
        let detail = format!(
            "{found} is not supported; send application/json (curl --json), application/msgpack or application/octet-stream"
        );
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        // The body was not read.
        Self::new(status, "unsupported_media_type", "Unsupported media type", detail).closing()
    }

    pub(super) fn bad_header(name: &'static str, expected: &str) -> Self {
        let detail = format!("{name} must be {expected}");
        Self::new(StatusCode::BAD_REQUEST, "bad_header", "A header is invalid", detail)
    }

    pub(super) fn body_too_large(size: Option<usize>, limit: usize) -> Self {
        let error = CallError::PayloadTooLarge { size, limit, ran: false };
        Self::of(&error, false).closing()
    }

    pub(super) fn body_broken(error: &impl Display) -> Self {
        let detail = format!("the body could not be read: {error}");
        Self::new(StatusCode::BAD_REQUEST, "bad_body", "The body could not be read", detail).closing()
    }

    pub(super) fn body_late(after: Duration) -> Self {
        let detail = format!("the body was not complete within {after:?}; the function did not run");
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "The body took too long", detail)
            .not_run()
            .closing()
    }

    pub(super) fn too_many_bodies(bound: usize) -> Self {
        let detail = format!("half-received bodies hold more than {bound} bytes; try again");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let problem = Self::new(status, "too_many_bodies", "Too many bodies at once", detail);
        Self { retry_after: Some(Duration::from_secs(1)), ..problem.not_run().closing() }
    }

    pub(super) fn dashboard_off() -> Self {
        let detail = "this gateway was started without the live page".to_owned();
        Self::new(StatusCode::NOT_FOUND, "dashboard_off", "The live page is off", detail)
    }

    pub(super) fn method_not_allowed(found: &Method, allowed: &'static str) -> Self {
        let detail = format!("{found} is not allowed here; use {allowed}");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let problem = Self::new(status, "method_not_allowed", "Method not allowed", detail);
        Self { allow: Some(allowed), ..problem }
    }

    /// Adds that the function did not run.
    fn not_run(mut self) -> Self {
        self.set("may_have_run", false);
        self.set("retryable", true);
        self
    }

    /// Closes the connection after the answer, because the rest of the request is not read.
    pub(super) fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.more.insert(key.to_owned(), value.into());
    }

    #[cfg(test)]
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn into_response(self) -> HttpResponse {
        let Self { status, kind, title, detail, retry_after, close, allow, more } = self;
        let mut body = json!({
            "type": format!("urn:pyproc:{kind}"),
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
            "kind": kind,
        });
        let members = body.as_object_mut().expect("it is an object");
        members.extend(more);
        if let Some(after) = retry_after {
            members.insert("retry_after_ms".to_owned(), json!(after.as_millis()));
        }
        let mut response = HttpResponse::build(status);
        response.content_type("application/problem+json");
        if let Some(after) = retry_after {
            // The header has whole seconds; the body has milliseconds.
            let seconds = after.as_millis().div_ceil(1000).max(1);
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Some(allow) = allow {
            response.insert_header((header::ALLOW, HeaderValue::from_static(allow)));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        let mut response = response.body(body.to_string());
        response.extensions_mut().insert(Kind(kind));
        if close {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }
}

/// A handler of your own returns `Result<_, CallError>` and uses `?`: the response is that of the
/// gateway, problem details with the status of the table in `docs/gateway.md`, and `Retry-After`
/// where the call may succeed later. It has no traceback and no standard error.
///
/// ```
/// use actix_pyproc::{Call, CallError, Pool};
/// use actix_web::HttpResponse;
/// use actix_web::web::{Bytes, Data};
///
/// async fn predict(pool: Data<Pool>, body: Bytes) -> Result<HttpResponse, CallError> {
///     let reply = pool.request(Call::raw_json("predict", body)).await?;
///     Ok(HttpResponse::Ok().content_type("application/json").body(reply.bytes()))
/// }
/// ```
impl ResponseError for CallError {
    fn status_code(&self) -> StatusCode {
        status(self).0
    }

    fn error_response(&self) -> HttpResponse {
        Problem::of(self, false).into_response()
    }
}

impl From<Problem> for actix_web::Error {
    fn from(problem: Problem) -> Self {
        InternalError::from_response(problem.kind, problem.into_response()).into()
    }
}
