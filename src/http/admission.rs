//! Who may send which request. The main structures are the extractors [`Allowed`] and [`Open`].
//!
//! They look only at the head of a request: a refused request is not read and runs nothing.

use std::future::{Ready, ready};

use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpRequest, dev, web};

use super::gateway::Gateway;
use super::problem::Problem;

/// A request whose `Host` is the gateway's, that no page of another origin sent, and that carries
/// the token if the gateway requires one.
#[derive(Debug)]
pub(super) struct Allowed(pub(super) web::Data<Gateway>);

/// As [`Allowed`], without a token: for probes, and for the page that asks for the token.
#[derive(Debug)]
pub(super) struct Open(pub(super) web::Data<Gateway>);

impl FromRequest for Allowed {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        ready(gateway(request).and_then(|gateway| {
            check_host_and_origin(request, &gateway)?;
            check_token(request, &gateway)?;
            Ok(Self(gateway))
        }))
    }
}

impl FromRequest for Open {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        ready(gateway(request).and_then(|gateway| {
            check_host_and_origin(request, &gateway)?;
            Ok(Self(gateway))
        }))
    }
}

fn gateway(request: &HttpRequest) -> Result<web::Data<Gateway>, Problem> {
    let gateway = request.app_data::<web::Data<Gateway>>().cloned();
    gateway.ok_or_else(Problem::not_mounted)
}

fn check_host_and_origin(request: &HttpRequest, gateway: &Gateway) -> Result<(), Problem> {
    let options = gateway.options();
    // Requests to a proxy, and HTTP/2, have the host in the URI.
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let headers = request.headers().get_all(header::HOST).map(|value| value.as_bytes());
    let listener = request.app_config().local_addr().ip();
    let mut host = None;
    // HTTP/1.0 permits requests without a host. No browser sends them.
    for named in authority.into_iter().chain(headers) {
        if !options.hosts.answers_to(named, listener) {
            return Err(Problem::misdirected(&String::from_utf8_lossy(named)));
        }
        host = host.or(Some(named));
    }
    match options.origins.refuse(request.method(), request.headers(), host) {
        None => Ok(()),
        Some(found) => Err(Problem::other_origin(&found)),
    }
}

fn check_token(request: &HttpRequest, gateway: &Gateway) -> Result<(), Problem> {
    if gateway.options().may_read(request.headers()) {
        return Ok(());
    }
    Err(Problem::unauthorized("the token is missing or wrong; send Authorization: Bearer TOKEN"))
}

impl Problem {
    fn not_mounted() -> Self {
        let detail = "the application has no gateway: Gateway::routes adds one".to_owned();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "not_mounted", "The gateway is not mounted", detail)
    }

    fn misdirected(host: &str) -> Self {
        let detail = format!(
            "this gateway does not answer to the host {host:?}; --allow-host NAME, or Gateway::allow_host, adds a name"
        );
        Self::new(StatusCode::MISDIRECTED_REQUEST, "host_not_allowed", "The host is not allowed", detail)
            .closing()
    }

    fn other_origin(found: &str) -> Self {
        let detail = format!(
            "a page of another origin sent this request ({found}); --allow-origin ORIGIN, or Gateway::allow_origin, lets its origin in"
        );
        Self::new(StatusCode::FORBIDDEN, "origin_not_allowed", "The origin is not allowed", detail).closing()
    }

    pub(super) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Not allowed", detail.to_owned()).closing()
    }
}
