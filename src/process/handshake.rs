//! From Hello to Ready, section 3 of `docs/protocol.md`. The main item is [`handshake`].

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::body::Body;
use super::connection::{Connection, ConnectionError};
use crate::wire::message::{Failure, Hello, Incoming, PROTOCOL, Ready, Welcome};
use crate::wire::{Codec, Frame, Header, Kind};

/// Why a worker does not come to serve.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It ended, or closed its socket.
    Gone,
    /// It said why it cannot start.
    Failed(Failure),
    /// It does not follow the protocol.
    Protocol(Box<str>),
}

/// Says Hello and waits until the worker is ready. It does not end in time by itself.
pub(super) async fn handshake(
    connection: &mut Connection,
    body: &Body,
    hello: &Hello,
) -> Result<(Welcome, Ready), Refusal> {
    let payload = Bytes::from(serde_json::to_vec(hello).expect("a Hello has a JSON"));
    connection.stage(Header::control(Kind::Hello, Codec::Json as u8), &[], &payload);
    let welcome = match next(connection, body).await? {
        Incoming::Welcome(welcome) if welcome.protocol == PROTOCOL => welcome,
        Incoming::Welcome(Welcome { protocol, .. }) => {
            return Err(Refusal::Protocol(
                format!("a Welcome of protocol {protocol}, not {PROTOCOL}").into(),
            ));
        }
        other => return Err(refused(other, "Welcome")),
    };
    match next(connection, body).await? {
        Incoming::Ready(ready) if ready.functions.len() <= usize::from(u16::MAX) => Ok((welcome, ready)),
        Incoming::Ready(_) => Err(Refusal::Protocol("more functions than can be numbered".into())),
        other => Err(refused(other, "Ready")),
    }
}

fn refused(incoming: Incoming, expected: &str) -> Refusal {
    match incoming {
        Incoming::Failed(failure) => Refusal::Failed(failure),
        other => Refusal::Protocol(format!("{} before {expected}", other.name()).into()),
    }
}

async fn next(connection: &mut Connection, body: &Body) -> Result<Incoming, Refusal> {
    let protocol = |what: String| Refusal::Protocol(what.into());
    match poll_fn(|cx| poll_next(connection, body, cx)).await {
        Ok(Some(frame)) => Incoming::decode(frame).map_err(|error| protocol(error.to_string())),
        Ok(None) | Err(ConnectionError::Io(_)) => Err(Refusal::Gone),
        Err(ConnectionError::Frame(error)) => Err(protocol(error.to_string())),
    }
}

fn poll_next(
    connection: &mut Connection,
    body: &Body,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Frame>, ConnectionError>> {
    // A write fails when the worker has gone, which the next lines see.
    let _ = connection.poll_flush(cx);
    let frame = connection.poll_frame(cx);
    if frame.is_ready() || body.poll_exited(cx).is_pending() {
        return frame;
    }
    connection.read_rest();
    connection.poll_frame(cx)
}
