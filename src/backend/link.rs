//! The connection to one worker, as the actors see it. The main structure is [`PythonLink`].

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use actix_pyproc_actors::backend::{KillReason, Link, LinkEvent, Phase, Unsent};
use actix_pyproc_actors::id::{CallId, SlotId};
use bytes::{Bytes, BytesMut};
use futures::future::{FutureExt as _, LocalBoxFuture};

use super::PythonBackend;
use super::registry::FunctionIds;
use crate::call::{Call, Reply};
use crate::config::PoolConfig;
use crate::error::{CallError, Exit, ExitCause};
use crate::process::body::Body;
use crate::process::connection::{Connection, ConnectionError};
use crate::process::stop::{End, end};
use crate::process::table::{FINISHED, Mark, RUNNING, SENT, SlotTable};
use crate::wire::message::{ErrorCode, Failure, Incoming};
use crate::wire::{Frame, Header, Kind};

/// The connection to one worker that serves. Dropping it kills the worker and all that it started.
pub struct PythonLink {
    pub(super) slot: SlotId,
    pub(super) pid: u32,
    config: Arc<PoolConfig>,
    functions: FunctionIds,
    names: Arc<[String]>,
    pub(super) body: Rc<Body>,
    pub(super) connection: Connection,
    table: SlotTable,
    state: State,
    /// Where faults come from, while the worker serves.
    #[cfg(feature = "fault-injection")]
    pub(super) seat: Option<crate::fault::Seat>,
    drained: bool,
    /// Who waits for the next event: an end that is begun from outside has to be polled.
    waker: Option<Waker>,
}

pub(super) struct Parts {
    pub(super) slot: SlotId,
    pub(super) config: Arc<PoolConfig>,
    #[cfg(feature = "fault-injection")]
    pub(super) seat: crate::fault::Seat,
    pub(super) functions: FunctionIds,
    pub(super) names: Arc<[String]>,
    pub(super) body: Rc<Body>,
    pub(super) connection: Connection,
    pub(super) table: SlotTable,
}

enum State {
    Serving,
    Ending(LocalBoxFuture<'static, Exit>),
    /// Reaped; what it left in the socket is still told.
    Ended(Arc<Exit>),
}

type Event = LinkEvent<PythonBackend>;

impl PythonLink {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            slot: parts.slot,
            pid: parts.body.pid(),
            config: parts.config,
            functions: parts.functions,
            names: parts.names,
            body: parts.body,
            connection: parts.connection,
            table: parts.table,
            #[cfg(feature = "fault-injection")]
            seat: Some(parts.seat),
            state: State::Serving,
            drained: false,
            waker: None,
        }
    }

    fn begin_end(&mut self, how: End) {
        self.leave_serving();
        self.state = State::Ending(end(Rc::clone(&self.body), how).boxed_local());
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// A worker that ends is hit by no more faults.
    fn leave_serving(&mut self) {
        #[cfg(feature = "fault-injection")]
        {
            self.seat = None;
        }
    }

    /// What the socket is at its end for; it is only heard while the worker serves.
    fn lost_connection(&mut self, error: Option<ConnectionError>) {
        if !matches!(self.state, State::Serving) {
            return;
        }
        self.begin_end(match error {
            Some(ConnectionError::Frame(error)) => End::Kill(ExitCause::Protocol(error.to_string().into())),
            Some(ConnectionError::Io(_)) | None => End::Gone { drained: self.drained },
        });
    }

    /// What a frame tells the actors, if anything.
    fn event(&mut self, frame: Frame) -> Option<Event> {
        match Incoming::decode(frame) {
            Ok(Incoming::Reply { call, codec, service, payload }) => {
                let reply = Reply::new(codec, payload, self.slot, self.pid, service);
                Some(done(call, Ok(reply), service))
            }
            Ok(Incoming::Error { call, code, service, failure }) => {
                let id = CallId::from_bits(call);
                Some(match code {
                    ErrorCode::Skipped => LinkEvent::Skipped(id),
                    ErrorCode::Interrupted => {
                        if !self.table.is_cancelled(id.index()) {
                            self.leaves();
                        }
                        LinkEvent::Interrupted(id)
                    }
                    _ => done(call, Err(self.call_error(code, failure)), service),
                })
            }
            Ok(Incoming::Pong { .. }) => None,
            Ok(other @ (Incoming::Welcome(_) | Incoming::Ready(_) | Incoming::Failed(_))) => {
                self.protocol_error(format!("{} while it served", other.name()))
            }
            Err(error) => self.protocol_error(error.to_string()),
        }
    }

    fn protocol_error(&mut self, what: String) -> Option<Event> {
        self.connection.close();
        if matches!(self.state, State::Serving) {
            self.begin_end(End::Kill(ExitCause::Protocol(what.into())));
        }
        None
    }

    /// Nobody here has cancelled the call that it has cut short: somebody else has told it to end
    /// (SIGTERM).
    fn leaves(&mut self) {
        if matches!(self.state, State::Serving) {
            self.begin_end(End::Leaving(self.config.stop_grace));
        }
    }

    fn call_error(&self, code: ErrorCode, failure: Failure) -> CallError {
        let Failure { type_name, message, traceback } = failure;
        match code {
            ErrorCode::Undecodable => CallError::Decode { message, ran: false },
            ErrorCode::Unencodable => CallError::Encode { message, ran: true },
            ErrorCode::NoFunction => {
                CallError::UnknownFunction { function: message, known: self.names.clone() }
            }
            ErrorCode::TooLarge => {
                CallError::PayloadTooLarge { size: None, limit: self.config.max_frame, ran: true }
            }
            ErrorCode::Raised | ErrorCode::Skipped | ErrorCode::Interrupted => {
                CallError::Exception { type_name, message, traceback }
            }
        }
    }

    /// The next frame's event, or `None` when the socket has nothing more for now, or at all.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Option<Event> {
        loop {
            match self.connection.poll_frame(cx) {
                Poll::Ready(Ok(Some(frame))) => {
                    if let Some(event) = self.event(frame) {
                        return Some(event);
                    }
                }
                Poll::Ready(Ok(None)) => {
                    self.lost_connection(None);
                    return None;
                }
                Poll::Ready(Err(error)) => {
                    self.lost_connection(Some(error));
                    return None;
                }
                Poll::Pending => return None,
            }
        }
    }

    /// Goes on with the end of the process, if it has one. Ready when there may be more frames than
    /// before.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.state {
            State::Serving if self.body.poll_exited(cx).is_ready() => {
                self.begin_end(End::Gone { drained: self.drained });
                Poll::Ready(())
            }
            State::Serving => Poll::Pending,
            State::Ending(end) => end.poll_unpin(cx).map(|exit| {
                self.connection.read_rest();
                tell_of(self.slot, &exit);
                self.state = State::Ended(Arc::new(exit));
            }),
            State::Ended(_) => Poll::Ready(()),
        }
    }
}

/// A worker that nobody asked to go is worth a warning.
fn tell_of(slot: SlotId, exit: &Exit) {
    let Exit { pid, cause, stacks, .. } = exit;
    match cause {
        ExitCause::Drained | ExitCause::Shutdown => tracing::debug!(%slot, pid, "worker {exit}"),
        _ => {
            let stacks = stacks.as_deref().map(|stacks| format!("; where it was:\n{}", stacks.trim_end()));
            tracing::warn!(%slot, pid, "worker {exit}{}", stacks.unwrap_or_default());
        }
    }
}

fn done(call: u32, result: Result<Reply, CallError>, service: Duration) -> Event {
    LinkEvent::Done { id: CallId::from_bits(call), result, service: Some(service) }
}

impl Link<PythonBackend> for PythonLink {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn capacity(&self) -> usize {
        self.config.max_in_flight
    }

    fn send(&mut self, id: CallId, call: &Call, deadline: Option<Instant>) -> Result<(), Unsent<CallError>> {
        let function = call.class().and_then(|class| self.functions.get(class)).ok_or(Unsent::NoFunction)?;
        let header = Header { kind: Kind::Call, codec: call.codec_byte(), function, call: id.bits() };
        self.table.arm(id.index(), deadline);
        if call.has_metadata() {
            let mut block = BytesMut::new();
            call.put_metadata(&mut block).map_err(Unsent::Refused)?;
            self.connection.stage(header, &block, call.payload());
        } else {
            self.connection.stage(header, &[], call.payload());
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !matches!(self.state, State::Serving) {
            return Poll::Ready(());
        }
        self.connection.poll_flush(cx).map(|written| {
            if let Err(error) = written {
                self.lost_connection(Some(error.into()));
            }
        })
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            if let Some(event) = self.poll_frames(cx) {
                return Poll::Ready(event);
            }
            if let State::Ended(exit) = &self.state {
                return Poll::Ready(LinkEvent::Lost(Arc::clone(exit)));
            }
            #[cfg(feature = "fault-injection")]
            self.poll_faults(cx);
            if self.poll_end(cx).is_pending() {
                match &mut self.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => self.waker = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            }
        }
    }

    fn phase(&self, id: CallId) -> Phase {
        match self.table.phase(id.index()) {
            SENT => Phase::Sent,
            RUNNING => Phase::Running,
            FINISHED => Phase::Finished,
            // A byte that the protocol does not have may hide a function that ran: it must not run
            // twice.
            _ => Phase::Running,
        }
    }

    fn cancel(&mut self, id: CallId) {
        self.table.mark(id.index(), Mark::Cancel);
        // One that has not started is seen to be marked before it starts.
        if self.phase(id) == Phase::Running {
            self.body.interrupt();
        }
    }

    fn revoke(&mut self, id: CallId) {
        self.table.mark(id.index(), Mark::Revoke);
    }

    fn drain(&mut self) {
        if !self.drained {
            self.drained = true;
            self.leave_serving();
            self.connection.stage(Header::control(Kind::Drain, 0), &[], &Bytes::new());
        }
    }

    fn kill(&mut self, reason: KillReason) {
        let how = match reason {
            KillReason::Stuck => End::KillWithStacks(ExitCause::Stuck),
            KillReason::Stopped => End::Kill(ExitCause::Stopped),
            KillReason::DrainTimeout => End::Terminate(ExitCause::DrainTimeout),
            KillReason::Shutdown => End::Terminate(ExitCause::Shutdown),
        };
        match &self.state {
            // One that ends is only hastened if it was waited for.
            State::Serving => self.begin_end(how),
            State::Ending(_) if self.drained => self.begin_end(how),
            State::Ending(_) | State::Ended(_) => {}
        }
    }

    fn is_stopped(&self) -> bool {
        self.body.is_stopped()
    }

    fn rss(&self) -> Option<u64> {
        self.body.rss()
    }
}

impl fmt::Debug for PythonLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PythonLink").field("slot", &self.slot).field("pid", &self.pid).finish_non_exhaustive()
    }
}
