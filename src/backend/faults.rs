//! What a link does to its worker when a fault is injected.

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use rustix::process::Signal as Number;

use super::link::PythonLink;
use crate::fault::{FaultKind, Means, Signal};
use crate::wire::message::FaultOrder;
use crate::wire::{Codec, Header, Kind};

impl PythonLink {
    /// Does what was ordered; called while the worker serves.
    pub(super) fn poll_faults(&mut self, cx: &mut Context<'_>) {
        while let Some(seat) = &mut self.seat {
            match seat.poll_order(cx) {
                Poll::Ready(Some(kind)) => self.suffer(kind),
                Poll::Ready(None) => self.seat = None,
                Poll::Pending => return,
            }
        }
    }

    fn suffer(&mut self, kind: FaultKind) {
        tracing::info!(slot = %self.slot, pid = self.pid, fault = %kind, "a fault is injected");
        match kind.means() {
            Means::Signal(Signal::Kill) => self.body.signal(Number::KILL),
            Means::Signal(Signal::Stop { for_ }) => {
                self.body.signal(Number::STOP);
                let Some(time) = for_ else { return };
                // What is gone by then need not go on.
                let body = Rc::downgrade(&self.body);
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(time).await;
                    if let Some(body) = body.upgrade() {
                        body.signal(Number::CONT);
                    }
                });
            }
            Means::Order(order) => self.order(&order),
            Means::Start(_) => unreachable!("the board keeps it for the next launch"),
        }
    }

    fn order(&mut self, order: &FaultOrder) {
        let payload = serde_json::to_vec(order).expect("an order has a JSON");
        self.connection.stage(Header::control(Kind::Fault, Codec::Json as u8), &[], &Bytes::from(payload));
    }
}
