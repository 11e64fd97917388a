//! The node as the [`Relay`] of its server.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use veltix_core::cluster::{
    FrameRecord, NodeId, PeerRef, Recipients, Record, RecordKind, WireError,
};
use veltix_core::{Frame, Target, TargetError};
use veltix_tokio::{ClusterShutdown, NodeDelivery, Outgoing, Published, Relay};

use super::Node;
use crate::backplane::Destination;
use crate::status::ClusterStatus;

impl Relay for Node {
    fn node(&self) -> NodeId {
        self.me
    }

    fn encode(
        &self,
        target: &Target,
        except: &[PeerRef],
        frame: &Frame,
    ) -> Result<Option<Outgoing>, TargetError> {
        let target = target.elsewhere();
        target.check()?;
        if target.is_nobody() {
            return Ok(None);
        }
        let to = self.recipients(&target);
        if to == Recipients::Nobody {
            return Ok(None);
        }
        match FrameRecord::encode(self.me, &target, except, frame) {
            Ok(record) => Ok(Some(Outgoing { record, to })),
            Err(WireError::TooLong { what, length, limit }) => {
                Err(TargetError::TooLong { what, length, limit })
            }
            Err(_) => Ok(None),
        }
    }

    fn publish(&self, Outgoing { record, to }: Outgoing) -> Published {
        match to {
            Recipients::Nobody => Published::default(),
            Recipients::All(matched) => {
                let pushed = self.push(Destination::All, record);
                let nodes = NodeDelivery::of(matched, pushed.queued);
                Published { nodes, waits: pushed.waits }
            }
            Recipients::Nodes(nodes) => {
                let mut published = Published::default();
                for node in nodes {
                    let pushed = self.push(Destination::Node(node), record.clone());
                    published.nodes.add(NodeDelivery::of(1, pushed.queued));
                    published.waits |= pushed.waits;
                }
                published
            }
        }
    }

    fn start(self: Arc<Self>) {
        let mut tasks = self.tasks();
        if let Some(spawn) = tasks.spawn.take() {
            spawn(&self, &mut tasks.running);
        }
    }

    fn begin_drain(&self) {
        self.outbound.begin_drain();
    }

    fn close(
        self: Arc<Self>,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = ClusterShutdown> + Send>> {
        Box::pin(async move {
            self.begin_drain();
            let (kind, body) = (RecordKind::Bye, Bytes::new());
            self.tell(Destination::All, Record { kind, body });
            self.outbound.close();
            // Batches that are not sent by then are lost, and the others notice it.
            let _ = timeout_at(deadline, self.outbound.ended()).await;
            let report = self.outbound.report();
            self.abort();
            report
        })
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn abort(&self) {
        // First: a call that begins later finds that the queue is closed.
        self.outbound.abort();
        self.served.abort_all();
        self.watched.abort_all();
        let mut tasks = self.tasks();
        tasks.running.abort_all();
        let unused = tasks.spawn.take();
        drop(tasks);
        drop(unused);
        self.end();
    }
}

impl Node {
    /// Ends what waits for other nodes, after the end of the tasks. The hub keeps this value.
    fn end(&self) {
        let reason = "the server has ended".into();
        self.status.send_replace(ClusterStatus::Degraded { reason });
        // No batch that is received meanwhile makes a member of a node again.
        let receiving = self.receiving();
        for node in self.member_ids() {
            self.members().bye(node);
            self.asks.gone(node, |_| true);
            self.calls.gone(node, |_| true);
            self.interests.left(node);
            self.unwatch_member(node);
        }
        drop(receiving);
        self.events.end();
    }

    /// Sends a frame to the peers of one other node that a target matches.
    pub(crate) fn send_to(&self, node: NodeId, target: &Target, frame: &Frame) -> NodeDelivery {
        if self.members().get(node).is_none() {
            return NodeDelivery::default();
        }
        match FrameRecord::encode(self.me, target, &[], frame) {
            Ok(record) => {
                let pushed = self.push(Destination::Node(node), record);
                NodeDelivery::of(1, pushed.queued)
            }
            // The key of the class is too deep.
            Err(_) => NodeDelivery::of(1, false),
        }
    }
}
