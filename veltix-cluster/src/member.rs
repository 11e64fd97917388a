//! [`Member`]: a peer of any node, with its tags.

use veltix_core::cluster::{NodeId, PeerRef};
use veltix_core::{Tag, TagValue};

/// A peer of any node, with the tags that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// The name of the peer in the cluster.
    pub peer: PeerRef,
    /// The tags that were asked for, by name and value. A set has an item for each of its values. A tag
    /// that the peer does not have is missing.
    pub tags: Vec<Tag>,
}

impl Member {
    pub(crate) fn of(node: NodeId, member: veltix_core::Member) -> Self {
        Self { peer: PeerRef { node, peer: member.peer }, tags: member.tags }
    }

    /// Returns the value of the tag of this name, or the lowest value of the set of this name.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&TagValue> {
        self.values(name).next()
    }

    /// Returns the values of this name in ascending order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &TagValue> {
        self.tags.iter().filter(move |tag| tag.name() == name).map(Tag::value)
    }
}
