//! The life of a command's pool, with the signals that end it. The main structure is [`Session`].

use std::future::Future;

use actix_pyproc::{Pool, PoolConfig, StartError};

use crate::console::note;
use crate::failure::Failure;
use crate::signals::{Signal, Signals};

/// A pool that serves, and the signals that end it.
pub(crate) struct Session {
    pub(crate) pool: Pool,
    signals: Signals,
}

impl Session {
    /// Starts the pool. A signal stops it at once, for there is nothing to drain.
    pub(crate) async fn start(config: PoolConfig) -> Result<Self, Failure> {
        Self::start_with(Pool::start(config)).await
    }

    /// As [`Session::start`], of a pool that is started elsewhere.
    pub(crate) async fn start_with(
        pool: impl Future<Output = Result<Pool, StartError>>,
    ) -> Result<Self, Failure> {
        let mut signals = Signals::listen()?;
        let pool = tokio::select! {
            pool = pool => pool?,
            signal = signals.next() => return Err(Failure::Signal(signal)),
        };
        Ok(Self { pool, signals })
    }

    /// The next signal. Cancellation safety: none is lost.
    pub(crate) async fn signal(&mut self) -> Signal {
        self.signals.next().await
    }

    /// Waits for `work`, which uses the pool. The first signal lets no more work in and waits for
    /// what is in; it comes back with the outcome.
    ///
    /// # Errors
    /// [`Failure::Signal`] if a second signal comes. What still runs is killed when the session is
    /// dropped.
    pub(crate) async fn run<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<(T, Option<Signal>), Failure> {
        let mut work = std::pin::pin!(work);
        let first = tokio::select! {
            biased;
            outcome = &mut work => return Ok((outcome, None)),
            signal = self.signals.next() => signal,
        };
        let limit = self.pool.config().drain_timeout;
        note(format_args!(
            "{first}: waiting up to {limit:?} for what runs; a second signal stops it at once"
        ));
        tokio::select! {
            (outcome, ()) = async { tokio::join!(work, self.pool.shutdown()) } => Ok((outcome, Some(first))),
            second = self.signals.next() => Err(Failure::Signal(second)),
        }
    }

    /// Stops the pool: gently, unless a signal comes. Then what still runs is killed as the session
    /// is dropped.
    pub(crate) async fn stop(mut self) {
        tokio::select! {
            () = self.pool.shutdown() => {}
            _ = self.signals.next() => {}
        }
    }
}
