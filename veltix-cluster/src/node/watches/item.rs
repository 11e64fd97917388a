//! [`Item`]: a peer or a group in a watch.

use std::collections::BTreeMap;

use veltix_core::{Group, Member, PeerId, Tag, TagValue};

use super::Table;
use super::feed::Feed;

/// A peer or a group of another node.
pub(crate) trait Item: Clone + Send + 'static {
    type Key: Ord + Send;

    fn key(&self) -> Self::Key;

    /// Returns the bytes that the item takes in a queue.
    fn size(&self) -> usize;

    fn feeds(table: &mut Table) -> &mut BTreeMap<u64, Feed<Self>>;
}

impl Item for Member {
    type Key = PeerId;

    fn key(&self) -> PeerId {
        self.peer
    }

    fn size(&self) -> usize {
        let tag = |tag: &Tag| 64 + tag.name().len() + length(tag.value());
        size_of::<Self>() + self.tags.iter().map(tag).sum::<usize>()
    }

    fn feeds(table: &mut Table) -> &mut BTreeMap<u64, Feed<Self>> {
        &mut table.members
    }
}

impl Item for Group {
    type Key = TagValue;

    fn key(&self) -> TagValue {
        self.key.clone()
    }

    fn size(&self) -> usize {
        size_of::<Self>() + length(&self.key)
    }

    fn feeds(table: &mut Table) -> &mut BTreeMap<u64, Feed<Self>> {
        &mut table.groups
    }
}

fn length(value: &TagValue) -> usize {
    value.as_str().map_or(0, str::len)
}
