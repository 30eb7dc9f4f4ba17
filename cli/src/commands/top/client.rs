//! Requests to a gateway. The main items are [`exchange`] and [`send`].

use std::io;
use std::time::Duration;

use actix_pyproc::http::ControlAction;
use actix_rt::task::JoinHandle;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::address::Address;

/// How long a gateway may take to answer, or to send its next event: it sends its status each
/// second.
pub(super) const SILENCE: Duration = Duration::from_secs(10);
/// How long a gateway may take to perform an action: replacing all workers takes as long as they
/// take to start.
const ACTION: Duration = Duration::from_secs(120);

/// Drives a connection until it is dropped.
pub(super) struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes the gateway perform an action. The error is the gateway's objection.
pub(super) async fn send(
    address: &Address,
    token: &HeaderValue,
    action: ControlAction,
) -> Result<(), String> {
    /// RFC 9457.
    #[derive(Deserialize)]
    struct Problem {
        title: String,
        detail: String,
    }
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/dashboard/control", address.base))
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, bearer(token));
    let body = serde_json::to_vec(&action).expect("an action has only string keys");
    let answer = async {
        let (response, _connection) = exchange(address, request, body.into()).await?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(io::Error::other)?;
        Ok((status, body.to_bytes()))
    };
    match within(ACTION, answer).await {
        Ok((StatusCode::OK, _)) => Ok(()),
        Ok((status, body)) => Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => format!("{}: {}", problem.title, problem.detail),
            Err(_) => format!("the gateway refused it (HTTP {})", status.as_u16()),
        }),
        Err(error) => Err(format!("the gateway did not answer: {error}")),
    }
}

pub(super) fn bearer(token: &HeaderValue) -> HeaderValue {
    let mut bearer = HeaderValue::from_bytes(&[b"Bearer ", token.as_bytes()].concat())
        .expect("both parts are valid in a header");
    bearer.set_sensitive(true);
    bearer
}

/// Sends one request on a new connection, and returns the head of the answer.
pub(super) async fn exchange(
    address: &Address,
    request: hyper::http::request::Builder,
    body: Bytes,
) -> io::Result<(Response<Incoming>, Connection)> {
    let request =
        request.header(HOST, address.authority.as_str()).body(Full::new(body)).map_err(io::Error::other)?;
    let stream = TcpStream::connect(&address.authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = Connection(actix_rt::spawn(async move {
        // The reader of the response or of its body gets the error too.
        let _ = connection.await;
    }));
    let no_http = |_| io::Error::other("the server does not speak HTTP");
    let response = sender.send_request(request).await.map_err(no_http)?;
    Ok((response, connection))
}

pub(super) async fn within<T>(
    limit: Duration,
    work: impl std::future::Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}"));
    timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
}
