//! The tags of one peer.

use super::tag::Tag;

/// Holds the tags of one peer and its slot.
#[derive(Debug, Default)]
pub(super) struct PeerTags {
    /// Lists the tags, each name once. A search among at most
    /// [`TAGS_PER_PEER`](crate::limits::TAGS_PER_PEER) tags is as fast as in a map, and a map would
    /// be several times as large.
    pub(super) tags: Vec<Tag>,
    /// Holds the slot of an admitted peer. The index contains the tags of the peer exactly while it
    /// has a slot.
    pub(super) slot: Option<u32>,
}
