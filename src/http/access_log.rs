//! The access log: an event for each request. The main structure is [`Access`].

use std::net::SocketAddr;
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody as _};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, web};

use super::gateway::{Gateway, Options};
use super::problem::Kind;
use super::request_id::RequestId;

/// The outcome of a request whose client disconnected, and its status, as nginx counts them.
const ABANDONED: &str = "abandoned";
const CLIENT_CLOSED: u16 = 499;

/// A request on its way. It is logged when it ends: with its answer, or when it is dropped because
/// the client has disconnected.
pub(super) struct Access {
    method: Method,
    path: String,
    function: Option<String>,
    remote: Option<SocketAddr>,
    id: RequestId,
    started: Instant,
    bytes_in: usize,
    logged: bool,
}

impl Access {
    /// The id of a request, if it has one, and its entry, if the access log is on and somebody
    /// reads it.
    pub(super) fn begin(
        options: Option<&Options>,
        request: &HttpRequest,
    ) -> (Option<RequestId>, Option<Self>) {
        let is_on = options.is_some_and(|options| options.access_log)
            && tracing::enabled!(target: "pyproc::access", tracing::Level::INFO);
        let id = RequestId::of(request.headers(), is_on);
        let access = id.clone().filter(|_| is_on).map(|id| Self {
            method: request.method().clone(),
            path: request.path().to_owned(),
            function: None,
            remote: request.peer_addr(),
            id,
            started: Instant::now(),
            bytes_in: 0,
            logged: false,
        });
        (id, access)
    }

    /// Adds the function that is called, and the length of its argument.
    pub(super) fn calls(&mut self, function: &str, bytes: usize) {
        self.function = Some(function.to_owned());
        self.bytes_in = bytes;
    }

    /// Logs the request with its answer.
    pub(super) fn end(mut self, response: &HttpResponse) {
        let (status, kind) = (response.status(), response.extensions().get::<Kind>().map(|kind| kind.0));
        let outcome = kind.unwrap_or(if status.as_u16() < 400 { "ok" } else { "error" });
        let bytes_out = match response.body().size() {
            _ if self.method == Method::HEAD => Some(0),
            BodySize::None => Some(0),
            BodySize::Sized(bytes) => Some(bytes),
            BodySize::Stream => None,
        };
        self.log(status.as_u16(), outcome, bytes_out);
    }

    fn log(&mut self, status: u16, outcome: &str, bytes_out: Option<u64>) {
        self.logged = true;
        tracing::info!(
            target: "pyproc::access",
            method = self.method.as_str(),
            path = self.path.as_str(),
            function = self.function.as_deref(),
            status,
            outcome,
            duration_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            bytes_in = self.bytes_in,
            bytes_out,
            request_id = self.id.as_str(),
            remote = self.remote.map(tracing::field::display),
            "request",
        );
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        if !self.logged {
            self.log(CLIENT_CLOSED, ABANDONED, Some(0));
        }
    }
}

/// Logs the requests that call no function, and sends their ids back.
pub(super) async fn log(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, actix_web::Error> {
    let gateway = request.app_data::<web::Data<Gateway>>();
    let (id, access) = Access::begin(gateway.map(|gateway| gateway.options()), request.request());
    let mut response = match next.call(request).await {
        Ok(response) => response,
        Err(error) => {
            // actix makes the same answer of it.
            if let Some(access) = access {
                access.end(&error.error_response());
            }
            return Err(error);
        }
    };
    if let Some(id) = id {
        id.add_to(response.headers_mut());
    }
    if let Some(access) = access {
        access.end(response.response());
    }
    Ok(response)
}
