//! The supervisor as an actor: it performs what [`Core`] decides. The main structure is
//! [`Supervisor`].

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::WrapFuture;
use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Recipient, ResponseFuture, SpawnHandle,
};
use tokio::sync::oneshot;

use super::core::Core;
use super::event::{Action, Event};
use super::worker_event::WorkerEvent;
use crate::alarm::now;
use crate::backend::{Backend, Link, Panic};
use crate::id::{CallId, SlotId, WorkerKey};
use crate::panic;
use crate::reason::KillReason;
use crate::restart::{RestartConfig, jittered, later};
use crate::router::{Availability, Drain, NotReplaced, Router, SetAvailability, WorkerDraining, WorkerUp};
use crate::worker::{
    DrainWorker, KillWorker, NewWorkers, Patience, Policy, RetireLimits, Worker, WorkerSpec,
};

/// How a pool is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many workers.
    pub workers: u32,
    /// How workers that died are replaced.
    pub restart: RestartConfig,
    /// How long the pool waits for calls.
    pub patience: Patience,
    /// How many workers an idempotent call may be tried on.
    pub max_attempts: u32,
    /// A process is replaced after this many calls.
    pub max_calls: Option<u64>,
    /// A process is replaced at this age.
    pub max_lifetime: Option<Duration>,
    /// A process is replaced when it has more bytes of memory than this.
    pub max_rss: Option<u64>,
    /// The share of the three limits that is random.
    pub retire_jitter: f64,
    /// How long a process that is replaced may take to finish its calls.
    pub drain_timeout: Duration,
    /// Seeds the jitter. The same seed gives the same delays.
    pub seed: u64,
}

/// Owns one [`Worker`] per process.
pub struct Supervisor<B: Backend> {
    backend: Rc<B>,
    pub(super) router: Addr<Router<B>>,
    new_workers: NewWorkers<B>,
    pub(super) settings: Settings,
    pub(super) core: Core,
    random: fastrand::Rng,
    launches: Vec<Launch>,
    pub(super) workers: Vec<Owned<B>>,
    /// A link that has become ready, until the core decides about it.
    arrived: Option<(WorkerKey, B::Link, Duration)>,
    pub(super) subscribers: Subscribers<B>,
    pub(super) last_exit: Vec<(SlotId, B::Exit)>,
    pub(super) last_error: Option<B::StartError>,
    pub(super) ready_waits: Vec<(usize, StartSender<B>)>,
    pub(super) reload_waits: Vec<StartSender<B>>,
    pub(super) resize_waits: Vec<StartSender<B>>,
    pub(super) stopped_waits: Vec<oneshot::Sender<()>>,
    wake: Option<(Instant, SpawnHandle)>,
}

/// Shared with the code that runs after a panic of the supervisor.
type Subscribers<B> = Rc<RefCell<Vec<Recipient<WorkerEvent<B>>>>>;

/// Where the answer to a caller goes that waits for workers.
type StartSender<B> = oneshot::Sender<Result<(), <B as Backend>::StartError>>;

struct Launch {
    key: WorkerKey,
    handle: SpawnHandle,
}

pub(super) struct Owned<B: Backend> {
    pub(super) key: WorkerKey,
    pub(super) pid: u32,
    pub(super) addr: Addr<Worker<B>>,
    pub(super) draining: bool,
}

impl<B: Backend> Unpin for Supervisor<B> {}

impl<B: Backend> Supervisor<B> {
    /// Starts a supervisor and its workers on the arbiter of the router, with which it shares
    /// `new_workers`.
    pub fn start_with(
        backend: Rc<B>,
        router: Addr<Router<B>>,
        new_workers: NewWorkers<B>,
        settings: Settings,
    ) -> Addr<Self> {
        let subscribers = Subscribers::<B>::default();
        let (listeners, breakdown) = (Rc::clone(&subscribers), new_workers.breakdown().clone());
        let supervisor = Self {
            backend,
            router,
            new_workers,
            core: Core::new(settings.workers, settings.restart.clone()),
            random: fastrand::Rng::with_seed(settings.seed),
            settings,
            launches: Vec::new(),
            workers: Vec::new(),
            arrived: None,
            subscribers,
            last_exit: Vec::new(),
            last_error: None,
            ready_waits: Vec::new(),
            reload_waits: Vec::new(),
            resize_waits: Vec::new(),
            stopped_waits: Vec::new(),
            wake: None,
        };
        panic::start(supervisor, move |payload| {
            // The router kills the workers.
            breakdown.report("supervisor", payload);
            breakdown.panic().iter().for_each(|panic| announce_panic(&listeners, panic));
        })
    }

    pub(super) fn handle_event(&mut self, event: Event, ctx: &mut Context<Self>) {
        let random = &mut self.random;
        let actions = self.core.handle(event, now(), &mut || random.f64());
        for action in actions {
            self.perform(action, ctx);
        }
        self.answer_ready();
        if self.core.is_failing() {
            self.answer_failed();
        }
        self.set_wake(ctx);
    }

    /// Callers that wait for workers get the error of the last start.
    fn answer_failed(&mut self) {
        let Some(error) = &self.last_error else { return };
        let ready_waits = self.ready_waits.drain(..).map(|(_, sender)| sender);
        for sender in ready_waits.chain(self.resize_waits.drain(..)) {
            // The caller may have dropped the receiver.
            let _ = sender.send(Err(error.clone()));
        }
    }

    /// An actor panicked: ends the processes and the pool.
    fn on_panic(&mut self, panic: &Panic, ctx: &mut Context<Self>) {
        self.last_error = Some(B::panicked(panic));
        announce_panic(&self.subscribers, panic);
        self.answer_failed();
        answer_all(&mut self.reload_waits, &Err(B::panicked(panic)));
        self.handle_event(Event::Shutdown, ctx);
        for owned in &self.workers {
            owned.addr.do_send(KillWorker(KillReason::Shutdown));
        }
    }

    fn perform(&mut self, action: Action, ctx: &mut Context<Self>) {
        match action {
            Action::Launch(key) => self.launch(key, ctx),
            Action::CancelLaunch(key) => self.cancel_launch(key, ctx),
            Action::Serve(key) => self.serve(key, ctx),
            Action::Drain(key) => self.drain(key, ctx),
            Action::Waiting(slot, delay) => self.announce(WorkerEvent::Restarting { slot, delay }),
            Action::OpenBreaker(retry_at) => {
                self.set_availability(Availability::Unavailable { retry_at });
                self.announce(WorkerEvent::BreakerOpened {
                    retry_after: retry_at.saturating_duration_since(now()),
                });
            }
            Action::HalfOpenBreaker => self.announce(WorkerEvent::BreakerHalfOpened),
            Action::CloseBreaker => {
                self.set_availability(Availability::Open);
                self.announce(WorkerEvent::BreakerClosed);
            }
            Action::Reloaded => answer_all(&mut self.reload_waits, &Ok(())),
            Action::ReloadFailed(_) => {
                let error = self.last_error.clone().expect("a failed launch has set its error");
                answer_all(&mut self.reload_waits, &Err(error));
            }
            Action::Resized => answer_all(&mut self.resize_waits, &Ok(())),
            Action::Stopped => {
                // No worker is left for the calls that the last ones returned.
                self.router.do_send(Drain { now: true });
                for stopped in self.stopped_waits.drain(..) {
                    // The caller may have dropped the receiver.
                    let _ = stopped.send(());
                }
                ctx.stop();
            }
        }
    }

    fn launch(&mut self, key: WorkerKey, ctx: &mut Context<Self>) {
        let begun = now();
        let launch =
            self.backend.launch(key.slot, key.generation).into_actor(self).map(move |result, this, ctx| {
                this.launches.retain(|launch| launch.key != key);
                this.on_launched(key, begun, result, ctx);
            });
        let handle = ctx.spawn(launch);
        self.launches.push(Launch { key, handle });
    }

    fn on_launched(
        &mut self,
        key: WorkerKey,
        begun: Instant,
        result: Result<B::Link, B::StartError>,
        ctx: &mut Context<Self>,
    ) {
        match result {
            Ok(link) => {
                self.arrived = Some((key, link, now().saturating_duration_since(begun)));
                self.handle_event(Event::Ready(key), ctx);
                // Dropping a link that was not used kills its process.
                self.arrived = None;
            }
            Err(error) => {
                self.last_error = Some(error.clone());
                self.router.do_send(NotReplaced(key.slot));
                self.announce(WorkerEvent::StartFailed { worker: key, error });
                self.handle_event(Event::StartFailed(key), ctx);
                self.answer_failed();
            }
        }
    }

    fn cancel_launch(&mut self, key: WorkerKey, ctx: &mut Context<Self>) {
        if let Some(index) = self.launches.iter().position(|launch| launch.key == key) {
            // Dropping the future ends the process.
            ctx.cancel_future(self.launches.swap_remove(index).handle);
            self.router.do_send(NotReplaced(key.slot));
        }
    }

    fn serve(&mut self, key: WorkerKey, ctx: &mut Context<Self>) {
        let Some((_, link, after)) = self.arrived.take_if(|(arrived, ..)| *arrived == key) else {
            unreachable!("the core lets a process serve only when it becomes ready");
        };
        let (pid, capacity) = (link.pid(), link.capacity().min(CallId::MAX_INDEX) as u32);
        // Earlier failures are no longer the cause of anything.
        self.last_error = None;
        let supervisor = ctx.address();
        let spec = WorkerSpec {
            key,
            policy: Policy {
                patience: self.settings.patience,
                max_attempts: self.settings.max_attempts,
                retire: self.retire_limits(),
            },
            killed: self.router.clone().recipient(),
            down: self.router.clone().recipient(),
            retire: supervisor.clone().recipient(),
            exited: supervisor.recipient(),
        };
        let addr = Worker::start_with(spec, link, &self.new_workers);
        self.router.do_send(WorkerUp { key, addr: addr.clone(), capacity });
        self.workers.push(Owned { key, pid, addr, draining: false });
        tracing::info!(target: "pyproc::worker", slot = %key.slot, generation = %key.generation, pid, ?after, "worker started");
        self.announce(WorkerEvent::Started { worker: key, pid, after });
    }

    /// Each process gets its own limits, so that not all are replaced at once.
    fn retire_limits(&mut self) -> RetireLimits {
        let jitter = self.settings.retire_jitter;
        let random = &mut self.random;
        let mut scale = |limit: u64| {
            // The limits are far below 2^52, where f64 is exact.
            let spread = 1.0 + jitter * (2.0 * random.f64() - 1.0);
            ((limit as f64 * spread).round() as u64).max(1)
        };
        let max_calls = self.settings.max_calls.map(&mut scale);
        let max_rss = self.settings.max_rss.map(&mut scale);
        let lifetime = self.settings.max_lifetime.map(|life| jittered(life, jitter, self.random.f64()));
        RetireLimits { max_calls, at: lifetime.map(|life| later(now(), life)), max_rss }
    }

    fn drain(&mut self, key: WorkerKey, ctx: &mut Context<Self>) {
        let Some(owned) = self.workers.iter_mut().find(|owned| owned.key == key) else { return };
        owned.draining = true;
        self.router.do_send(WorkerDraining { key });
        // The router sends the worker nothing after this message. The worker returns calls that
        // were sent before and arrive too late.
        owned.addr.do_send(DrainWorker);
        let addr = owned.addr.clone();
        ctx.run_later(self.settings.drain_timeout, move |_, _| {
            addr.do_send(KillWorker(KillReason::DrainTimeout))
        });
        self.announce(WorkerEvent::Draining { worker: key });
    }

    fn set_availability(&self, availability: Availability) {
        self.router.do_send(SetAvailability::<B> { availability, cause: self.last_error.clone() });
    }

    pub(super) fn announce(&self, event: WorkerEvent<B>) {
        announce(&self.subscribers, &event);
    }

    /// Answers the callers that wait for no more workers than serve.
    pub(super) fn answer_ready(&mut self) {
        let serving = self.core.serving();
        for (_, sender) in self.ready_waits.extract_if(.., |(wanted, _)| *wanted <= serving) {
            // The caller may have dropped the receiver.
            let _ = sender.send(Ok(()));
        }
    }

    /// The answer, or the error of a pool that stopped or panicked before there was one.
    pub(super) fn answered(
        &self,
        answer: oneshot::Receiver<Result<(), B::StartError>>,
    ) -> ResponseFuture<Result<(), B::StartError>> {
        let breakdown = self.new_workers.breakdown().clone();
        Box::pin(async move {
            let ended = || breakdown.panic().map_or_else(B::stopped, |panic| B::panicked(&panic));
            answer.await.unwrap_or_else(|_| Err(ended()))
        })
    }

    fn set_wake(&mut self, ctx: &mut Context<Self>) {
        let next = self.core.next_wake();
        if next == self.wake.map(|(at, _)| at) {
            return;
        }
        if let Some((_, handle)) = self.wake.take() {
            ctx.cancel_future(handle);
        }
        if let Some(at) = next {
            let handle = ctx.run_later(at.saturating_duration_since(now()), |this, ctx| {
                this.wake = None;
                this.handle_event(Event::Tick, ctx);
            });
            self.wake = Some((at, handle));
        }
    }
}

fn announce<B: Backend>(subscribers: &Subscribers<B>, event: &WorkerEvent<B>) {
    for subscriber in &*subscribers.borrow() {
        subscriber.do_send(event.clone());
    }
}

fn announce_panic<B: Backend>(subscribers: &Subscribers<B>, panic: &Panic) {
    announce(subscribers, &WorkerEvent::Panicked { actor: panic.actor, message: Arc::clone(&panic.message) });
}

fn answer_all<E: Clone>(waits: &mut Vec<oneshot::Sender<Result<(), E>>>, result: &Result<(), E>) {
    for sender in waits.drain(..) {
        // The caller may have dropped the receiver.
        let _ = sender.send(result.clone());
    }
}

impl<B: Backend> Actor for Supervisor<B> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let breakdown = self.new_workers.breakdown().clone();
        let panicked = async move { breakdown.reported().await };
        ctx.spawn(panicked.into_actor(self).map(|panic, this, ctx| this.on_panic(&panic, ctx)));
        self.handle_event(Event::Start, ctx);
    }
}
