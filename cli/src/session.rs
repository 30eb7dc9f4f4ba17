//! The pool of a command, and the signals that stop it. The main structure is [`Session`].

use std::future::Future;

use actix_pyproc::{Pool, PoolConfig, StartError};

use crate::console::note;
use crate::failure::Failure;
use crate::signals::{Signals, StopSignal};

/// A running pool, and the signals that stop it.
pub(crate) struct Session {
    pub(crate) pool: Pool,
    signals: Signals,
}

impl Session {
    /// Starts the pool. A signal aborts the start at once: there are no calls to drain yet.
    pub(crate) async fn start(config: PoolConfig) -> Result<Self, Failure> {
        Self::start_with(Pool::start(config)).await
    }

    /// As [`Session::start`], for a worker that has the terminal.
    pub(crate) async fn start_beside_terminal(config: PoolConfig) -> Result<Self, Failure> {
        Self::start_until(Signals::listen_beside_terminal()?, Pool::start(config)).await
    }

    /// As [`Session::start`], for a pool that is started elsewhere.
    pub(crate) async fn start_with(
        pool: impl Future<Output = Result<Pool, StartError>>,
    ) -> Result<Self, Failure> {
        Self::start_until(Signals::listen()?, pool).await
    }

    async fn start_until(
        mut signals: Signals,
        pool: impl Future<Output = Result<Pool, StartError>>,
    ) -> Result<Self, Failure> {
        let pool = tokio::select! {
            pool = pool => pool?,
            signal = signals.next() => return Err(Failure::Signal(signal)),
        };
        Ok(Self { pool, signals })
    }

    /// Waits for the next signal. Cancellation safety: no signal is lost.
    pub(crate) async fn signal(&mut self) -> StopSignal {
        self.signals.next().await
    }

    /// Waits for `work`, which uses the pool. The first signal makes the pool reject new calls and
    /// wait for those in flight; it is returned with the outcome.
    ///
    /// # Errors
    /// [`Failure::Signal`] if a second signal comes. Dropping the session then kills what still
    /// runs.
    pub(crate) async fn run<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<(T, Option<StopSignal>), Failure> {
        let mut work = std::pin::pin!(work);
        let first = tokio::select! {
            biased;
            outcome = &mut work => return Ok((outcome, None)),
            signal = self.signals.next() => signal,
        };
        self.note_draining(first);
        tokio::select! {
            (outcome, ()) = async { tokio::join!(work, self.pool.shutdown()) } => Ok((outcome, Some(first))),
            second = self.signals.next() => Err(Failure::Signal(second)),
        }
    }

    /// Prints that a signal makes the pool drain.
    pub(crate) fn note_draining(&self, signal: StopSignal) {
        let limit = self.pool.config().drain_timeout;
        note(format_args!(
            "{signal}: waiting up to {limit:?} for running calls; a second signal stops at once"
        ));
    }

    /// Drains and stops the pool. If a signal comes, dropping the session kills what still runs.
    pub(crate) async fn stop(mut self) {
        tokio::select! {
            () = self.pool.shutdown() => {}
            _ = self.signals.next() => {}
        }
    }
}
