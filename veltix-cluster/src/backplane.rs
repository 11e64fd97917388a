//! [`Backplane`]: an engine that moves batches between nodes, and [`ClusterInbox`], in which it puts what
//! arrives.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use veltix_core::cluster::NodeId;

use crate::error::{PublishError, StartError};

/// The receivers of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "an engine must handle both")]
pub enum Destination {
    /// All nodes of the cluster. A node that receives its own batch drops it.
    All,
    /// One node.
    Node(NodeId),
}

impl Destination {
    /// Returns the node, or `None` for all nodes.
    #[must_use]
    pub const fn node(self) -> Option<NodeId> {
        match self {
            Self::All => None,
            Self::Node(node) => Some(node),
        }
    }
}

/// The state of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineState {
    /// Batches are sent and received.
    Connected,
    /// The broker is away.
    Disconnected {
        /// The reason, for people.
        reason: Arc<str>,
    },
}

/// An engine moves batches between the nodes of a cluster. It knows no peers, tags or topics: a batch is
/// opaque.
///
/// # Contract
/// - The batches of one node arrive in the order in which it has published them, also those to `All` and
///   to one node among each other.
/// - A batch may be lost, and it may arrive twice. Nodes notice both.
/// - An engine buffers at most 8 MiB, and reports a lost broker within 7 s.
pub trait Backplane: Send + 'static {
    /// Starts to receive for the node `me`. Everything that arrives goes into the inbox, from any task or
    /// thread.
    ///
    /// # Errors
    /// [`StartError`].
    fn start(
        &mut self,
        me: NodeId,
        inbox: ClusterInbox,
    ) -> impl Future<Output = Result<(), StartError>> + Send;

    /// Publishes a batch. It may wait for the broker.
    ///
    /// # Errors
    /// [`PublishError`]. The batch is lost then.
    fn publish(
        &mut self,
        to: Destination,
        batch: Bytes,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;

    /// Returns the size of the largest batch in bytes.
    fn max_batch(&self) -> usize;

    /// Sends what is buffered, and ends.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// The inbox of a node. A clone is cheap, and its calls never wait. It does not keep the node alive.
#[derive(Clone)]
pub struct ClusterInbox(Weak<dyn Receive>);

/// Takes what an engine receives.
pub(crate) trait Receive: Send + Sync {
    fn received(&self, batch: Bytes);
    fn state(&self, state: EngineState);
    fn unreachable(&self, to: NodeId, first: u64);
}

impl ClusterInbox {
    pub(crate) fn new(node: Weak<dyn Receive>) -> Self {
        Self(node)
    }

    /// Takes a batch that has arrived. Without room it is dropped and counted.
    pub fn received(&self, batch: Bytes) {
        if let Some(node) = self.0.upgrade() {
            node.received(batch);
        }
    }

    /// Takes a change of the engine's state.
    pub fn state(&self, state: EngineState) {
        if let Some(node) = self.0.upgrade() {
            node.state(state);
        }
    }

    /// Takes the broker's answer that nobody listens at the address of a node. The batch to it that began
    /// with this sequence number has reached nobody.
    pub fn unreachable(&self, to: NodeId, first: u64) {
        if let Some(node) = self.0.upgrade() {
            node.unreachable(to, first);
        }
    }
}

impl fmt::Debug for ClusterInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterInbox").finish_non_exhaustive()
    }
}
