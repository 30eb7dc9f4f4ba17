//! A call that knows the type of its result. The main structure is [`TypedCall`].

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::marker::{PhantomData, PhantomPinned};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use serde::de::DeserializeOwned;

use crate::call::{AffinityKey, Call, Reply};
use crate::error::CallError;
use crate::pool::{Pool, ReplyFuture};

pin_project! {
    /// A call whose result is a `T`, from a method that [`functions!`](crate::functions) declared.
    ///
    /// It is sent when it is first polled: when it is awaited, spawned or joined, and not before.
    /// [`Pool::call`] sends at once; a typed call waits for its setters.
    ///
    /// ```no_run
    /// # actix_pyproc::functions! { struct Model { fn predict(value: i64) -> i64; } }
    /// # async fn example(model: Model) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let out: i64 = model.predict(42).timeout(Duration::from_secs(1)).idempotent().await?;
    /// // It borrows nothing, and so it can run on a task, or at the same time as others.
    /// let task = tokio::spawn(model.predict(1));
    /// let several = futures::future::try_join_all((2..5).map(|value| model.predict(value))).await?;
    /// let one = task.await??;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cancellation safety: dropping it removes the call from the queue, or interrupts the call if
    /// it runs.
    #[must_use = "a typed call is sent when it is first polled: await it, spawn it, or join it"]
    pub struct TypedCall<T> {
        // The pool lives as long as its calls.
        pool: Pool,
        // Taken when the call is sent.
        call: Option<Result<Call, CallError>>,
        #[pin]
        reply: Option<ReplyFuture>,
        // A call that has been polled does not move, so no setter comes too late.
        #[pin]
        pinned: PhantomPinned,
        result: PhantomData<fn() -> T>,
    }
}

impl<T: DeserializeOwned> TypedCall<T> {
    #[doc(hidden)]
    pub fn new(pool: &Pool, call: Result<Call, CallError>) -> Self {
        let pool = pool.clone();
        Self { pool, call: Some(call), reply: None, pinned: PhantomPinned, result: PhantomData }
    }

    /// Sets the deadline, like [`Call::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        self.map(|call| call.timeout(timeout))
    }

    /// Allows the call to run again, like [`Call::idempotent`].
    pub fn idempotent(self) -> Self {
        self.map(Call::idempotent)
    }

    /// Sets the affinity key, like [`Call::affinity`].
    pub fn affinity(self, key: impl AffinityKey) -> Self {
        self.map(|call| call.affinity(key))
    }

    /// Adds metadata, like [`Call::metadata`].
    pub fn metadata(self, key: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) -> Self {
        self.map(|call| call.metadata(key, value))
    }

    /// Sets the trace context, like [`Call::traceparent`].
    pub fn traceparent(self, traceparent: impl Into<Cow<'static, str>>) -> Self {
        self.map(|call| call.traceparent(traceparent))
    }

    /// Sends the call when the future is first polled, and returns the reply, which names the
    /// worker, without decoding it.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn reply(self) -> Result<Reply, CallError> {
        let pool = self.pool.clone();
        pool.request(self.into_call()?).await
    }

    /// Returns the call as a plain actor message.
    ///
    /// # Errors
    /// [`CallError::Encode`] if the arguments cannot be encoded.
    pub fn into_call(self) -> Result<Call, CallError> {
        self.call.expect("a call that has been sent is pinned")
    }

    fn map(mut self, change: impl FnOnce(Call) -> Call) -> Self {
        self.call = self.call.map(|call| call.map(change));
        self
    }
}

impl<T: DeserializeOwned> Future for TypedCall<T> {
    type Output = Result<T, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(call) = this.call.take() {
            this.reply.set(Some(this.pool.request(call?)));
        }
        let reply = this.reply.as_pin_mut().expect("a future is not polled after it has resolved");
        Poll::Ready(ready!(reply.poll(cx)).and_then(|reply| reply.decode()))
    }
}

impl<T> fmt::Debug for TypedCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedCall").field(&self.call).finish()
    }
}
