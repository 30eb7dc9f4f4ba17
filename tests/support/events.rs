//! The events of a pool. The main structure is [`Events`].

use actix_pyproc::{Pool, WorkerEvent};
use tokio::sync::mpsc;

use super::capped;

/// The events of a pool since the subscription, in their order.
pub(crate) struct Events(mpsc::UnboundedReceiver<WorkerEvent>);

impl Events {
    pub(crate) async fn of(pool: &Pool) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let listener = actix::Actor::start(Listener(sender));
        pool.subscribe(listener.recipient()).await;
        Self(events)
    }

    /// What `wanted` returns for the first event that it accepts.
    pub(crate) async fn next<T>(&mut self, what: &str, wanted: impl Fn(&WorkerEvent) -> Option<T>) -> T {
        capped(what, async {
            loop {
                let event = self.0.recv().await.expect("the pool lives");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        })
        .await
    }

    /// The PID of the next worker that starts.
    pub(crate) async fn started(&mut self) -> u32 {
        self.next("a start", |event| match event {
            WorkerEvent::Started { pid, .. } => Some(*pid),
            _ => None,
        })
        .await
    }
}

/// An actor that forwards events to a channel.
struct Listener(mpsc::UnboundedSender<WorkerEvent>);

impl actix::Actor for Listener {
    type Context = actix::Context<Self>;
}

impl actix::Handler<WorkerEvent> for Listener {
    type Result = ();

    fn handle(&mut self, event: WorkerEvent, _: &mut Self::Context) {
        // The test may have dropped its receiver.
        let _ = self.0.send(event);
    }
}
