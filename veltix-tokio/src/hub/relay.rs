//! The seam of a cluster: [`Relay`] takes the broadcasts of a server to other nodes, and [`Hub::deliver`]
//! brings those of other nodes to the peers of this one.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::yield_now;
use tokio::time::Instant;
use veltix_core::cluster::{NodeId, Record};
use veltix_core::{Frame, Member, PeerId, Target, TargetError};

use super::broadcast::send_here;
use super::shared_batch::finish_shared_batch;
use super::{Broadcast, Delivery, Hub};
use crate::flush::{FlushList, FlushScope};

/// The result of passing a broadcast on to the other nodes of a cluster: `matched = queued + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeDelivery {
    /// Nodes on which the target may match a peer.
    pub matched: usize,
    /// Those of the nodes for which the message waits to be sent. A later loss is told by an event of
    /// the receiving node.
    pub queued: usize,
    /// Those of the nodes that do not receive the message: the broker is away, or the queue is full.
    pub dropped: usize,
}

impl NodeDelivery {
    /// Creates the result for this number of nodes, all of which have the message queued, or none.
    #[must_use]
    pub const fn of(nodes: usize, queued: bool) -> Self {
        if queued {
            Self { matched: nodes, queued: nodes, dropped: 0 }
        } else {
            Self { matched: nodes, queued: 0, dropped: nodes }
        }
    }
}

/// The cluster of one server.
#[doc(hidden)]
pub trait Relay: Send + Sync + 'static {
    /// Returns the record of a broadcast for the other nodes, or `None` if no other node can have a peer
    /// that the target matches. The class of the frame is without this server's default.
    ///
    /// # Errors
    /// [`TargetError`] if the target is too large for other nodes.
    fn encode(&self, target: &Target, frame: &Frame) -> Result<Option<Record>, TargetError>;

    /// Passes the record on to the nodes on which the target may match. It never waits.
    fn publish(&self, target: &Target, record: Record) -> NodeDelivery;

    /// Starts the tasks of the cluster on the current runtime, before the first peer.
    fn start(self: Arc<Self>);

    /// Ends the cluster of this server, after its last peer has gone.
    fn close(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Ends the cluster of this server at once.
    fn abort(&self);

    /// Returns this value for a handle of the cluster.
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A cluster that a server joins.
#[doc(hidden)]
pub trait IntoRelay {
    /// Joins the cluster for the server of this hub. Nothing runs before [`Relay::start`].
    fn join(self, hub: Hub) -> Arc<dyn Relay>;
}

/// A message of another node.
#[doc(hidden)]
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "the caller makes it")]
pub struct Foreign {
    pub target: Target,
    /// Peers of this node that do not receive the message.
    pub except: Vec<PeerId>,
    /// The message with its delivery class.
    pub frame: Frame,
}

impl Broadcast {
    /// Keeps the message on this node: the peers of other nodes do not receive it.
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }
}

impl Hub {
    /// Returns the cluster that the server has joined.
    #[doc(hidden)]
    #[must_use]
    pub fn relay(&self) -> Option<Arc<dyn Relay>> {
        self.0.relay().cloned()
    }

    /// Returns the id of this server as the only node of a cluster.
    #[doc(hidden)]
    #[must_use]
    pub fn lone_node(&self) -> NodeId {
        self.0.lone_node()
    }

    /// Returns the peers that a target matches with their tags of these names, up to `limit` of them, and
    /// whether there are more.
    ///
    /// # Errors
    /// [`TargetError`] if the target exceeds a limit.
    #[doc(hidden)]
    pub fn members(
        &self,
        target: &Target,
        names: &[Arc<str>],
        limit: usize,
    ) -> Result<(Vec<Member>, bool), TargetError> {
        self.0.services().tags().read(|tags| tags.members(target, names, limit))
    }

    /// Delivers messages of other nodes, in order. They are flushed together.
    ///
    /// # Cancel safety
    /// If the future is dropped, all messages that it took are delivered.
    #[doc(hidden)]
    pub async fn deliver(&self, messages: impl IntoIterator<Item = Foreign>) -> Delivery {
        let (delivery, mut flushes) = self.queue(messages);
        loop {
            flushes.flush_some();
            if flushes.is_empty() {
                return delivery;
            }
            yield_now().await;
        }
    }

    fn queue(&self, messages: impl IntoIterator<Item = Foreign>) -> (Delivery, FlushList) {
        let scope = FlushScope::enter_without_own();
        let mut delivery = Delivery::default();
        for Foreign { target, except, frame } in messages {
            let frame = frame.with_id(self.0.plain_id());
            // A target that one node accepts is within the limits of every node.
            delivery.add(send_here(&self.0, target, except, frame).unwrap_or_default());
        }
        finish_shared_batch(&scope);
        (delivery, scope.leave(Instant::now()))
    }
}
