//! [`NodeInfo`]: what is known of a node.

use std::sync::Arc;
use std::time::Duration;

use veltix_core::cluster::{NodeId, NodeStatus};

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeInfo {
    /// The id.
    pub id: NodeId,
    /// The name, for people.
    pub name: Arc<str>,
    /// The number of its peers: of this node now, and of another one at its last heartbeat.
    pub peers: usize,
    /// The time for which its last batch was under way, beside the fastest one of the last minute. It is zero
    /// for this node.
    pub lag: Duration,
}

impl NodeInfo {
    /// Returns the only node of a server without a cluster.
    pub(crate) fn lone(id: NodeId, peers: usize) -> Self {
        Self { id, name: id.to_string().into(), peers, lag: Duration::ZERO }
    }

    pub(super) fn of(id: NodeId, status: &NodeStatus, lag: Duration) -> Self {
        let peers = usize::try_from(status.peers).unwrap_or(usize::MAX);
        Self { id, name: Arc::clone(&status.name), peers, lag }
    }
}
