//! Watches the pool for the live page: once a second, and when something happens to a worker. The
//! main structure is [`Monitor`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, WrapFuture as _,
};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{Notify, broadcast};

use super::Gateway;
use super::gateway::Shared;
use super::health::unready;
use crate::{Distribution, Incident, PoolStatus, WorkerEvent};

const PERIOD: Duration = Duration::from_secs(1);
/// Events that come together are told together.
const SETTLE: Duration = Duration::from_millis(30);
/// Five minutes.
const POINTS: usize = 300;
/// A page that is this many messages behind is cut off, and comes back by itself.
const BEHIND: usize = 64;

/// What the live pages are told.
#[derive(Debug)]
pub(super) struct Feed {
    pages: broadcast::Sender<Bytes>,
    state: Mutex<State>,
    /// Shared with the monitor, which does not keep the gateway alive.
    wake: Arc<Notify>,
}

/// What a page that comes anew is told first.
#[derive(Debug, Default)]
struct State {
    points: VecDeque<Point>,
    status: serde_json::Value,
    incidents: Vec<Incident>,
}

/// One second of the pool's life.
#[derive(Clone, Debug, Serialize)]
struct Point {
    t: u64,
    calls: f64,
    errors: f64,
    p50: Option<u64>,
    p95: Option<u64>,
    p99: Option<u64>,
    queued: usize,
    in_flight: usize,
    serving: usize,
    rss: u64,
    cpu: f64,
}

impl Default for Feed {
    fn default() -> Self {
        Self { pages: broadcast::Sender::new(BEHIND), state: Mutex::default(), wake: Arc::default() }
    }
}

impl Feed {
    /// What there is to know now, and what comes from now on.
    pub(super) fn listen(&self) -> (Bytes, broadcast::Receiver<Bytes>) {
        let state = self.state();
        // Under the lock, so that nothing is told twice or not at all.
        let coming = self.pages.subscribe();
        let State { points, status, incidents } = &*state;
        (message("hello", &json!({"points": points, "status": status, "incidents": incidents})), coming)
    }

    /// Something that the pages show has changed.
    pub(super) fn changed(&self) {
        self.wake.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: &str, data: &impl Serialize) {
        // That nobody looks is no error.
        let _ = self.pages.send(message(event, data));
    }
}

/// A server-sent event.
fn message(event: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).expect("all that is told has a JSON");
    format!("event: {event}\ndata: {data}\n\n").into()
}

/// Starts the monitor of a gateway on the current arbiter.
pub(super) fn start(gateway: &Gateway) {
    let wake = Arc::clone(&gateway.feed().wake);
    Monitor { gateway: gateway.downgrade(), wake, begun: Instant::now(), last: None, due: false }.start();
}

/// Ends at its first look after the gateway is gone. It holds the gateway, and so the pool, only
/// while it looks.
struct Monitor {
    gateway: Weak<Shared>,
    wake: Arc<Notify>,
    /// Since when the gateway is up, for the pages.
    begun: Instant,
    last: Option<Sample>,
    /// Whether a look is due anyhow.
    due: bool,
}

/// What a point is the difference to.
struct Sample {
    at: Instant,
    ended: u64,
    errors: u64,
    latencies: Distribution,
    cpu: BTreeMap<u32, u64>,
}

impl Actor for Monitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (gateway, me) = (self.gateway.clone(), ctx.address().recipient());
        let subscribe = async move {
            if let Some(gateway) = Gateway::upgrade(&gateway) {
                gateway.pool().subscribe(me).await;
            }
        };
        ctx.spawn(subscribe.into_actor(self));
        ctx.run_interval(PERIOD, |this, ctx| this.look(ctx, true));
        let wakes = futures::stream::unfold(Arc::clone(&self.wake), |wake| async move {
            wake.notified().await;
            Some(((), wake))
        });
        ctx.add_stream(wakes);
        self.look(ctx, false);
    }
}

impl actix::StreamHandler<()> for Monitor {
    fn handle(&mut self, (): (), ctx: &mut Context<Self>) {
        self.look(ctx, false);
    }
}

impl Handler<WorkerEvent> for Monitor {
    type Result = ();

    fn handle(&mut self, _: WorkerEvent, ctx: &mut Context<Self>) {
        if !self.due {
            self.due = true;
            ctx.run_later(SETTLE, |this, ctx| {
                this.due = false;
                this.look(ctx, false);
            });
        }
    }
}

impl Monitor {
    fn look(&mut self, ctx: &mut Context<Self>, second: bool) {
        let Some(gateway) = Gateway::upgrade(&self.gateway) else {
            ctx.stop();
            return;
        };
        let look = async move {
            let status = gateway.pool().status().await;
            (gateway, status)
        };
        ctx.spawn(look.into_actor(self).map(move |(gateway, status), this, _| {
            this.saw(&gateway, status, second);
        }));
    }

    fn saw(&mut self, gateway: &Gateway, mut status: PoolStatus, second: bool) {
        if !gateway.options().tracebacks {
            withhold(&mut status);
        }
        let unready = unready(gateway, &status);
        let incidents = std::mem::take(&mut status.incidents);
        // The first look is what the first second is the difference to.
        let point = if second || self.last.is_none() { self.point(&status) } else { None };
        let mut told = serde_json::to_value(&status).expect("a status is plain values");
        told["ready"] = json!(unready.is_none());
        told["reason"] = json!(unready);
        told["at"] = json!(unix_ms());
        told["uptime_ms"] = json!(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX));

        let feed = gateway.feed();
        let mut state = feed.state();
        state.status = told;
        feed.tell("status", &state.status);
        if let Some(point) = point {
            feed.tell("point", &point);
            if state.points.len() == POINTS {
                state.points.pop_front();
            }
            state.points.push_back(point);
        }
        if incidents != state.incidents {
            feed.tell("incidents", &incidents);
            state.incidents = incidents;
        }
    }

    fn point(&mut self, status: &PoolStatus) -> Option<Point> {
        let now = Sample::of(status);
        let last = self.last.replace(now)?;
        let now = self.last.as_ref()?;
        let seconds = now.at.saturating_duration_since(last.at).as_secs_f64().max(1e-3);
        let latencies = now.latencies.since(&last.latencies);
        let quantile = |share| (latencies.count() > 0).then(|| latencies.quantile_us(share));
        // A process that is new has used all of its time since.
        let cpu_ms: u64 = (now.cpu.iter())
            .map(|(pid, ms)| ms.saturating_sub(last.cpu.get(pid).copied().unwrap_or(0)))
            .sum();
        Some(Point {
            t: unix_ms(),
            calls: per_second(now.ended - last.ended, seconds),
            errors: per_second(now.errors - last.errors, seconds),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            queued: status.queued,
            in_flight: status.in_flight,
            serving: status.serving,
            rss: status.slots.iter().filter_map(|slot| slot.rss_bytes).sum(),
            cpu: per_second(cpu_ms, seconds) / 1000.0,
        })
    }
}

/// Takes out what tells of the code: what workers wrote, and where they were.
fn withhold(status: &mut PoolStatus) {
    status.slots.iter_mut().for_each(|slot| slot.last_stderr.clear());
    for incident in &mut status.incidents {
        incident.stderr.clear();
        incident.stacks = None;
        if incident.cause == "start_failed" {
            // It has the text of the exception.
            incident.what = "failed to start".to_owned();
        }
    }
}

impl Sample {
    fn of(status: &PoolStatus) -> Self {
        let errors = status.errors.values().sum();
        let mut latencies = Distribution::default();
        status.functions.iter().for_each(|row| latencies.merge(&row.latencies));
        let cpu = status.slots.iter().filter_map(|slot| Some((slot.pid?, slot.cpu_ms?))).collect();
        Self { at: Instant::now(), ended: status.ok + errors, errors, latencies, cpu }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to look at")]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
