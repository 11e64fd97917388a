//! [`DeliveryTask`]: passes the records of other nodes to the peers of this one, in order.

use std::mem;
use std::sync::Arc;

use tokio::task::yield_now;
use tokio::time::Instant;
use veltix_core::cluster::{
    Cancel, FrameRecord, NodeAnswer, NodeAsk, NodeCall, NodeWatch, PeerRef, RecordKind, Unwatch,
    WireError,
};
use veltix_core::limits::CLUSTER_TURN;
use veltix_core::{Frame, PeerId};
use veltix_tokio::{Foreign, Hub};

use super::Node;
use super::answers::answer;
use super::inbound::Incoming;
use crate::backplane::Destination;

pub(super) struct DeliveryTask {
    node: Arc<Node>,
    hub: Hub,
}

impl DeliveryTask {
    pub(super) const fn new(node: Arc<Node>, hub: Hub) -> Self {
        Self { node, hub }
    }

    pub(super) async fn run(self) {
        loop {
            let (mut messages, mut begun) = (Vec::new(), Instant::now());
            let mut has_others = false;
            for incoming in self.node.inbound.next().await {
                let origin = incoming.origin;
                if incoming.record.kind != RecordKind::Frame {
                    // It counts after the messages before it.
                    self.hub.deliver(mem::take(&mut messages)).await;
                    has_others = true;
                    if begun.elapsed() >= CLUSTER_TURN {
                        yield_now().await;
                        begun = Instant::now();
                    }
                }
                match self.take(incoming) {
                    Ok(message) => messages.extend(message),
                    Err(error) => self.node.note_unreadable(origin, error),
                }
            }
            self.hub.deliver(messages).await;
            if has_others {
                // The answers are sent in between, and find room in the queue.
                yield_now().await;
            }
        }
    }

    /// Reads a record. Returns it if it is a message; answers a question; begins a call.
    fn take(
        &self,
        Incoming { origin, record, age }: Incoming,
    ) -> Result<Option<Foreign>, WireError> {
        match record.kind {
            RecordKind::Frame => {
                let FrameRecord { class, target, except, message } =
                    FrameRecord::decode(record.body)?;
                let mut frame = Frame::from(message);
                frame.set_class(class);
                Ok(Some(Foreign { target, except: self.of_here(&except), frame }))
            }
            RecordKind::Ask => {
                let NodeAsk { id, timeout, question } = NodeAsk::decode(record.body)?;
                // Nobody waits for the answer any more.
                if age <= timeout {
                    let content = answer(&self.hub, question);
                    let answer = NodeAnswer { id, content }.encode();
                    self.node.tell(Destination::Node(origin), answer);
                }
                Ok(None)
            }
            RecordKind::Watch => {
                self.node.serve_watch(&self.hub, origin, NodeWatch::decode(record.body)?);
                Ok(None)
            }
            RecordKind::Unwatch => {
                self.node.watched.end(origin, Unwatch::decode(record.body)?.id);
                Ok(None)
            }
            RecordKind::Cancel => {
                self.node.served.cancel(origin, Cancel::decode(record.body)?.id);
                Ok(None)
            }
            _ => {
                let call = NodeCall::decode(record.body)?;
                if age <= call.timeout {
                    let except = self.of_here(&call.except);
                    self.node.serve(&self.hub, origin, call, except, age);
                }
                Ok(None)
            }
        }
    }

    /// Returns those of the peers that are of this node.
    fn of_here(&self, peers: &[PeerRef]) -> Vec<PeerId> {
        peers.iter().filter(|peer| peer.node == self.node.me).map(|peer| peer.peer).collect()
    }
}
