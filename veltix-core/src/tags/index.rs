//! The index of the tag store: from tags to peers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::value::TagValue;
use super::{PeerId, Tag};

/// Which peers have which tag. An entry goes with the last peer that it names, so an index of
/// nobody is empty.
///
/// Everything in it is a tree, not a hash table: trees give their memory back as peers leave, are
/// small where one value means one peer, and no choice of names by a peer makes them slow.
#[derive(Debug, Default)]
pub(super) struct Index {
    names: BTreeMap<Arc<str>, Holders>,
}

/// The peers that have a tag of one name.
#[derive(Debug, Default)]
struct Holders {
    all: BTreeSet<PeerId>,
    /// A peer has a name once, so each of `all` is in one of these sets.
    by_value: BTreeMap<TagValue, BTreeSet<PeerId>>,
}

impl Index {
    /// Enters a tag of this peer, which has none of its name here. The tag then shares its name
    /// and its text with the index, and so with every peer that has the same.
    pub(super) fn insert(&mut self, peer: PeerId, tag: &mut Tag) {
        let entry = self.names.entry(Arc::clone(&tag.name));
        tag.name = Arc::clone(entry.key());
        let holders = entry.or_default();
        holders.all.insert(peer);

        let entry = holders.by_value.entry(tag.value.clone());
        // Numbers hold no memory, and an integer may equal a float that should stay one.
        if let TagValue::Text(_) = tag.value {
            tag.value = entry.key().clone();
        }
        entry.or_default().insert(peer);
    }

    /// Takes a tag of this peer out.
    pub(super) fn remove(&mut self, peer: PeerId, tag: &Tag) {
        let Some(holders) = self.names.get_mut(tag.name()) else { return };
        holders.all.remove(&peer);
        if holders.all.is_empty() {
            self.names.remove(tag.name());
        } else if let Some(peers) = holders.by_value.get_mut(&tag.value) {
            peers.remove(&peer);
            if peers.is_empty() {
                holders.by_value.remove(&tag.value);
            }
        }
    }

    /// The peers that have a tag of this name.
    pub(super) fn with_name(&self, name: &str) -> Option<&BTreeSet<PeerId>> {
        Some(&self.names.get(name)?.all)
    }

    /// The peers whose tag of this name has this value.
    pub(super) fn with_value(&self, name: &str, value: &TagValue) -> Option<&BTreeSet<PeerId>> {
        self.names.get(name)?.by_value.get(value)
    }

    /// Different tags, that is pairs of name and value.
    pub(super) fn len(&self) -> usize {
        self.names.values().map(|holders| holders.by_value.len()).sum()
    }
}
