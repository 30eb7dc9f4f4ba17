//! The supervisor as an actor: it performs what [`Core`] decides. The main structure is
//! [`Supervisor`].

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::WrapFuture;
use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult,
    Recipient, ResponseFuture, SpawnHandle,
};
use tokio::sync::oneshot;

use super::core::{Action, Cause, Core, Event, SlotState};
use super::events::{RetireReason, WorkerEvent};
use crate::alarm::now;
use crate::backend::{Backend, KillReason, Link, Panic};
use crate::id::{CallId, Generation, SlotId, WorkerKey};
use crate::panic;
use crate::restart::{RestartConfig, jittered, later};
use crate::router::core::Availability;
use crate::router::{Drain, NotReplaced, Router, SetAvailability, WorkerDraining, WorkerUp};
use crate::worker::core::Patience;
use crate::worker::{Desks, DrainWorker, KillWorker, RetireLimits, Worker, WorkerSpec};

/// How a pool is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many workers.
    pub workers: u32,
    /// How they come back.
    pub restart: RestartConfig,
    /// How long calls and processes are waited for.
    pub patience: Patience,
    /// How many workers a call may kill.
    pub max_attempts: u32,
    /// A process is replaced after this many calls.
    pub max_calls: Option<u64>,
    /// A process is replaced at this age.
    pub max_lifetime: Option<Duration>,
    /// A process is replaced when it holds more bytes than this.
    pub max_rss: Option<u64>,
    /// The share of the three limits that is random.
    pub retire_jitter: f64,
    /// How long a process that is replaced may go on with what it has.
    pub drain_timeout: Duration,
    /// Seeds jitter; the same seed gives the same delays.
    pub seed: u64,
}

/// Owns one [`Worker`] per process.
pub struct Supervisor<B: Backend> {
    backend: Rc<B>,
    router: Addr<Router<B>>,
    desks: Desks<B>,
    settings: Settings,
    core: Core,
    random: fastrand::Rng,
    launches: Vec<Launch>,
    workers: Vec<Owned<B>>,
    /// A link that has become ready, until the core says what to do with it.
    arrived: Option<(WorkerKey, B::Link, Duration)>,
    subscribers: Subscribers<B>,
    last_exit: Vec<(SlotId, B::Exit)>,
    last_error: Option<B::StartError>,
    ready_waits: Vec<(usize, Tell<B>)>,
    reload_waits: Vec<Tell<B>>,
    resize_waits: Vec<Tell<B>>,
    stopped_waits: Vec<oneshot::Sender<()>>,
    wake: Option<(Instant, SpawnHandle)>,
}

/// Shared with what runs after a panic of the supervisor.
type Subscribers<B> = Rc<RefCell<Vec<Recipient<WorkerEvent<B>>>>>;

type Tell<B> = oneshot::Sender<Result<(), <B as Backend>::StartError>>;

struct Launch {
    key: WorkerKey,
    handle: SpawnHandle,
}

struct Owned<B: Backend> {
    key: WorkerKey,
    pid: u32,
    addr: Addr<Worker<B>>,
    draining: bool,
}

impl<B: Backend> Unpin for Supervisor<B> {}

impl<B: Backend> Supervisor<B> {
    /// Starts a supervisor, and with it the workers, on the arbiter of its router, whose `desks` it
    /// shares.
    pub fn start_with(
        backend: Rc<B>,
        router: Addr<Router<B>>,
        desks: Desks<B>,
        settings: Settings,
    ) -> Addr<Self> {
        let subscribers = Subscribers::<B>::default();
        let (heard, panics) = (Rc::clone(&subscribers), desks.clone());
        let supervisor = Self {
            backend,
            router,
            desks,
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
            panics.report_panic("supervisor", payload);
            panics.breakdown().panic().iter().for_each(|panic| announce_panic(&heard, panic));
        })
    }

    fn handle_event(&mut self, event: Event, ctx: &mut Context<Self>) {
        let random = &mut self.random;
        let actions = self.core.handle(event, now(), &mut || random.f64());
        for action in actions {
            self.perform(action, ctx);
        }
        self.tell_ready();
        if self.core.is_failing() {
            self.tell_failed();
        }
        self.set_wake(ctx);
    }

    /// Those who wait for workers hear that they come and go.
    fn tell_failed(&mut self) {
        let Some(error) = &self.last_error else { return };
        for tell in self.ready_waits.drain(..).map(|(_, tell)| tell).chain(self.resize_waits.drain(..)) {
            // The caller may have dropped the receiver.
            let _ = tell.send(Err(error.clone()));
        }
    }

    /// An actor panicked: the processes end, and the pool with them.
    fn on_panic(&mut self, panic: &Panic, ctx: &mut Context<Self>) {
        self.last_error = Some(B::panicked(panic));
        announce_panic(&self.subscribers, panic);
        self.tell_failed();
        tell_all(&mut self.reload_waits, &Err(B::panicked(panic)));
        self.handle_event(Event::Shutdown, ctx);
        for owned in &self.workers {
            owned.addr.do_send(KillWorker(KillReason::Shutdown));
        }
    }

    fn perform(&mut self, action: Action, ctx: &mut Context<Self>) {
        match action {
            Action::Launch(slot, generation) => self.launch(WorkerKey { slot, generation }, ctx),
            Action::CancelLaunch(slot, generation) => self.cancel_launch(WorkerKey { slot, generation }, ctx),
            Action::Serve(slot, generation) => self.serve(WorkerKey { slot, generation }, ctx),
            Action::Drain(slot, generation) => self.drain(WorkerKey { slot, generation }, ctx),
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
            Action::Reloaded => tell_all(&mut self.reload_waits, &Ok(())),
            Action::ReloadFailed(..) => {
                let error = self.last_error.clone().expect("a launch that failed left its error");
                tell_all(&mut self.reload_waits, &Err(error));
            }
            Action::Resized => tell_all(&mut self.resize_waits, &Ok(())),
            Action::Stopped => {
                // What a worker gave back at its end has no other worker to go to.
                self.router.do_send(Drain { now: true });
                for waiting in self.stopped_waits.drain(..) {
                    // Whoever asked may have stopped waiting.
                    let _ = waiting.send(());
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
        let WorkerKey { slot, generation } = key;
        match result {
            Ok(link) => {
                self.arrived = Some((key, link, now().saturating_duration_since(begun)));
                self.handle_event(Event::Ready(slot, generation), ctx);
                // A link that was not taken kills its process.
                self.arrived = None;
            }
            Err(error) => {
                self.last_error = Some(error.clone());
                self.router.do_send(NotReplaced(slot));
                self.announce(WorkerEvent::StartFailed { slot, generation, error });
                self.handle_event(Event::StartFailed(slot, generation), ctx);
                self.tell_failed();
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
            unreachable!("the core serves only what has just become ready");
        };
        let (pid, capacity) = (link.pid(), link.capacity().min(CallId::MAX_INDEX) as u32);
        // What failed before is no cause any more.
        self.last_error = None;
        let spec = WorkerSpec {
            key,
            desks: self.desks.clone(),
            router: self.router.clone(),
            supervisor: ctx.address(),
            patience: self.settings.patience,
            max_attempts: self.settings.max_attempts,
            retire: self.retire_limits(),
        };
        let addr = Worker::start_with(spec, link);
        self.router.do_send(WorkerUp { key, addr: addr.clone(), capacity });
        self.workers.push(Owned { key, pid, addr, draining: false });
        tracing::info!(slot = %key.slot, generation = %key.generation, pid, ?after, "worker started");
        self.announce(WorkerEvent::Started { slot: key.slot, generation: key.generation, pid, after });
    }

    /// Each process has its own limits, so that not all are replaced at once.
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
        // The router sends nothing after it has heard; what it sends before, and comes too late,
        // the worker gives back.
        owned.addr.do_send(DrainWorker);
        let addr = owned.addr.clone();
        ctx.run_later(self.settings.drain_timeout, move |_, _| {
            addr.do_send(KillWorker(KillReason::DrainTimeout))
        });
        self.announce(WorkerEvent::Draining { slot: key.slot, generation: key.generation });
    }

    fn set_availability(&self, availability: Availability) {
        self.router.do_send(SetAvailability::<B> { availability, cause: self.last_error.clone() });
    }

    fn announce(&self, event: WorkerEvent<B>) {
        announce(&self.subscribers, &event);
    }

    fn tell_ready(&mut self) {
        let serving = self.core.serving();
        for (_, tell) in self.ready_waits.extract_if(.., |(wanted, _)| *wanted <= serving) {
            // Whoever asked may have stopped waiting.
            let _ = tell.send(Ok(()));
        }
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

fn tell_all<E: Clone>(waits: &mut Vec<oneshot::Sender<Result<(), E>>>, result: &Result<(), E>) {
    for waiting in waits.drain(..) {
        // Whoever asked may have stopped waiting.
        let _ = waiting.send(result.clone());
    }
}

impl<B: Backend> Actor for Supervisor<B> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let breakdown = self.desks.breakdown().clone();
        let panicked = async move { breakdown.reported().await };
        ctx.spawn(panicked.into_actor(self).map(|panic, this, ctx| this.on_panic(&panic, ctx)));
        self.handle_event(Event::Start, ctx);
    }
}

/// A process is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerExited<B: Backend> {
    pub(crate) key: WorkerKey,
    pub(crate) pid: u32,
    pub(crate) exit: B::Exit,
    /// Whether the pool killed it, because a call did not end or because it was stopped.
    pub(crate) by_host: bool,
    pub(crate) lost_calls: usize,
    pub(crate) requeued: usize,
}

impl<B: Backend> Handler<WorkerExited<B>> for Supervisor<B> {
    type Result = ();

    fn handle(&mut self, exited: WorkerExited<B>, ctx: &mut Context<Self>) {
        let WorkerExited { key: WorkerKey { slot, generation }, pid, exit, by_host, lost_calls, requeued } =
            exited;
        let owned = self.workers.iter().position(|owned| owned.key == exited.key);
        let expected = owned.is_some_and(|index| self.workers.swap_remove(index).draining);
        self.last_exit.retain(|(of, _)| *of != slot);
        self.last_exit.push((slot, exit.clone()));
        if self.core.is_serving(slot, generation) {
            self.last_error = Some(B::crashed(&exit));
        }
        self.announce(WorkerEvent::Exited { slot, generation, pid, exit, expected, lost_calls, requeued });
        let cause = if by_host { Cause::Pool } else { Cause::Itself };
        self.handle_event(Event::Exited(slot, generation, cause), ctx);
    }
}

/// A process has served long enough.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RetireWanted {
    pub(crate) key: WorkerKey,
    pub(crate) reason: RetireReason,
}

impl<B: Backend> Handler<RetireWanted> for Supervisor<B> {
    type Result = ();

    fn handle(&mut self, wanted: RetireWanted, ctx: &mut Context<Self>) {
        let WorkerKey { slot, generation } = wanted.key;
        self.announce(WorkerEvent::Retiring { slot, generation, reason: wanted.reason });
        self.handle_event(Event::RetireWanted(slot, generation), ctx);
    }
}

/// Answers when this many workers serve, or with the error of the first start that fails before
/// that. Workers that become ready and end again and again are an error too, once the breaker opens
/// or one of them rests.
pub struct AwaitReady<B: Backend> {
    workers: Option<u32>,
    backend: PhantomData<fn() -> B>,
}

impl<B: Backend> AwaitReady<B> {
    /// Waits for this many; `None` for all.
    #[must_use]
    pub const fn new(workers: Option<u32>) -> Self {
        Self { workers, backend: PhantomData }
    }
}

impl<B: Backend> Message for AwaitReady<B> {
    type Result = Result<(), B::StartError>;
}

impl<B: Backend> Handler<AwaitReady<B>> for Supervisor<B> {
    type Result = ResponseFuture<Result<(), B::StartError>>;

    fn handle(&mut self, wait: AwaitReady<B>, _: &mut Context<Self>) -> Self::Result {
        let (tell, told) = oneshot::channel();
        let all = self.settings.workers;
        self.ready_waits.push((wait.workers.unwrap_or(all).min(all) as usize, tell));
        self.tell_ready();
        answered(told, &self.desks)
    }
}

/// The answer, or the error of a pool that has stopped or panicked before there was one.
fn answered<B: Backend>(
    told: oneshot::Receiver<Result<(), B::StartError>>,
    desks: &Desks<B>,
) -> ResponseFuture<Result<(), B::StartError>> {
    let breakdown = desks.breakdown().clone();
    Box::pin(async move {
        let ended = || breakdown.panic().map_or_else(B::stopped, |panic| B::panicked(&panic));
        told.await.unwrap_or_else(|_| Err(ended()))
    })
}

/// Replaces all workers one by one; each new one serves before the old one drains. Answers when all
/// are replaced, or with the error of a new worker that does not start: the old ones then stay.
pub struct ReloadAll<B: Backend>(PhantomData<fn() -> B>);

impl<B: Backend> Default for ReloadAll<B> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<B: Backend> Message for ReloadAll<B> {
    type Result = Result<(), B::StartError>;
}

impl<B: Backend> Handler<ReloadAll<B>> for Supervisor<B> {
    type Result = ResponseFuture<Result<(), B::StartError>>;

    fn handle(&mut self, _: ReloadAll<B>, ctx: &mut Context<Self>) -> Self::Result {
        let (tell, told) = oneshot::channel();
        self.reload_waits.push(tell);
        self.handle_event(Event::Reload, ctx);
        answered(told, &self.desks)
    }
}

/// Changes the number of workers. Answers when all serve, or with the error of one that does not
/// start. Those that go finish what they have.
pub struct Resize<B: Backend> {
    workers: u32,
    backend: PhantomData<fn() -> B>,
}

impl<B: Backend> Resize<B> {
    /// There are to be this many workers.
    #[must_use]
    pub const fn new(workers: u32) -> Self {
        Self { workers, backend: PhantomData }
    }
}

impl<B: Backend> Message for Resize<B> {
    type Result = Result<(), B::StartError>;
}

impl<B: Backend> Handler<Resize<B>> for Supervisor<B> {
    type Result = ResponseFuture<Result<(), B::StartError>>;

    fn handle(&mut self, resize: Resize<B>, ctx: &mut Context<Self>) -> Self::Result {
        let (tell, told) = oneshot::channel();
        self.resize_waits.push(tell);
        self.settings.workers = resize.workers;
        self.handle_event(Event::Resize(resize.workers), ctx);
        answered(told, &self.desks)
    }
}

/// Replaces the process of one slot; the new one serves before the old one drains. The answer says
/// whether the slot serves at all.
#[derive(Message)]
#[rtype(result = "bool")]
pub struct ReplaceSlot(pub SlotId);

impl<B: Backend> Handler<ReplaceSlot> for Supervisor<B> {
    type Result = bool;

    fn handle(&mut self, replace: ReplaceSlot, ctx: &mut Context<Self>) -> bool {
        let serving = self.core.slots().find(|view| view.slot == replace.0).and_then(|view| view.serving);
        if let Some((generation, _)) = serving {
            self.handle_event(Event::RetireWanted(replace.0, generation), ctx);
        }
        serving.is_some()
    }
}

/// Sends every [`WorkerEvent`] from now on to this recipient.
pub struct Subscribe<B: Backend>(pub Recipient<WorkerEvent<B>>);

impl<B: Backend> Message for Subscribe<B> {
    type Result = ();
}

impl<B: Backend> Handler<Subscribe<B>> for Supervisor<B> {
    type Result = ();

    fn handle(&mut self, subscribe: Subscribe<B>, _: &mut Context<Self>) {
        let mut subscribers = self.subscribers.borrow_mut();
        subscribers.retain(Recipient::connected);
        subscribers.push(subscribe.0);
    }
}

/// Lets no more calls in, lets those that are in end, then stops the workers. Answers when no
/// process is left.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Shutdown {
    /// After this time, what still waits ends with `ShuttingDown`, and processes that still run are
    /// killed.
    pub deadline: Duration,
}

impl<B: Backend> Handler<Shutdown> for Supervisor<B> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, shutdown: Shutdown, ctx: &mut Context<Self>) -> Self::Result {
        let (tell, told) = oneshot::channel();
        self.stopped_waits.push(tell);
        let drained = self.router.send(Drain { now: shutdown.deadline.is_zero() });
        // The router answers, or is gone with all its calls.
        ctx.spawn(drained.into_actor(self).map(|_, this, ctx| this.handle_event(Event::Shutdown, ctx)));
        ctx.run_later(shutdown.deadline, |this, ctx| {
            this.router.do_send(Drain { now: true });
            this.handle_event(Event::Shutdown, ctx);
            for owned in &this.workers {
                owned.addr.do_send(KillWorker(KillReason::Shutdown));
            }
        });
        Box::pin(async move {
            // A supervisor that is gone has stopped.
            let _ = told.await;
        })
    }
}

/// Asks for a [`SlotStatus`] per slot.
pub struct GetSlots<B: Backend>(PhantomData<fn() -> B>);

impl<B: Backend> Default for GetSlots<B> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<B: Backend> Message for GetSlots<B> {
    type Result = Vec<SlotStatus<B>>;
}

/// One slot, as the supervisor sees it.
pub struct SlotStatus<B: Backend> {
    /// Which.
    pub slot: SlotId,
    /// What it does.
    pub state: SlotState,
    /// The process that serves.
    pub generation: Option<Generation>,
    /// Its process id.
    pub pid: Option<u32>,
    /// How long it has served.
    pub uptime: Option<Duration>,
    /// How often the slot's process was replaced after it had ended by itself.
    pub restarts: u64,
    /// How often the slot's process was replaced after the pool had killed it.
    pub kills: u64,
    /// How the slot's last process ended.
    pub last_exit: Option<B::Exit>,
}

impl<B: Backend> Handler<GetSlots<B>> for Supervisor<B> {
    type Result = MessageResult<GetSlots<B>>;

    fn handle(&mut self, _: GetSlots<B>, _: &mut Context<Self>) -> Self::Result {
        let now = now();
        let pid_of = |slot, generation| {
            let key = WorkerKey { slot, generation };
            self.workers.iter().find(|owned| owned.key == key).map(|owned| owned.pid)
        };
        let row = |view: super::core::SlotView| SlotStatus {
            slot: view.slot,
            state: view.state,
            generation: view.serving.map(|(generation, _)| generation),
            pid: view.serving.and_then(|(generation, _)| pid_of(view.slot, generation)),
            uptime: view.serving.map(|(_, since)| now.saturating_duration_since(since)),
            restarts: view.restarts,
            kills: view.kills,
            last_exit: self
                .last_exit
                .iter()
                .find(|(slot, _)| *slot == view.slot)
                .map(|(_, exit)| exit.clone()),
        };
        MessageResult(self.core.slots().map(row).collect())
    }
}
