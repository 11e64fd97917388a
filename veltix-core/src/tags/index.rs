//! The index of the tag store, which maps tags to peers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::number::Range;
use super::set::Set;
use super::tag::Tag;
use super::value::TagValue;

/// The index knows the peers that have a tag, by their slots. An entry is removed with its last
/// peer, so the index of an empty store is empty.
///
/// Names and values are in trees, not in hash tables: trees release their memory as peers leave,
/// they answer for a range of values, and no choice of names by a peer makes them slow.
#[derive(Debug, Default)]
pub(super) struct Index {
    names: BTreeMap<Arc<str>, Holders>,
}

/// Holds the peers that have a tag of one name.
#[derive(Debug, Default)]
pub(super) struct Holders {
    pub(super) all: Set,
    /// Holds the peers by value. A peer has a name only once, so each member of `all` is in exactly
    /// one of these sets.
    pub(super) by_value: BTreeMap<TagValue, Set>,
}

impl Index {
    /// Adds a tag of the peer in this slot, which has no tag of this name in the index. The tag
    /// then shares the memory of its name and its text with the index, and so with every peer that
    /// has the same ones.
    pub(super) fn insert(&mut self, slot: u32, tag: &mut Tag) {
        let entry = self.names.entry(Arc::clone(&tag.name));
        tag.name = Arc::clone(entry.key());
        let holders = entry.or_default();
        holders.all.insert(slot);

        let entry = holders.by_value.entry(tag.value.clone());
        // Numbers own no memory, and an integer may equal a float that has to stay a float.
        if let TagValue::Text(_) = tag.value {
            tag.value = entry.key().clone();
        }
        entry.or_default().insert(slot);
    }

    /// Removes a tag of the peer in this slot.
    pub(super) fn remove(&mut self, slot: u32, tag: &Tag) {
        let Some(holders) = self.names.get_mut(tag.name()) else { return };
        holders.all.remove(slot);
        if holders.all.is_empty() {
            self.names.remove(tag.name());
        } else if let Some(peers) = holders.by_value.get_mut(&tag.value) {
            peers.remove(slot);
            if peers.is_empty() {
                holders.by_value.remove(&tag.value);
            }
        }
    }

    /// Moves a tag from one slot to another, after a peer has received another slot.
    pub(super) fn shift(&mut self, from: u32, to: u32, tag: &Tag) {
        let Some(holders) = self.names.get_mut(tag.name()) else { return };
        for set in [Some(&mut holders.all), holders.by_value.get_mut(&tag.value)] {
            let Some(set) = set else { continue };
            set.remove(from);
            set.insert(to);
        }
    }

    /// Returns the peers that have a tag of this name.
    pub(super) fn with_name(&self, name: &str) -> Option<&Holders> {
        self.names.get(name)
    }

    /// Returns the peers whose tag of this name has this value.
    pub(super) fn with_value(&self, name: &str, value: &TagValue) -> Option<&Set> {
        self.names.get(name)?.by_value.get(value)
    }

    /// Returns the number of different tags, which are pairs of a name and a value.
    pub(super) fn len(&self) -> usize {
        self.names.values().map(|holders| holders.by_value.len()).sum()
    }
}

impl Holders {
    /// Returns the peers of each number in the range.
    pub(super) fn in_range(&self, range: &Range) -> impl Iterator<Item = &Set> {
        let sets = range.bounds().map(|bounds| self.by_value.range::<TagValue, _>(bounds));
        sets.into_iter().flatten().map(|(_, peers)| peers)
    }
}
