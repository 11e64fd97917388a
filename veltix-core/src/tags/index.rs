//! The index of the tag store, which maps tags to peers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::peer_tags::{Entry, Values};
use super::set::Set;
use super::stored::StoredValue;
use super::value_table::{ValueIds, ValueTable};

/// The index knows the admitted peers that have a tag, by their slots, and the values of all sets.
/// A name is removed with its last peer, so the index of an empty store is empty.
///
/// Names are in a tree, and values in tables by a secret hash. Both release their memory as peers
/// leave, and no choice of names and values by a peer makes them slow.
#[derive(Debug, Default)]
pub(super) struct Index {
    names: BTreeMap<Arc<str>, Holders>,
}

/// Holds the peers that have a tag of one name.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// Contains the slots of the admitted peers that have the name.
    pub(super) all: Set,
    /// Holds the values of tags of admitted peers, and those of the sets of all peers.
    pub(super) values: ValueTable,
    /// Counts the sets of peers without a slot.
    staged: usize,
}

impl Index {
    /// Adds the entry of a peer that receives this slot. A tag then shares the memory of its name
    /// and its text with the index, and so with every peer that has the same ones.
    pub(super) fn admit(&mut self, slot: u32, entry: &mut Entry) {
        let holders = self.holders(&mut entry.name);
        holders.all.insert(slot);
        match &mut entry.values {
            Values::One(value) => {
                let id = holders.values.insert(value.clone());
                holders.values.add(id, slot);
                // Numbers own no memory, and an integer may equal a float that has to stay a float.
                if value.is_text() {
                    *value = holders.values.value(id).clone();
                }
            }
            Values::Set(ids) => {
                holders.staged -= 1;
                ids.iter().for_each(|&id| holders.values.admit(id, slot));
            }
        }
    }

    /// Removes the entry of a peer that loses this slot. The values of a set stay readable.
    pub(super) fn retire(&mut self, slot: u32, entry: &Entry) {
        let Some(holders) = self.names.get_mut(&entry.name) else { return };
        match &entry.values {
            Values::One(value) => holders.remove(slot, value),
            Values::Set(ids) => {
                holders.staged += 1;
                ids.iter().for_each(|&id| holders.values.retire(id, slot));
            }
        }
        holders.all.remove(slot);
        self.tidy(&entry.name);
    }

    /// Removes an entry that its peer, which has this slot or none, loses.
    pub(super) fn remove(&mut self, slot: Option<u32>, entry: &Entry) {
        let Some(holders) = self.names.get_mut(&entry.name) else { return };
        match (&entry.values, slot) {
            (Values::One(value), Some(slot)) => holders.remove(slot, value),
            (Values::One(_), None) => {}
            (Values::Set(ids), Some(slot)) => {
                ids.iter().for_each(|&id| holders.values.remove(id, slot));
            }
            (Values::Set(ids), None) => {
                holders.staged -= 1;
                ids.iter().for_each(|&id| holders.values.unstage(id));
            }
        }
        if let Some(slot) = slot {
            holders.all.remove(slot);
        }
        self.tidy(&entry.name);
    }

    /// Adds a value to a set of a peer, which has this slot or none, and returns whether the set
    /// lacked it. A set that was empty begins, and shares its name with the index.
    pub(super) fn join(
        &mut self,
        slot: Option<u32>,
        name: &mut Arc<str>,
        ids: &mut ValueIds,
        value: StoredValue,
    ) -> bool {
        let holders = if ids.is_empty() {
            let holders = self.holders(name);
            match slot {
                Some(slot) => _ = holders.all.insert(slot),
                None => holders.staged += 1,
            }
            holders
        } else {
            let Some(holders) = self.names.get_mut(name) else { return false };
            holders
        };
        // If the set contains the value, the table has it, and nothing is added.
        let id = holders.values.insert(value);
        if !ids.insert(id) {
            return false;
        }
        match slot {
            Some(slot) => _ = holders.values.add(id, slot),
            None => holders.values.stage(id),
        }
        true
    }

    /// Removes a value from a set of a peer, which has this slot or none, and returns whether the
    /// set contained it. The set has other values.
    pub(super) fn leave(
        &mut self,
        slot: Option<u32>,
        name: &str,
        ids: &mut ValueIds,
        value: &StoredValue,
    ) -> bool {
        let Some(holders) = self.names.get_mut(name) else { return false };
        let Some(id) = holders.values.find(value) else { return false };
        if !ids.remove(&id) {
            return false;
        }
        if ids.len() < ids.capacity() / 4 {
            ids.shrink_to(ids.len() * 2);
        }
        match slot {
            Some(slot) => holders.values.remove(id, slot),
            None => holders.values.unstage(id),
        }
        true
    }

    /// Moves an entry from one slot to another, after a peer has received another slot.
    pub(super) fn shift(&mut self, from: u32, to: u32, entry: &Entry) {
        let Some(holders) = self.names.get_mut(&entry.name) else { return };
        holders.all.shift(from, to);
        match &entry.values {
            Values::One(value) => {
                if let Some(id) = holders.values.find(value) {
                    holders.values.shift(id, from, to);
                }
            }
            Values::Set(ids) => ids.iter().for_each(|&id| holders.values.shift(id, from, to)),
        }
    }

    /// Returns the peers that have a tag of this name.
    pub(super) fn with_name(&self, name: &str) -> Option<&Holders> {
        self.names.get(name)
    }

    /// Returns the peers one of whose values of this name is this one.
    pub(super) fn with_value(&self, name: &str, value: &StoredValue) -> Option<&Set> {
        self.names.get(name)?.with_value(value)
    }

    /// Returns the number of different tags of admitted peers, which are pairs of a name and a
    /// value.
    pub(super) fn len(&self) -> usize {
        self.names.values().map(|holders| holders.values.len()).sum()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the holders of a name, whose memory is shared from now on.
    fn holders(&mut self, name: &mut Arc<str>) -> &mut Holders {
        let entry = self.names.entry(Arc::clone(name));
        *name = Arc::clone(entry.key());
        entry.or_default()
    }

    /// Removes a name that no peer has.
    fn tidy(&mut self, name: &str) {
        let is_unused = |holders: &Holders| holders.all.is_empty() && holders.staged == 0;
        if self.names.get(name).is_some_and(is_unused) {
            self.names.remove(name);
        }
    }
}

impl Holders {
    /// Returns the peers one of whose values is this one.
    pub(super) fn with_value(&self, value: &StoredValue) -> Option<&Set> {
        self.values.find(value).map(|id| self.values.peers(id))
    }

    /// Returns whether each peer has one value of this name. Then no peer is in two of the sets by
    /// value.
    pub(super) fn are_single(&self) -> bool {
        self.values.memberships() == self.all.len()
    }

    fn remove(&mut self, slot: u32, value: &StoredValue) {
        if let Some(id) = self.values.find(value) {
            self.values.remove(id, slot);
        }
    }
}
