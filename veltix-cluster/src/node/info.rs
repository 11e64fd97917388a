//! [`NodeInfo`]: what this node knows of another one.

use std::sync::Arc;

use veltix_core::cluster::{NodeId, NodeStatus};

/// Another node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeInfo {
    /// The id.
    pub id: NodeId,
    /// The name, for people.
    pub name: Arc<str>,
    /// The number of its peers at the last heartbeat.
    pub peers: usize,
}

impl NodeInfo {
    pub(super) fn of(id: NodeId, status: &NodeStatus) -> Self {
        let peers = usize::try_from(status.peers).unwrap_or(usize::MAX);
        Self { id, name: Arc::clone(&status.name), peers }
    }
}
