//! The events of a gateway. The main structure is [`Events`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_pyproc::http::page::PageEvent;
use bytes::Bytes;
use eventsource_stream::{Event, EventStreamError, Eventsource as _};
use futures::stream::LocalBoxStream;
use futures::{Stream, StreamExt as _};
use http_body_util::BodyExt as _;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Request, StatusCode};
use tokio::time::timeout;

use super::address::Address;
use super::client::{Connection, SILENCE, bearer, exchange, within};

/// The longest event: a status with many slots is far shorter.
const LONGEST: usize = 16 << 20;

/// The events of a gateway, as they arrive.
pub(super) struct Events {
    events: LocalBoxStream<'static, io::Result<Event>>,
    _connection: Connection,
}

impl Events {
    /// Connects. Fails if nothing listens, if the server is not a gateway, or if the gateway
    /// requires another token.
    pub(super) async fn connect(address: &Address, token: Option<&HeaderValue>) -> io::Result<Self> {
        let mut request =
            Request::get(format!("{}/dashboard/events", address.base)).header(ACCEPT, "text/event-stream");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, bearer(token));
        }
        let (response, connection) = within(SILENCE, exchange(address, request, Bytes::new())).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let message = "the gateway requires its token; set PYPROC_TOKEN or PYPROC_CONTROL_TOKEN";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        let media = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if response.status() != StatusCode::OK || !media.starts_with(b"text/event-stream") {
            let status = response.status().as_u16();
            let message = format!("the server is not a gateway with a live page (HTTP {status})");
            return Err(io::Error::other(message));
        }
        let pieces = response.into_body().into_data_stream().map(|piece| piece.map_err(|_| closed()));
        Ok(Self { events: parse(pieces, LONGEST).boxed_local(), _connection: connection })
    }

    /// The next event that this version knows. Fails when the connection ends, or when nothing
    /// arrives for too long.
    pub(super) async fn next(&mut self) -> io::Result<PageEvent> {
        loop {
            let event = timeout(SILENCE, self.events.next()).await;
            let late = || io::Error::new(io::ErrorKind::TimedOut, format!("it sent nothing for {SILENCE:?}"));
            let event = event.map_err(|_| late())?.ok_or_else(closed)??;
            if let Some(event) = PageEvent::read(&event.event, &event.data)? {
                return Ok(event);
            }
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection")
}

/// Parses server-sent events, and fails if one has more than `longest` bytes: the parser itself
/// would buffer it without a limit.
fn parse(
    pieces: impl Stream<Item = io::Result<Bytes>>,
    longest: usize,
) -> impl Stream<Item = io::Result<Event>> {
    let unparsed = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&unparsed);
    let pieces = pieces.map(move |piece| {
        let piece = piece?;
        if counted.fetch_add(piece.len(), Ordering::Relaxed) + piece.len() > longest {
            return Err(io::Error::other("an event is too long"));
        }
        Ok(piece)
    });
    pieces.eventsource().map(move |event| {
        unparsed.store(0, Ordering::Relaxed);
        event.map_err(|error| match error {
            EventStreamError::Transport(error) => error,
            other => io::Error::other(other.to_string()),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use bytes::Bytes;
    use futures::{FutureExt as _, StreamExt as _, stream};

    use super::parse;

    const LIMIT: usize = 64 << 10;

    fn event(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    fn parsed(pieces: &[&[u8]]) -> io::Result<Vec<(String, String)>> {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let events =
            parse(stream::iter(pieces), LIMIT).collect::<Vec<_>>().now_or_never().expect("all is there");
        events.into_iter().map(|event| event.map(|event| (event.event, event.data))).collect()
    }

    #[test]
    fn events_are_the_same_wherever_the_stream_is_split() {
        let stream = "retry: 1000\nevent: about\ndata: {\"µ\": 1}\n\n: still here\r\n\r\nevent:status\r\n\
            data: one\r\ndata:two\r\n\r\ndata\rdata:  three\r\revent: nothing\n\ndata: last\n\ndata: cut off"
            .as_bytes();
        let expected = [
            event("about", "{\"µ\": 1}"),
            event("status", "one\ntwo"),
            event("message", "\n three"),
            event("message", "last"),
        ];
        for at in 0..=stream.len() {
            assert_eq!(
                parsed(&[&stream[..at], &stream[at..]]).expect("it is short"),
                expected,
                "split at {at}"
            );
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(parsed(&bytes).expect("it is short"), expected);
    }

    #[test]
    fn event_that_is_cut_off_is_none() {
        assert_eq!(parsed(&[b"event: status\ndata: half\n"]).expect("it is short"), []);
    }

    #[test]
    fn line_without_an_end_is_refused_before_it_takes_all_memory() {
        let piece = vec![b'x'; LIMIT / 4];
        assert!(parsed(&[&piece[..]; 4]).is_ok());
        assert!(parsed(&[&piece[..]; 5]).is_err());
    }
}
