//! [`Hold`]: the wait of the queue for nodes that connect to the broker again later than this one.

use std::collections::BTreeSet;

use tokio::time::Instant;
use veltix_core::cluster::NodeId;
use veltix_core::limits::CLUSTER_HOLD;

/// The wait of the queue after this node has connected again. A broker that was away passes a record on to the
/// nodes that are there already: without the wait, those that connect later would miss all that has waited here.
pub(super) struct Hold {
    /// The nodes that were not heard since.
    missing: BTreeSet<NodeId>,
    until: Instant,
}

impl Hold {
    /// Begins to wait for these nodes. There is nothing to wait for without them.
    pub(super) fn begin(nodes: impl IntoIterator<Item = NodeId>, now: Instant) -> Option<Self> {
        let missing = BTreeSet::from_iter(nodes);
        (!missing.is_empty()).then_some(Self { missing, until: now + CLUSTER_HOLD })
    }

    /// Notes that a node was heard, or has left.
    pub(super) fn release(&mut self, node: NodeId) {
        self.missing.remove(&node);
    }

    /// Returns the time at which the wait ends though nodes are missing.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.missing.is_empty() || now >= self.until
    }
}
