//! The index of the tag store: from tags to peers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::number::Range;
use super::set::Set;
use super::tag::Tag;
use super::value::TagValue;

/// Which peers, by their slots, have which tag. An entry goes with the last peer that it names, so
/// an index of nobody is empty.
///
/// Names and values are in trees, not in hash tables: trees give their memory back as peers leave,
/// answer for a range of values, and no choice of names by a peer makes them slow.
#[derive(Debug, Default)]
pub(super) struct Index {
    names: BTreeMap<Arc<str>, Holders>,
}

/// The peers that have a tag of one name.
#[derive(Debug, Default)]
pub(super) struct Holders {
    pub(super) all: Set,
    /// A peer has a name once, so each of `all` is in one of these sets.
    pub(super) by_value: BTreeMap<TagValue, Set>,
}

impl Index {
    /// Enters a tag of the peer in this slot, which has none of its name here. The tag then shares
    /// its name and its text with the index, and so with every peer that has the same.
    pub(super) fn insert(&mut self, slot: u32, tag: &mut Tag) {
        let entry = self.names.entry(Arc::clone(&tag.name));
        tag.name = Arc::clone(entry.key());
        let holders = entry.or_default();
        holders.all.insert(slot);

        let entry = holders.by_value.entry(tag.value.clone());
        // Numbers hold no memory, and an integer may equal a float that should stay one.
        if let TagValue::Text(_) = tag.value {
            tag.value = entry.key().clone();
        }
        entry.or_default().insert(slot);
    }

    /// Takes a tag of the peer in this slot out.
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

    /// A peer with this tag has another slot now.
    pub(super) fn shift(&mut self, from: u32, to: u32, tag: &Tag) {
        let Some(holders) = self.names.get_mut(tag.name()) else { return };
        for set in [Some(&mut holders.all), holders.by_value.get_mut(&tag.value)] {
            let Some(set) = set else { continue };
            set.remove(from);
            set.insert(to);
        }
    }

    /// The peers that have a tag of this name.
    pub(super) fn with_name(&self, name: &str) -> Option<&Holders> {
        self.names.get(name)
    }

    /// The peers whose tag of this name has this value.
    pub(super) fn with_value(&self, name: &str, value: &TagValue) -> Option<&Set> {
        self.names.get(name)?.by_value.get(value)
    }

    /// Different tags, that is pairs of name and value.
    pub(super) fn len(&self) -> usize {
        self.names.values().map(|holders| holders.by_value.len()).sum()
    }
}

impl Holders {
    /// The peers of each number in the range.
    pub(super) fn in_range(&self, range: &Range) -> impl Iterator<Item = &Set> {
        let sets = range.bounds().map(|bounds| self.by_value.range::<TagValue, _>(bounds));
        sets.into_iter().flatten().map(|(_, peers)| peers)
    }
}
