//! [`Gathered`]: the answer of several nodes, and the nodes whose part is missing.

use std::sync::Arc;

use thiserror::Error;
use veltix_core::cluster::NodeId;

use crate::status::ClusterStatus;

/// The answer of several nodes. A missing node is never an error of the call: `missing` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "`missing` tells whether the value is complete"]
pub struct Gathered<T> {
    /// The answer of this node and of all that have answered.
    pub value: T,
    /// The nodes without an answer, each with the reason.
    pub missing: Vec<(NodeId, Missing)>,
    /// The state of this node in the cluster. While it is [`Degraded`](ClusterStatus::Degraded), it may not
    /// know all nodes.
    pub status: ClusterStatus,
}

/// The reason for which the answer of a node is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// Nobody listens at the address of the node: it has ended, or is not connected to the broker, for example
    /// just after a restart of the broker.
    Gone,
    /// The node did not answer in time: before the timeout, or before a survey had the replies that it needs.
    TimedOut,
    /// The broker is away, or this node's queue is full.
    Offline,
    /// The node has a release that does not know the question.
    Unsupported,
    /// The node refuses, for this reason.
    Refused(Arc<str>),
    /// The node has more to tell than an answer holds. Its part is in the value, up to the limit.
    Truncated,
}

/// An answer that is not complete.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the answers of {} nodes are missing: use what there is, or ask again once the status is connected",
    .0.missing.len()
)]
pub struct Partial<T>(pub Gathered<T>);

impl<T> Gathered<T> {
    /// Converts the value.
    pub(crate) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Gathered<U> {
        let Self { value, missing, status } = self;
        Gathered { value: convert(value), missing, status }
    }

    /// Returns whether every node that this one knows has answered, and this node is connected to the broker.
    ///
    /// Each node tells that it lives once a second. So for a second after the start of this node, and after an
    /// outage of the broker that was longer than 10 s, there may be nodes that it does not know yet. If the network
    /// splits between the servers of a NATS cluster, each side is complete without the other one after 10 s.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.missing.is_empty() && matches!(self.status, ClusterStatus::Connected)
    }

    /// Returns the value if it is [complete](Self::is_complete).
    ///
    /// # Errors
    /// [`Partial`] with what there is.
    pub fn complete(self) -> Result<T, Partial<T>> {
        if self.is_complete() { Ok(self.value) } else { Err(Partial(self)) }
    }
}
