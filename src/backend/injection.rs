//! What a link does with an injected fault. The main item is [`PythonLink::poll_faults`].

use std::task::{Context, Poll};

use bytes::Bytes;

use super::fault_port::Injection;
use super::link::PythonLink;
use crate::wire::message::FaultOrder;
use crate::wire::{Codec, Header, Kind};

impl PythonLink {
    /// Applies the faults that have arrived. The link calls it while the worker serves.
    pub(super) fn poll_faults(&mut self, cx: &mut Context<'_>) {
        while let Some(port) = &mut self.fault_port {
            match port.poll_next(cx) {
                Poll::Ready(Some(Injection::Kill)) => self.worker.kill_process(),
                Poll::Ready(Some(Injection::Stop { resume_after })) => self.worker.stop(resume_after),
                Poll::Ready(Some(Injection::Order(order))) => self.send_order(&order),
                Poll::Ready(None) => self.fault_port = None,
                Poll::Pending => return,
            }
        }
    }

    fn send_order(&mut self, order: &FaultOrder) {
        let payload = Bytes::from(serde_json::to_vec(order).expect("an order encodes as JSON"));
        self.worker.connection.stage(Header::control(Kind::Fault, Codec::Json as u8), &[], &payload);
    }
}
