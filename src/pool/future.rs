//! The futures that [`Pool::request`](crate::Pool::request) and [`Pool::call`](crate::Pool::call)
//! return. The main structure is [`ReplyFuture`].

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_pyproc_actors::router::Router;
use pin_project_lite::pin_project;
use serde::de::DeserializeOwned;
use tracing::Span;
use tracing::field::Empty;

use crate::backend::PythonBackend;
use crate::call::{Call, Reply};
use crate::error::CallError;

/// The message of a call, and the envelope that actix puts it in.
pub(super) type Request = actix::dev::Request<Router<PythonBackend>, Call>;

pin_project! {
    /// A call that has been sent; resolves to its outcome.
    ///
    /// Cancellation safety: dropping it removes the call from the queue, or interrupts the call if
    /// it runs.
    #[must_use = "dropping the future cancels the call"]
    pub struct ReplyFuture {
        #[pin]
        request: Request,
        span: Span,
    }
}

impl ReplyFuture {
    pub(super) fn new(span: Span, request: Request) -> Self {
        Self { request, span }
    }
}

impl Future for ReplyFuture {
    type Output = Result<Reply, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let span = Some(&*this.span).filter(|span| !span.is_disabled());
        let entered = span.map(Span::enter);
        let answer = ready!(this.request.poll(cx));
        drop(entered);
        // The arbiter that the pool ran on has stopped.
        let result = answer.unwrap_or(Err(CallError::ShuttingDown));
        if let Some(span) = span {
            record(span, &result);
        }
        Poll::Ready(result)
    }
}

pin_project! {
    /// A call that has been sent, unless its argument could not be encoded; resolves to its result
    /// as a `T`.
    ///
    /// Cancellation safety: as [`ReplyFuture`].
    #[must_use = "dropping the future cancels the call"]
    #[project = Projected]
    pub struct ValueFuture<T> {
        #[pin]
        sent: Sent,
        value: PhantomData<fn() -> T>,
    }
}

pin_project! {
    #[project = SentProjected]
    enum Sent {
        Sent { #[pin] reply: ReplyFuture },
        // Taken when it is returned.
        Unsent { error: Option<CallError> },
    }
}

impl<T> ValueFuture<T> {
    pub(super) fn new(sent: Result<ReplyFuture, CallError>) -> Self {
        let sent = match sent {
            Ok(reply) => Sent::Sent { reply },
            Err(error) => Sent::Unsent { error: Some(error) },
        };
        Self { sent, value: PhantomData }
    }
}

impl<T: DeserializeOwned> Future for ValueFuture<T> {
    type Output = Result<T, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().sent.project() {
            SentProjected::Sent { reply } => {
                Poll::Ready(ready!(reply.poll(cx)).and_then(|reply| reply.json()))
            }
            SentProjected::Unsent { error } => {
                Poll::Ready(Err(error.take().expect("a future is not polled after it has resolved")))
            }
        }
    }
}

impl fmt::Debug for ReplyFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyFuture").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ValueFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueFuture").finish_non_exhaustive()
    }
}

/// The span of a call; its last fields are recorded when the call ends.
pub(super) fn call_span(call: &Call) -> Span {
    tracing::debug_span!(
        target: "pyproc::call",
        "call",
        function = call.function(),
        traceparent = call.metadata_value("traceparent"),
        otel.kind = "client",
        outcome = Empty,
        slot = Empty,
        pid = Empty,
        service_us = Empty,
    )
}

fn record(span: &Span, result: &Result<Reply, CallError>) {
    match result {
        Ok(reply) => {
            span.record("outcome", "ok");
            span.record("slot", reply.served_by().0);
            span.record("pid", reply.pid());
            span.record("service_us", reply.service_time().as_micros());
        }
        Err(error) => {
            span.record("outcome", error.kind());
        }
    }
}
