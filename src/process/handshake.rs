//! From Hello to Ready, section 3 of `docs/protocol.md`. The main item is [`handshake`].

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::connection::ConnectionError;
use super::worker::WorkerProcess;
use crate::wire::message::{Failure, Hello, Incoming, PROTOCOL, Ready, Welcome};
use crate::wire::{Codec, Frame, Header, Kind};

/// Why a worker does not become ready.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// The worker ended or closed its socket.
    Closed,
    /// The worker reported that it failed to start.
    Failed(Failure),
    /// The worker violated the protocol.
    Protocol(Box<str>),
}

/// Sends Hello and waits until the worker is ready. It has no time limit.
pub(super) async fn handshake(
    worker: &mut WorkerProcess,
    hello: &Hello,
) -> Result<(Welcome, Ready), HandshakeError> {
    let payload = Bytes::from(serde_json::to_vec(hello).expect("a Hello encodes as JSON"));
    worker.connection.stage(Header::control(Kind::Hello, Codec::Json as u8), &[], &payload);
    let welcome = match next(worker).await? {
        Incoming::Welcome(welcome) if welcome.protocol == PROTOCOL => welcome,
        Incoming::Welcome(Welcome { protocol, .. }) => {
            return Err(HandshakeError::Protocol(
                format!("a Welcome of protocol {protocol}, not {PROTOCOL}").into(),
            ));
        }
        other => return Err(unexpected(other, "Welcome")),
    };
    match next(worker).await? {
        Incoming::Ready(ready) if ready.functions.len() <= usize::from(u16::MAX) => Ok((welcome, ready)),
        Incoming::Ready(_) => Err(HandshakeError::Protocol("a Ready with more than 65,535 functions".into())),
        other => Err(unexpected(other, "Ready")),
    }
}

fn unexpected(incoming: Incoming, expected: &str) -> HandshakeError {
    match incoming {
        Incoming::Failed(failure) => HandshakeError::Failed(failure),
        other => HandshakeError::Protocol(format!("{} before {expected}", other.name()).into()),
    }
}

async fn next(worker: &mut WorkerProcess) -> Result<Incoming, HandshakeError> {
    let protocol = |what: String| HandshakeError::Protocol(what.into());
    match poll_fn(|cx| poll_next(worker, cx)).await {
        Ok(Some(frame)) => Incoming::decode(frame).map_err(|error| protocol(error.to_string())),
        Ok(None) | Err(ConnectionError::Io(_)) => Err(HandshakeError::Closed),
        Err(ConnectionError::Frame(error)) => Err(protocol(error.to_string())),
    }
}

fn poll_next(
    worker: &mut WorkerProcess,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Frame>, ConnectionError>> {
    // A write fails if the worker has ended, which the next lines detect.
    let _ = worker.connection.poll_flush(cx);
    let frame = worker.connection.poll_frame(cx);
    if frame.is_ready() || worker.poll_exited(cx).is_pending() {
        return frame;
    }
    worker.connection.read_rest();
    worker.connection.poll_frame(cx)
}
