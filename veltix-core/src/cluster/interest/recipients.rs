//! [`Recipients`]: the nodes that a message is sent to.

use super::super::ids::NodeId;
use super::incoming::InterestIn;
use crate::tags::HashedTarget;

/// The nodes that a message for the peers of a target is sent to. Each of them gets it once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the sender must handle every case")]
pub enum Recipients {
    /// No other node has such a peer, so that nothing is sent.
    Nobody,
    /// These nodes, at most half of the others, may have one. Each gets a batch of its own.
    Nodes(Vec<NodeId>),
    /// This number of nodes, more than half of the others, may have one. All nodes get one batch.
    All(usize),
}

impl Recipients {
    /// Compares a target with the interest of all other members.
    ///
    /// The result is complete only if all nodes are known: for three seconds after each connect to the broker,
    /// the sender takes `All`.
    pub fn of<'a>(
        target: &HashedTarget,
        others: impl IntoIterator<Item = (NodeId, &'a InterestIn)>,
    ) -> Self {
        let (mut nodes, mut all) = (Vec::new(), 0);
        for (node, interest) in others {
            all += 1;
            if interest.may_match(target) {
                nodes.push(node);
            }
        }
        match nodes.len() {
            0 => Self::Nobody,
            matched if matched * 2 <= all => Self::Nodes(nodes),
            matched => Self::All(matched),
        }
    }

    /// Returns the number of nodes that may have such a peer.
    #[must_use]
    pub fn matched(&self) -> usize {
        match self {
            Self::Nobody => 0,
            Self::Nodes(nodes) => nodes.len(),
            Self::All(matched) => *matched,
        }
    }
}
