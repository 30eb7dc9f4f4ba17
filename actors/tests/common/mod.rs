//! Helpers of the tests in simulated time. The main item in this module is [`ready_pool`].

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler};
use actix_pyproc_actors::WorkerEvent;
use actix_pyproc_actors::router::Limits;
use actix_pyproc_actors::router::{GetStatus, RouterStatus};
use actix_pyproc_actors::supervisor::{
    AwaitReady, GetSlots, ReloadAll, Resize, Settings, SlotStatus, Subscribe,
};
use actix_pyproc_actors::testing::{
    Execution, Script, ScriptedBackend, ScriptedCall, ScriptedError, ScriptedPool, ScriptedReply,
};
use tokio::task::JoinHandle;

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const US: Duration = Duration::from_micros(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) type Answer = Result<ScriptedReply, ScriptedError>;
pub(crate) type Event = WorkerEvent<ScriptedBackend>;

/// Pauses the clock, starts a pool, and waits until all workers serve.
pub(crate) async fn ready_pool(limits: Limits, settings: Settings) -> ScriptedPool {
    tokio::time::pause();
    ready_pool_with(Script::new(), limits, settings).await
}

pub(crate) async fn ready_pool_with(script: Script, limits: Limits, settings: Settings) -> ScriptedPool {
    let pool = ScriptedPool::start_with(script, limits, settings);
    soon(ready(&pool)).await.expect("the launches succeed");
    pool
}

pub(crate) async fn ready(pool: &ScriptedPool) -> Result<(), &'static str> {
    pool.supervisor.send(AwaitReady::new(None)).await.expect("the supervisor lives")
}

pub(crate) async fn reload(pool: &ScriptedPool) -> Result<(), &'static str> {
    pool.supervisor.send(ReloadAll::default()).await.expect("the supervisor lives")
}

pub(crate) async fn resize(pool: &ScriptedPool, workers: u32) -> Result<(), &'static str> {
    pool.supervisor.send(Resize::new(workers)).await.expect("the supervisor lives")
}

pub(crate) async fn status(pool: &ScriptedPool) -> RouterStatus {
    pool.router.send(GetStatus).await.expect("the router lives")
}

pub(crate) async fn slots(pool: &ScriptedPool) -> Vec<SlotStatus<ScriptedBackend>> {
    pool.supervisor.send(GetSlots::default()).await.expect("the supervisor lives")
}

/// The result. The test fails if there is none within a simulated hour.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SECOND * 3600, future).await.expect("nothing hangs")
}

/// Sends a call now, and waits for its answer in a task of its own.
pub(crate) fn spawn(pool: &ScriptedPool, call: ScriptedCall) -> JoinHandle<(Answer, Instant)> {
    let answer = pool.call(call);
    actix_rt::spawn(async { (answer.await, now()) })
}

/// Sends calls now, in this order.
pub(crate) fn spawn_all(
    pool: &ScriptedPool,
    calls: impl IntoIterator<Item = ScriptedCall>,
) -> Vec<JoinHandle<(Answer, Instant)>> {
    calls.into_iter().map(|call| spawn(pool, call)).collect()
}

pub(crate) async fn answer(spawned: JoinHandle<(Answer, Instant)>) -> (Answer, Instant) {
    soon(spawned).await.expect("the call's task does not panic")
}

/// All answers, which must be the replies to these calls.
pub(crate) async fn replies(spawned: Vec<JoinHandle<(Answer, Instant)>>, first: u64) -> Vec<ScriptedReply> {
    let mut replies = Vec::with_capacity(spawned.len());
    for (seq, spawned) in (first..).zip(spawned) {
        let reply = answer(spawned).await.0.expect("the call succeeds");
        assert_eq!(reply.seq, seq);
        replies.push(reply);
    }
    replies
}

pub(crate) async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How often the call with this number ran.
pub(crate) fn runs(pool: &ScriptedPool, seq: u64) -> usize {
    pool.script.executions().iter().filter(|execution| execution.seq == seq).count()
}

pub(crate) fn assert_each_ran_once(pool: &ScriptedPool, calls: std::ops::Range<u64>) {
    let mut ran: Vec<u64> = pool.script.executions().iter().map(|execution| execution.seq).collect();
    ran.sort_unstable();
    assert_eq!(ran, calls.collect::<Vec<_>>());
}

pub(crate) fn execution(pool: &ScriptedPool, seq: u64) -> Execution {
    *pool.script.executions().iter().rev().find(|execution| execution.seq == seq).expect("the call ran")
}

/// Asserts that `at` is `expected` or up to 2 ms later, because timers count whole milliseconds.
#[track_caller]
pub(crate) fn assert_at(at: Instant, expected: Instant) {
    let late = at.checked_duration_since(expected);
    assert!(
        late.is_some_and(|late| late <= MS * 2),
        "{:?} after instead of {:?} before the expected time",
        late,
        expected.checked_duration_since(at)
    );
}

/// Collects the events of a pool.
pub(crate) struct Listener(Rc<RefCell<Vec<(Instant, Event)>>>);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Event> for Listener {
    type Result = ();

    fn handle(&mut self, event: Event, _: &mut Context<Self>) {
        self.0.borrow_mut().push((now(), event));
    }
}

/// The events of the pool from now on.
pub(crate) fn listen(pool: &ScriptedPool) -> Rc<RefCell<Vec<(Instant, Event)>>> {
    let heard = Rc::default();
    let listener = Listener(Rc::clone(&heard)).start();
    pool.supervisor.do_send(Subscribe(listener.recipient()));
    heard
}

/// The names of the events.
pub(crate) fn names(heard: &Rc<RefCell<Vec<(Instant, Event)>>>) -> Vec<&'static str> {
    let name = |event: &Event| match event {
        WorkerEvent::Started { .. } => "started",
        WorkerEvent::StartFailed { .. } => "start failed",
        WorkerEvent::Exited { expected: true, .. } => "exited as expected",
        WorkerEvent::Exited { .. } => "exited",
        WorkerEvent::Restarting { .. } => "restarting",
        WorkerEvent::Retiring { .. } => "retiring",
        WorkerEvent::Draining { .. } => "draining",
        WorkerEvent::BreakerOpened { .. } => "opened",
        WorkerEvent::BreakerHalfOpened => "half-opened",
        WorkerEvent::BreakerClosed => "closed",
        WorkerEvent::Panicked { .. } => "panicked",
        _ => "unknown",
    };
    heard.borrow().iter().map(|(_, event)| name(event)).collect()
}
