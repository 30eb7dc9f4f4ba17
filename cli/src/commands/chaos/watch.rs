//! Measures how long a slot is without a worker after a crash. The main structure is [`Watch`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context, Handler, Message, MessageResult};
use actix_pyproc::pool::SlotId;
use actix_pyproc::{Pool, WorkerEvent};

/// An actor that receives every start and exit of a worker.
#[derive(Default)]
struct Observer {
    observations: Observations,
    /// When each slot without a process lost it.
    down: BTreeMap<SlotId, Instant>,
}

/// The workers and recoveries so far.
#[derive(Clone, Default)]
pub(super) struct Observations {
    /// All processes that have served.
    pub(super) pids: Vec<u32>,
    recoveries: Vec<Duration>,
}

/// The observer of a pool.
pub(super) struct Watch(Addr<Observer>);

impl Watch {
    pub(super) async fn start(pool: &Pool) -> Self {
        let observer = Observer::default().start();
        pool.subscribe(observer.clone().recipient()).await;
        let pids = pool.status().await.slots.iter().filter_map(|slot| slot.pid).collect();
        observer.do_send(Running(pids));
        Self(observer)
    }

    /// The observations so far.
    pub(super) async fn observations(&self) -> Observations {
        self.0.send(GetObservations).await.unwrap_or_default()
    }
}

impl Observations {
    /// A quantile of the recovery times in milliseconds. A recovery lasts from the end of a process
    /// until its slot serves again.
    pub(super) fn recovery(&self, quantile: f64) -> f64 {
        let mut sorted = self.recoveries.clone();
        sorted.sort_unstable();
        let rank = (quantile * sorted.len() as f64).ceil() as usize;
        let at = sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default();
        (at.as_secs_f64() * 1e4).round() / 10.0
    }
}

impl Actor for Observer {
    type Context = Context<Self>;
}

impl Handler<WorkerEvent> for Observer {
    type Result = ();

    fn handle(&mut self, event: WorkerEvent, _: &mut Context<Self>) {
        match event {
            WorkerEvent::Started { worker, pid, .. } => {
                self.observations.pids.push(pid);
                self.observations
                    .recoveries
                    .extend(self.down.remove(&worker.slot).map(|since| since.elapsed()));
            }
            WorkerEvent::Exited { worker, expected: false, .. } => {
                self.down.entry(worker.slot).or_insert_with(Instant::now);
            }
            _ => {}
        }
    }
}

/// The processes that serve already.
#[derive(Message)]
#[rtype(result = "()")]
struct Running(Vec<u32>);

impl Handler<Running> for Observer {
    type Result = ();

    fn handle(&mut self, running: Running, _: &mut Context<Self>) {
        self.observations.pids.extend(running.0);
    }
}

#[derive(Message)]
#[rtype(result = "Observations")]
struct GetObservations;

impl Handler<GetObservations> for Observer {
    type Result = MessageResult<GetObservations>;

    fn handle(&mut self, _: GetObservations, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.observations.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Observations;

    #[test]
    fn quantiles_of_recoveries_are_those_of_the_nearest_rank() {
        let after = |ms: &[u64]| Observations {
            recoveries: ms.iter().copied().map(Duration::from_millis).collect(),
            ..Observations::default()
        };
        assert_eq!(after(&[]).recovery(0.5), 0.0);
        assert_eq!((after(&[7]).recovery(0.5), after(&[7]).recovery(1.0)), (7.0, 7.0));
        assert_eq!(
            (after(&[40, 10, 30, 20]).recovery(0.5), after(&[40, 10, 30, 20]).recovery(1.0)),
            (20.0, 40.0)
        );
    }
}
