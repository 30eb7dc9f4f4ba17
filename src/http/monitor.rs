//! Watches the pool for the live pages: once a second, and when something happens to a worker. The
//! main structure is [`Monitor`].

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler, StreamHandler,
    WrapFuture as _,
};
use actix_pyproc_actors::router::Distribution;
use tokio::sync::Notify;

use super::feed::Parts;
use super::gateway::{Gateway, Shared};
use super::page::{NotReady, PageStatus, Point};
use crate::backend::failures::unix_ms;
use crate::pool::WorkerEvent;
use crate::status::{PoolStatus, Readiness};

const PERIOD: Duration = Duration::from_secs(1);
/// Worker events within this time cause a single look at the pool.
const SETTLE: Duration = Duration::from_millis(30);

impl Gateway {
    /// Starts to watch the pool for the live page, on the current thread; [`Gateway::routes`] does
    /// this too. It ends with the last clone of the gateway.
    pub fn watch(&self) {
        if self.options().dashboard && self.begin_to_watch() {
            let (gateway, wake) = (self.downgrade(), self.feed().wake());
            Monitor { gateway, wake, started: Instant::now(), last: None, scheduled: false }.start();
        }
    }
}

/// Looks at the pool and publishes what it sees. It stops at its first look after the gateway was
/// dropped, and holds the gateway, and so the pool, only during a look.
struct Monitor {
    gateway: Weak<Shared>,
    wake: Arc<Notify>,
    started: Instant,
    last: Option<Sample>,
    /// Whether an event of a worker has already scheduled a look.
    scheduled: bool,
}

/// The counters that the next point subtracts from its own.
struct Sample {
    at: Instant,
    ended: u64,
    errors: u64,
    latencies: Distribution,
    waits: Distribution,
    /// Processor time in milliseconds, by process.
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

impl StreamHandler<()> for Monitor {
    fn handle(&mut self, (): (), ctx: &mut Context<Self>) {
        self.look(ctx, false);
    }
}

impl Handler<WorkerEvent> for Monitor {
    type Result = ();

    fn handle(&mut self, _: WorkerEvent, ctx: &mut Context<Self>) {
        if !self.scheduled {
            self.scheduled = true;
            ctx.run_later(SETTLE, |this, ctx| {
                this.scheduled = false;
                this.look(ctx, false);
            });
        }
    }
}

impl Monitor {
    /// Asks the pool for its status and publishes it; `second` adds a point to the charts.
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
            this.publish(&gateway, status, second);
        }));
    }

    fn publish(&mut self, gateway: &Gateway, mut pool: PoolStatus, second: bool) {
        if !gateway.options().tracebacks {
            pool.redact();
        }
        let reason = NotReady::of(Readiness::from(&pool), gateway.is_draining());
        let parts = Parts {
            incidents: std::mem::take(&mut pool.incidents),
            crashes: std::mem::take(&mut pool.crashes),
            failures: std::mem::take(&mut pool.failures),
            log: std::mem::take(&mut pool.log),
        };
        // The first second needs a sample to subtract from.
        let point = if second || self.last.is_none() { self.point(&pool) } else { None };
        let uptime_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (ready, at, uptime_ms) = (reason.is_none(), unix_ms(SystemTime::now()), Some(uptime_ms));
        gateway.feed().publish(PageStatus { pool, ready, reason, at, uptime_ms }, parts, point);
    }

    fn point(&mut self, status: &PoolStatus) -> Option<Point> {
        let now = Sample::of(status);
        let last = self.last.replace(now)?;
        let now = self.last.as_ref()?;
        let seconds = now.at.saturating_duration_since(last.at).as_secs_f64().max(1e-3);
        let latencies = now.latencies.since(&last.latencies);
        let waits = now.waits.since(&last.waits);
        let quantile = |of: &Distribution, share| (of.count() > 0).then(|| of.quantile_us(share));
        // A process that is not in the last sample has started since.
        let cpu_ms: u64 = (now.cpu.iter())
            .map(|(pid, ms)| ms.saturating_sub(last.cpu.get(pid).copied().unwrap_or(0)))
            .sum();
        Some(Point {
            t: unix_ms(SystemTime::now()),
            calls: per_second(now.ended - last.ended, seconds),
            errors: per_second(now.errors - last.errors, seconds),
            p50: quantile(&latencies, 0.5),
            p95: quantile(&latencies, 0.95),
            p99: quantile(&latencies, 0.99),
            wait_p50: quantile(&waits, 0.5),
            wait_p99: quantile(&waits, 0.99),
            queued: status.queued,
            in_flight: status.in_flight,
            serving: status.serving,
            rss: status.slots.iter().filter_map(|slot| slot.rss_bytes).sum(),
            cpu: per_second(cpu_ms, seconds) / 1000.0,
        })
    }
}

impl Sample {
    fn of(status: &PoolStatus) -> Self {
        let errors = status.calls.errors.values().sum();
        let (mut latencies, mut waits) = (Distribution::default(), Distribution::default());
        for row in &status.functions {
            latencies.merge(&row.latencies);
            waits.merge(&row.queue_waits);
        }
        let cpu = status.slots.iter().filter_map(|slot| Some((slot.pid?, slot.cpu_ms?))).collect();
        Self { at: Instant::now(), ended: status.calls.ok + errors, errors, latencies, waits, cpu }
    }
}

#[expect(clippy::cast_precision_loss, reason = "people look at it")]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}
