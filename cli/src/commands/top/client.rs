//! The connection to a gateway: its events, and orders to it. The main structure is [`Events`].

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::address::Address;
use super::sse::{Event, Parser};
use super::view::Order;

/// How long a gateway may take to be reached, or to say the next thing: it tells its status each
/// second.
const SILENCE: Duration = Duration::from_secs(10);
/// How long it may take to do what it is asked: to replace all workers takes as long as they take
/// to start.
const ORDER: Duration = Duration::from_secs(120);

/// The events of a gateway, as they come.
pub(super) struct Events {
    body: Incoming,
    parser: Parser,
    ready: VecDeque<Event>,
    _connection: Connection,
}

/// Moves the bytes of a connection until it is dropped.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Events {
    /// Connects. Fails if nothing listens there, if what listens is not a gateway, or if the
    /// gateway asks for another token.
    pub(super) async fn connect(address: &Address, token: Option<&HeaderValue>) -> io::Result<Self> {
        let mut request =
            Request::get(format!("{}/dashboard/events", address.base)).header(ACCEPT, "text/event-stream");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, bearer(token));
        }
        let (response, connection) = within(SILENCE, exchange(address, request, Bytes::new())).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let message = "the gateway asks for its token; set PYPROC_TOKEN or PYPROC_CONTROL_TOKEN";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        let media = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if response.status() != StatusCode::OK || !media.starts_with(b"text/event-stream") {
            let status = response.status().as_u16();
            let message = format!("what answers there is no gateway with a live page (HTTP {status})");
            return Err(io::Error::other(message));
        }
        let body = response.into_body();
        Ok(Self { body, parser: Parser::default(), ready: VecDeque::new(), _connection: connection })
    }

    /// The next event. Fails when the connection ends, or nothing comes.
    pub(super) async fn next(&mut self) -> io::Result<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let frame = timeout(SILENCE, self.body.frame()).await;
            let frame =
                frame.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it says nothing any more"))?;
            let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "it ended the connection");
            let frame = frame.ok_or_else(ended)?.map_err(|_| ended())?;
            if let Some(bytes) = frame.data_ref() {
                let events = self.parser.feed(bytes);
                self.ready.extend(events.map_err(|_| io::Error::other("a line without an end"))?);
            }
        }
    }
}

/// Has the gateway do something; what it says against it is the error.
pub(super) async fn send(address: &Address, token: &HeaderValue, order: Order) -> Result<(), String> {
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
    let body = serde_json::to_vec(&order).expect("an order is plain values");
    let answer = async {
        let (response, _connection) = exchange(address, request, body.into()).await?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(io::Error::other)?;
        Ok((status, body.to_bytes()))
    };
    match within(ORDER, answer).await {
        Ok((StatusCode::OK, _)) => Ok(()),
        Ok((status, body)) => Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => format!("{}: {}", problem.title, problem.detail),
            Err(_) => format!("the gateway refused it (HTTP {})", status.as_u16()),
        }),
        Err(error) => Err(format!("the gateway did not answer: {error}")),
    }
}

fn bearer(token: &HeaderValue) -> HeaderValue {
    let mut bearer = HeaderValue::from_bytes(&[b"Bearer ", token.as_bytes()].concat())
        .expect("it begins and ends with what a header may have");
    bearer.set_sensitive(true);
    bearer
}

async fn exchange(
    address: &Address,
    request: hyper::http::request::Builder,
    body: Bytes,
) -> io::Result<(Response<Incoming>, Connection)> {
    let request =
        request.header(HOST, address.authority.as_str()).body(Full::new(body)).map_err(io::Error::other)?;
    let stream = TcpStream::connect(&address.authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = Connection(actix_rt::spawn(async move {
        // Whoever waits for the response or its body is told of a failure there.
        let _ = connection.await;
    }));
    let no_http = |_| io::Error::other("what answers there does not speak HTTP");
    let response = sender.send_request(request).await.map_err(no_http)?;
    Ok((response, connection))
}

async fn within<T>(limit: Duration, work: impl std::future::Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}"));
    timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
}
