//! The tags of one peer.

use super::tag::Tag;

/// What is known of one peer.
#[derive(Debug, Default)]
pub(super) struct PeerTags {
    /// Each name once. A search among at most [`TAGS_PER_PEER`] is as fast as a map, which would
    /// be several times as large.
    pub(super) tags: Vec<Tag>,
    /// Its slot, if it is admitted. The index holds its tags exactly then.
    pub(super) slot: Option<u32>,
}
