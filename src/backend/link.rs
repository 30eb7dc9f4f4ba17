//! One worker as the actors see it. The main structure is [`PythonLink`].

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Instant, SystemTime};

use actix_pyproc_actors::backend::{Link, LinkEvent, Unsent};
use actix_pyproc_actors::call::Phase;
use actix_pyproc_actors::id::{CallId, FunctionId, SlotId};
use actix_pyproc_actors::reason::KillReason;
use bytes::Bytes;
use futures::future::{FutureExt as _, LocalBoxFuture};

use super::PythonBackend;
use super::failures::Failures;
#[cfg(feature = "fault-injection")]
use super::fault_port::FaultPort;
use super::registry::FunctionIds;
use crate::call::{Call, Reply};
use crate::config::PoolConfig;
use crate::error::{ArgumentError, ArgumentErrorKind, CallError, ExceptionInfo, Exit, ExitCause};
use crate::process::connection::ConnectionError;
use crate::process::end::{EndMode, end};
use crate::process::table::{CallPhase, Mark};
use crate::process::worker::WorkerProcess;
use crate::wire::frame::ServiceTime;
use crate::wire::message::{ErrorCode, Failure, Incoming};
use crate::wire::{Frame, Header, Kind};

/// The link to one worker that serves. Dropping it kills the worker and its process group.
pub struct PythonLink {
    slot: SlotId,
    pid: u32,
    config: Arc<PoolConfig>,
    functions: FunctionIds,
    names: Arc<[String]>,
    failures: Rc<RefCell<Failures>>,
    pub(super) worker: WorkerProcess,
    state: State,
    /// The source of injected faults, while the worker serves.
    #[cfg(feature = "fault-injection")]
    pub(super) fault_port: Option<FaultPort>,
    drained: bool,
    /// The task that polls for events. It is woken when [`Link::kill`] begins the end.
    waker: Option<Waker>,
}

enum State {
    Serving,
    Ending(LocalBoxFuture<'static, Exit>),
    /// The process is reaped. The frames that it left in the socket still become events.
    Ended(Arc<Exit>),
}

type Event = LinkEvent<PythonBackend>;

impl PythonLink {
    pub(super) fn new(
        slot: SlotId,
        config: Arc<PoolConfig>,
        functions: FunctionIds,
        names: Arc<[String]>,
        failures: Rc<RefCell<Failures>>,
        worker: WorkerProcess,
        #[cfg(feature = "fault-injection")] fault_port: FaultPort,
    ) -> Self {
        Self {
            slot,
            pid: worker.pid(),
            config,
            functions,
            names,
            failures,
            worker,
            #[cfg(feature = "fault-injection")]
            fault_port: Some(fault_port),
            state: State::Serving,
            drained: false,
            waker: None,
        }
    }

    fn begin_end(&mut self, mode: EndMode) {
        self.close_fault_port();
        self.state = State::Ending(end(&self.worker, mode).boxed_local());
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Faults do not hit a worker that ends.
    fn close_fault_port(&mut self) {
        #[cfg(feature = "fault-injection")]
        {
            self.fault_port = None;
        }
    }

    /// Handles the end of the socket. It begins the end of a worker that serves; one that ends
    /// already is left alone.
    fn lost_connection(&mut self, error: Option<ConnectionError>) {
        if !matches!(self.state, State::Serving) {
            return;
        }
        self.begin_end(match error {
            Some(ConnectionError::Frame(error)) => {
                EndMode::Kill(ExitCause::Protocol(error.to_string().into()))
            }
            Some(ConnectionError::Io(_)) | None => EndMode::Closed { drained: self.drained },
        });
    }

    /// The event of a frame, if it has one.
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
                        if !self.worker.table.is_cancelled(id.index()) {
                            self.expect_exit();
                        }
                        LinkEvent::Interrupted(id)
                    }
                    _ => done(call, Err(self.call_error(code, failure)), service),
                })
            }
            Ok(other @ (Incoming::Welcome(_) | Incoming::Ready(_) | Incoming::Failed(_))) => {
                self.protocol_error(format!("{} while it served", other.name()))
            }
            Err(error) => self.protocol_error(error.to_string()),
        }
    }

    fn protocol_error(&mut self, what: String) -> Option<Event> {
        self.worker.connection.close();
        if matches!(self.state, State::Serving) {
            self.begin_end(EndMode::Kill(ExitCause::Protocol(what.into())));
        }
        None
    }

    /// Handles an interrupted call that the host did not cancel: another process sent SIGTERM, so
    /// the worker exits.
    fn expect_exit(&mut self) {
        if matches!(self.state, State::Serving) {
            self.begin_end(EndMode::Exiting(self.config.stop_grace));
        }
    }

    fn call_error(&self, code: ErrorCode, failure: Failure) -> CallError {
        let Failure { type_name, message, traceback, bases, args, errors } = failure;
        match code {
            ErrorCode::Undecodable => CallError::Decode { message, ran: false },
            ErrorCode::Unencodable => CallError::Encode { message, ran: true },
            ErrorCode::InvalidArgument if errors.is_empty() => {
                let error = ArgumentError { path: "".into(), message, kind: ArgumentErrorKind::Other };
                CallError::InvalidArgument { errors: [error].into() }
            }
            ErrorCode::InvalidArgument => CallError::InvalidArgument { errors },
            ErrorCode::NoFunction => {
                CallError::UnknownFunction { function: message, known: self.names.clone() }
            }
            ErrorCode::TooLarge => {
                CallError::PayloadTooLarge { size: None, limit: self.config.max_frame, ran: true }
            }
            ErrorCode::Raised | ErrorCode::Skipped | ErrorCode::Interrupted => {
                let info = Box::new(ExceptionInfo { bases, args });
                CallError::Exception { type_name, message, traceback, info }
            }
        }
    }

    /// The event of the next frame, or `None` if the socket has no complete frame or is at its end.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Option<Event> {
        loop {
            match self.worker.connection.poll_frame(cx) {
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

    /// Polls the end of the process. Ready means that there may be more frames.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.state {
            State::Serving if self.worker.poll_exited(cx).is_ready() => {
                self.begin_end(EndMode::Closed { drained: self.drained });
                Poll::Ready(())
            }
            State::Serving => Poll::Pending,
            State::Ending(end) => end.poll_unpin(cx).map(|exit| {
                self.worker.connection.read_rest();
                log_exit(self.slot, &exit);
                self.state = State::Ended(Arc::new(exit));
            }),
            State::Ended(_) => Poll::Ready(()),
        }
    }
}

/// Logs the end of a worker, as a warning if nobody asked for it.
fn log_exit(slot: SlotId, exit: &Exit) {
    let Exit { pid, cause, stacks, .. } = exit;
    match cause {
        ExitCause::Drained | ExitCause::Shutdown => {
            tracing::debug!(target: "pyproc::worker", %slot, pid, "worker {exit}")
        }
        _ => {
            let stacks = stacks.as_deref().map(|stacks| format!("; its stacks:\n{}", stacks.trim_end()));
            tracing::warn!(target: "pyproc::worker", %slot, pid, "worker {exit}{}", stacks.unwrap_or_default());
        }
    }
}

fn done(call: u32, result: Result<Reply, CallError>, service: ServiceTime) -> Event {
    LinkEvent::Done { id: CallId::from_bits(call), result, service: Some(service.duration()) }
}

impl Link<PythonBackend> for PythonLink {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn capacity(&self) -> usize {
        self.config.max_in_flight
    }

    fn send(
        &mut self,
        id: CallId,
        function: FunctionId,
        call: &Call,
        deadline: Option<Instant>,
    ) -> Result<(), Unsent<CallError>> {
        let function = self.functions.get(function).ok_or(Unsent::NoFunction)?;
        let metadata = call.metadata_block().map_err(Unsent::Rejected)?;
        let header = Header { kind: Kind::Call, codec: call.codec_byte(), function, call: id.bits() };
        self.worker.table.arm(id.index(), deadline);
        self.worker.connection.stage(header, metadata, call.payload());
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !matches!(self.state, State::Serving) {
            return Poll::Ready(());
        }
        self.worker.connection.poll_flush(cx).map(|written| {
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
        match self.worker.table.phase(id.index()) {
            Some(CallPhase::Sent) => Phase::Sent,
            Some(CallPhase::Finished) => Phase::Finished,
            // After an unknown byte the function may have run, so the call must not run twice.
            Some(CallPhase::Running) | None => Phase::Running,
        }
    }

    fn cancel(&mut self, id: CallId) {
        self.worker.table.mark(id.index(), Mark::Cancel);
        // The worker reads the mark before it starts a call.
        if self.phase(id) == Phase::Running {
            self.worker.interrupt();
        }
    }

    fn revoke(&mut self, id: CallId) {
        self.worker.table.mark(id.index(), Mark::Revoke);
    }

    fn failed(&mut self, function: FunctionId, error: &CallError, now: Instant) {
        self.failures.borrow_mut().record(Some(function), error, now, SystemTime::now);
    }

    fn drain(&mut self) {
        if !self.drained {
            self.drained = true;
            self.close_fault_port();
            self.worker.connection.stage(Header::control(Kind::Drain, 0), &[], &Bytes::new());
        }
    }

    fn kill(&mut self, reason: KillReason) {
        let mode = match reason {
            KillReason::Stuck => EndMode::KillWithStacks(ExitCause::Stuck),
            KillReason::Stopped => EndMode::Kill(ExitCause::Stopped),
            KillReason::DrainTimeout => EndMode::Terminate(ExitCause::DrainTimeout),
            KillReason::Shutdown => EndMode::Terminate(ExitCause::Shutdown),
        };
        match &self.state {
            // An end that has begun is only replaced during a drain, which may take long.
            State::Serving => self.begin_end(mode),
            State::Ending(_) if self.drained => self.begin_end(mode),
            State::Ending(_) | State::Ended(_) => {}
        }
    }

    fn is_stopped(&self) -> bool {
        self.worker.is_stopped()
    }

    fn rss(&self) -> Option<u64> {
        self.worker.rss()
    }
}

impl fmt::Debug for PythonLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PythonLink").field("slot", &self.slot).field("pid", &self.pid).finish_non_exhaustive()
    }
}
