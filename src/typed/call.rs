//! A call that knows the type of its result. The main structure is [`TypedCall`].

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::call::{AffinityKey, Call, Reply};
use crate::error::CallError;
use crate::pool::Pool;

/// A call whose result is a `T`, from a method that [`functions!`](crate::functions) declared. It
/// is sent when it is awaited.
///
/// ```no_run
/// # actix_pyproc::functions! { struct Model { fn predict(value: i64) -> i64; } }
/// # async fn example(pool: Model) -> Result<(), actix_pyproc::CallError> {
/// let out: i64 = pool.predict(42).timeout(std::time::Duration::from_secs(1)).idempotent().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a call is sent when it is awaited"]
pub struct TypedCall<'a, T> {
    pool: &'a Pool,
    call: Result<Call, CallError>,
    result: PhantomData<fn() -> T>,
}

impl<'a, T: DeserializeOwned> TypedCall<'a, T> {
    #[doc(hidden)]
    pub fn new(pool: &'a Pool, call: Result<Call, CallError>) -> Self {
        Self { pool, call, result: PhantomData }
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

    /// Sends the call and returns the reply, which names the worker, without decoding it.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn reply(self) -> Result<Reply, CallError> {
        self.pool.request(self.call?).await
    }

    /// Returns the call as a plain actor message.
    ///
    /// # Errors
    /// [`CallError::Encode`] if the arguments cannot be encoded.
    pub fn into_call(self) -> Result<Call, CallError> {
        self.call
    }

    fn map(self, change: impl FnOnce(Call) -> Call) -> Self {
        Self { call: self.call.map(change), ..self }
    }
}

impl<'a, T: DeserializeOwned> IntoFuture for TypedCall<'a, T> {
    type Output = Result<T, CallError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { pool, call, .. } = self;
        Box::pin(async move { pool.request(call?).await?.decode() })
    }
}

impl<T> fmt::Debug for TypedCall<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedCall").field(&self.call).finish()
    }
}
