//! Reads the bodies of calls, within bounds for one and for all of them. The main item is [`read`].

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};

use super::problem::Problem;

/// How much of its memory and time a gateway gives to bodies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many bytes one body has at most.
    pub(super) one: usize,
    /// How many bytes all half-received bodies have at most.
    pub(super) all: usize,
    /// How long one body may take.
    pub(super) time: Duration,
}

/// Reads a body. `received` counts the bytes of all half-received bodies.
pub(super) async fn read(
    payload: web::Payload,
    headers: &HeaderMap,
    bounds: Bounds,
    received: &AtomicUsize,
) -> Result<Bytes, Problem> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > bounds.one) {
        return Err(Problem::body_too_large(declared, bounds.one));
    }
    within(bounds.time, gather(payload, declared, bounds, received)).await
}

/// A body is read from its connection just after its head, so most bodies are complete at the
/// second poll. Only the others cost a timer.
async fn within(
    time: Duration,
    body: impl Future<Output = Result<Bytes, Problem>>,
) -> Result<Bytes, Problem> {
    let mut body = pin!(body);
    if let Poll::Ready(body) = futures::poll!(body.as_mut()) {
        return body;
    }
    tokio::task::yield_now().await;
    if let Poll::Ready(body) = futures::poll!(body.as_mut()) {
        return body;
    }
    tokio::time::timeout(time, body).await.unwrap_or_else(|_| Err(Problem::body_late(time)))
}

/// Joins the pieces of a body. A body in one piece, as small ones are, is not copied.
async fn gather<E: std::fmt::Display>(
    mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
    declared: Option<usize>,
    bounds: Bounds,
    received: &AtomicUsize,
) -> Result<Bytes, Problem> {
    let mut share = Share { received, bound: bounds.all, held: 0 };
    let mut body = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Problem::body_broken(&error))?;
        let length = body.len() + piece.len();
        if length > bounds.one {
            return Err(Problem::body_too_large(None, bounds.one));
        }
        if body.is_empty() && declared == Some(length) {
            return Ok(piece);
        }
        share.take(piece.len())?;
        if length > body.capacity() {
            let capacity = capacity(length, declared.unwrap_or(bounds.one));
            body.reserve(capacity - body.len());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// How much to reserve for a body of which `length` bytes were received: it grows with what was
/// received, not with what was declared.
fn capacity(length: usize, most: usize) -> usize {
    (2 * length).min(most.max(length))
}

/// The bytes of one body in the count of all bodies.
struct Share<'a> {
    received: &'a AtomicUsize,
    bound: usize,
    held: usize,
}

impl Share<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), Problem> {
        let before = self.received.fetch_add(bytes, Ordering::Relaxed);
        self.held += bytes;
        if before + bytes > self.bound {
            return Err(Problem::too_many_bodies(self.bound));
        }
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.received.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;
    use std::time::Duration;

    use bytes::Bytes;
    use futures::{FutureExt as _, Stream, StreamExt as _, stream};

    use super::{Bounds, capacity, gather, within};

    const MIB: usize = 1 << 20;
    const BOUNDS: Bounds = Bounds { one: 64 * MIB, all: 3 * MIB, time: Duration::from_secs(1) };

    fn pieces(sizes: &[usize]) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin {
        let pieces: Vec<_> = sizes.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect();
        stream::iter(pieces)
    }

    #[test]
    fn a_body_is_what_its_pieces_are_together() {
        let received = AtomicUsize::new(0);
        for (sizes, declared) in
            [(&[][..], None), (&[5], Some(5)), (&[5], None), (&[1, 2, 3], Some(6)), (&[9, 9], None)]
        {
            let body = gather(pieces(sizes), declared, BOUNDS, &received).now_or_never();
            let body = body.expect("it is complete").expect("it is within bounds");
            assert_eq!(body.len(), sizes.iter().sum::<usize>(), "{sizes:?}");
        }
        assert_eq!(received.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_body_that_is_there_at_the_second_look_costs_no_timer() {
        // Outside of a runtime a timer would panic.
        let received = AtomicUsize::new(0);
        let mut looks = 0;
        let late = stream::poll_fn(|_| {
            looks += 1;
            match looks {
                1 => Poll::Pending,
                _ => Poll::Ready(Some(Ok::<_, Infallible>(Bytes::from_static(b"x")))),
            }
        });
        let mut body = pin!(within(BOUNDS.time, gather(late, Some(1), BOUNDS, &received)));
        assert!(body.as_mut().now_or_never().is_none());
        let body = body.as_mut().now_or_never().expect("it is complete");
        assert_eq!(body.ok().as_deref(), Some(&b"x"[..]));
    }

    /// 77 connections that each sent one byte of 64 MiB exhausted a host with 4 GiB of address
    /// space.
    #[test]
    fn what_is_reserved_is_what_came_and_not_what_was_declared() {
        assert_eq!(capacity(1, 64 * MIB), 2);
        assert_eq!((capacity(40 * MIB, 64 * MIB), capacity(7, 5)), (64 * MIB, 7));
        let received = AtomicUsize::new(0);
        let first = pieces(&[1]).chain(stream::pending());
        let mut body = Box::pin(gather(first, Some(64 * MIB), BOUNDS, &received));
        assert!(body.as_mut().now_or_never().is_none(), "the rest is missing");
        assert_eq!(received.load(Ordering::Relaxed), 1);
        drop(body);
        assert_eq!(received.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn bodies_that_are_too_much_together_are_refused_and_count_no_more() {
        let received = AtomicUsize::new(0);
        let first = pieces(&[2 * MIB]).chain(stream::pending());
        let mut waiting = Box::pin(gather(first, None, BOUNDS, &received));
        assert!(waiting.as_mut().now_or_never().is_none());
        let second =
            gather(pieces(&[MIB, 1]), None, BOUNDS, &received).now_or_never().expect("it is decided");
        assert_eq!(second.map_err(|problem| problem.status().as_u16()).err(), Some(503));
        assert_eq!(received.load(Ordering::Relaxed), 2 * MIB);
        drop(waiting);
        let third = gather(pieces(&[MIB, 1]), None, BOUNDS, &received).now_or_never().expect("it is decided");
        assert_eq!(third.ok().map(|body| body.len()), Some(MIB + 1));
        let long = gather(pieces(&[3 * MIB]), None, Bounds { one: MIB, ..BOUNDS }, &received);
        let long = long.now_or_never().expect("it is decided");
        assert_eq!(long.map_err(|problem| problem.status().as_u16()).err(), Some(413));
    }
}
