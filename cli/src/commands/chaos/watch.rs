//! How long workers take to come back. The main structure is [`Watch`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context, Handler, Message, MessageResult};
use actix_pyproc::{Pool, SlotId, WorkerEvent};

/// An actor that hears of every start and every end.
#[derive(Default)]
struct Listener {
    seen: Seen,
    /// Since when slots have had no process.
    down: BTreeMap<SlotId, Instant>,
}

/// What was heard of workers.
#[derive(Clone, Default)]
pub(super) struct Seen {
    /// All processes that ever served.
    pub(super) pids: Vec<u32>,
    recoveries: Vec<Duration>,
}

/// The listener of a pool.
pub(super) struct Watch(Addr<Listener>);

impl Watch {
    pub(super) async fn start(pool: &Pool) -> Self {
        let listener = Listener::default().start();
        pool.subscribe(listener.clone().recipient()).await;
        let pids = pool.status().await.slots.iter().filter_map(|slot| slot.pid).collect();
        listener.do_send(Running(pids));
        Self(listener)
    }

    /// What has been heard so far.
    pub(super) async fn seen(&self) -> Seen {
        self.0.send(Tell).await.unwrap_or_default()
    }
}

impl Seen {
    /// What this part of the recoveries took at most, in milliseconds: from the end of a process to
    /// the next one that serves in its slot.
    pub(super) fn recovery(&self, quantile: f64) -> f64 {
        let mut sorted = self.recoveries.clone();
        sorted.sort_unstable();
        let rank = (quantile * sorted.len() as f64).ceil() as usize;
        let at = sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default();
        (at.as_secs_f64() * 1e4).round() / 10.0
    }
}

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<WorkerEvent> for Listener {
    type Result = ();

    fn handle(&mut self, event: WorkerEvent, _: &mut Context<Self>) {
        match event {
            WorkerEvent::Started { slot, pid, .. } => {
                self.seen.pids.push(pid);
                self.seen.recoveries.extend(self.down.remove(&slot).map(|since| since.elapsed()));
            }
            WorkerEvent::Exited { slot, expected: false, .. } => {
                self.down.entry(slot).or_insert_with(Instant::now);
            }
            _ => {}
        }
    }
}

/// These serve already.
#[derive(Message)]
#[rtype(result = "()")]
struct Running(Vec<u32>);

impl Handler<Running> for Listener {
    type Result = ();

    fn handle(&mut self, running: Running, _: &mut Context<Self>) {
        self.seen.pids.extend(running.0);
    }
}

#[derive(Message)]
#[rtype(result = "Seen")]
struct Tell;

impl Handler<Tell> for Listener {
    type Result = MessageResult<Tell>;

    fn handle(&mut self, _: Tell, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.seen.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Seen;

    #[test]
    fn quantiles_of_recoveries_are_those_of_the_nearest_rank() {
        let seen = |ms: &[u64]| Seen {
            recoveries: ms.iter().copied().map(Duration::from_millis).collect(),
            ..Seen::default()
        };
        assert_eq!(seen(&[]).recovery(0.5), 0.0);
        assert_eq!((seen(&[7]).recovery(0.5), seen(&[7]).recovery(1.0)), (7.0, 7.0));
        assert_eq!(
            (seen(&[40, 10, 30, 20]).recovery(0.5), seen(&[40, 10, 30, 20]).recovery(1.0)),
            (20.0, 40.0)
        );
    }
}
