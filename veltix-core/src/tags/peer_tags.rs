//! The tags of one peer.

use std::sync::Arc;

use super::stored::StoredValue;
use super::value_table::ValueIds;

/// Holds the tags of one peer and its slot.
#[derive(Debug, Default)]
pub(super) struct PeerTags {
    /// Lists the tags, each name once. A peer has few names, among which a search is as fast as in
    /// a map, and a map would be several times as large.
    pub(super) entries: Vec<Entry>,
    /// Holds the slot of an admitted peer. The index contains the tags of the peer exactly while it
    /// has a slot, and the values of its sets always.
    pub(super) slot: Option<u32>,
}

/// An entry is one name of a peer with its value or values.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) values: Values,
}

/// The values of a name: the one value of a tag, or those of a set.
#[derive(Debug)]
pub(super) enum Values {
    One(StoredValue),
    /// Holds the ids of at least one value. The box keeps the entry as small as that of a tag.
    Set(Box<ValueIds>),
}

impl Values {
    pub(super) const fn is_set(&self) -> bool {
        matches!(self, Self::Set(_))
    }
}

/// Returns the place of the entry with this name.
pub(super) fn position(entries: &[Entry], name: &str) -> Option<usize> {
    entries.iter().position(|entry| &*entry.name == name)
}

/// Returns the number of values in all sets.
pub(super) fn set_values(entries: &[Entry]) -> usize {
    let sets = entries.iter().map(|entry| match &entry.values {
        Values::One(_) => 0,
        Values::Set(ids) => ids.len(),
    });
    sets.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::Tag;

    #[test]
    fn a_set_makes_no_other_tag_larger() {
        assert_eq!(size_of::<Entry>(), size_of::<Tag>());
        assert_eq!(size_of::<PeerTags>(), 32);
    }
}
