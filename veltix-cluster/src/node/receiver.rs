//! [`ReceiverTask`]: takes what other nodes say to this node's state and to its peers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use veltix_core::Frame;
use veltix_core::cluster::{
    Batch, FrameRecord, InStream, NodeId, NodeStatus, Received, Record, RecordKind, WireError,
};
use veltix_tokio::{Foreign, Hub};

use super::Node;
use super::inbound::Arrival;

pub(super) struct ReceiverTask {
    node: Arc<Node>,
    hub: Hub,
    streams: BTreeMap<NodeId, Streams>,
}

/// The two streams of an origin to this node.
#[derive(Default)]
struct Streams {
    all: InStream,
    direct: InStream,
}

impl ReceiverTask {
    pub(super) const fn new(node: Arc<Node>, hub: Hub) -> Self {
        Self { node, hub, streams: BTreeMap::new() }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.node.inbound.next().await {
                Arrival::Batch(bytes) => {
                    let messages = self.read(bytes).unwrap_or_else(|error| {
                        let me = self.node.me;
                        tracing::warn!(%me, %error, "a batch of another node could not be read");
                        Vec::new()
                    });
                    self.hub.deliver(messages).await;
                }
                Arrival::Unreachable(node, _) => {
                    let event = self.node.members().unreachable(node, Instant::now().into_std());
                    event.iter().for_each(|event| self.node.report(event));
                }
            }
        }
    }

    /// Reads a batch. Returns the messages for this node's peers.
    fn read(&mut self, bytes: Bytes) -> Result<Vec<Foreign>, WireError> {
        let batch = Batch::read(bytes)?;
        let head = *batch.head();
        if head.origin == self.node.me || head.to.is_some_and(|to| to != self.node.me) {
            return Ok(Vec::new());
        }
        let now = Instant::now().into_std();
        let event = self.node.members().hear(head.origin, now);
        event.iter().for_each(|event| self.node.report(event));
        let mut messages = Vec::new();
        for (sequence, record) in (head.first..).zip(batch) {
            let record = record?;
            let streams = self.streams.entry(head.origin).or_default();
            let stream = if head.to.is_none() { &mut streams.all } else { &mut streams.direct };
            match stream.receive(sequence) {
                Received::Duplicate => continue,
                Received::After { missed } => {
                    let (me, node) = (self.node.me, head.origin);
                    tracing::warn!(%me, %node, missed, "records of another node are missing");
                }
                Received::Next => {}
            }
            if let Some(foreign) = self.take(head.origin, record)? {
                messages.push(foreign);
            }
        }
        Ok(messages)
    }

    fn take(&mut self, origin: NodeId, record: Record) -> Result<Option<Foreign>, WireError> {
        let now = Instant::now().into_std();
        match record.kind {
            RecordKind::Frame => {
                let FrameRecord { class, target, except, message } =
                    FrameRecord::decode(record.body)?;
                let mut frame = Frame::from(message);
                frame.set_class(class);
                let is_here = |node| node == self.node.me;
                let except =
                    except.iter().filter(|it| is_here(it.node)).map(|it| it.peer).collect();
                return Ok(Some(Foreign { target, except, frame }));
            }
            RecordKind::Hello | RecordKind::Heartbeat => {
                let status = NodeStatus::decode(record.body)?;
                let (all, direct) = (status.all, status.direct_to(self.node.me));
                let events = self.node.members().learn(origin, status, now);
                events.iter().for_each(|event| self.node.report(event));
                let streams = self.streams.entry(origin).or_default();
                let missed =
                    streams.all.catch_up(all) + direct.map_or(0, |it| streams.direct.catch_up(it));
                if missed > 0 {
                    let (me, node) = (self.node.me, origin);
                    tracing::warn!(%me, %node, missed, "records of another node are missing");
                }
            }
            RecordKind::Bye => {
                let event = self.node.members().bye(origin);
                event.iter().for_each(|event| self.node.report(event));
                self.streams.remove(&origin);
            }
            _ => {}
        }
        Ok(None)
    }
}
