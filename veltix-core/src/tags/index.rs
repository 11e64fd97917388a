//! The index of the tag store, which maps tags to peers.

use std::collections::BTreeMap;
use std::sync::Arc;

#[cfg(feature = "cluster")]
use super::interest::{HeldTags, InterestUpdate};
use super::peer_tags::{Entry, Values};
use super::set::Set;
use super::stored::StoredValue;
#[cfg(feature = "cluster")]
use super::value_table::ValueId;
use super::value_table::{ValueIds, ValueTable};

/// The index knows the admitted peers that have a tag, by their slots, and the values of all sets.
/// A name is removed with its last peer, so the index of an empty store is empty.
///
/// Names are in a tree, and values in tables by a secret hash. Both release their memory as peers
/// leave, and no choice of names and values by a peer makes them slow.
#[derive(Debug, Default)]
pub(super) struct Index {
    names: BTreeMap<Arc<str>, Holders>,
    /// Knows the tags with admitted peers for the other nodes of a cluster, if there are any.
    #[cfg(feature = "cluster")]
    held: Option<Box<HeldTags>>,
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
        let holders = holders(&mut self.names, &mut entry.name);
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
        #[cfg(feature = "cluster")]
        if let Some(held) = &mut self.held {
            holders.tell_gained(held, entry);
        }
    }

    /// Removes the entry of a peer that loses this slot. The values of a set stay readable.
    pub(super) fn retire(&mut self, slot: u32, entry: &Entry) {
        let Some(holders) = self.names.get_mut(&entry.name) else { return };
        #[cfg(feature = "cluster")]
        if let Some(held) = &mut self.held {
            holders.tell_losing(held, entry);
        }
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
        #[cfg(feature = "cluster")]
        if let Some(held) = &mut self.held
            && slot.is_some()
        {
            holders.tell_losing(held, entry);
        }
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
            let holders = holders(&mut self.names, name);
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
        #[cfg(feature = "cluster")]
        if let Some(held) = &mut self.held
            && slot.is_some()
        {
            if ids.len() == 1 && holders.all.len() == 1 {
                held.gain(name, None);
            }
            if holders.is_held_once(id) {
                held.gain(name, Some(holders.values.value(id)));
            }
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
        #[cfg(feature = "cluster")]
        if let Some(held) = &mut self.held
            && slot.is_some()
            && holders.is_held_once(id)
        {
            held.lose(name, Some(value));
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

    /// Removes a name that no peer has.
    fn tidy(&mut self, name: &str) {
        let is_unused = |holders: &Holders| holders.all.is_empty() && holders.staged == 0;
        if self.names.get(name).is_some_and(is_unused) {
            self.names.remove(name);
        }
    }
}

/// The tags that the other nodes of a cluster are told.
#[cfg(feature = "cluster")]
impl Index {
    /// Begins to keep the tags with admitted peers, if they are not kept already.
    pub(super) fn track_interest(&mut self, limit: usize) {
        if self.held.is_none() {
            let mut held = Box::new(HeldTags::new(limit));
            held.count(self.tags());
            self.held = Some(held);
        }
    }

    pub(super) fn take_interest(&mut self) -> InterestUpdate {
        let Some(mut held) = self.held.take() else { return InterestUpdate::Changes(Vec::new()) };
        if held.can_count() {
            held.count(self.tags());
        }
        let update = held.take();
        self.held = Some(held);
        update
    }

    pub(super) fn take_interest_wake(&mut self) -> bool {
        self.held.as_mut().is_some_and(|held| held.take_woken())
    }

    /// Returns the names and the pairs of a name and a value that admitted peers have.
    fn tags(&self) -> impl Iterator<Item = (&str, Option<&StoredValue>)> {
        let names = self.names.iter().filter(|(_, holders)| !holders.all.is_empty());
        names.flat_map(|(name, holders)| {
            let values = holders.values.held().map(Some);
            std::iter::once(None).chain(values).map(move |value| (&**name, value))
        })
    }
}

/// Returns the holders of a name, whose memory is shared from now on.
fn holders<'a>(names: &'a mut BTreeMap<Arc<str>, Holders>, name: &mut Arc<str>) -> &'a mut Holders {
    let entry = names.entry(Arc::clone(name));
    *name = Arc::clone(entry.key());
    entry.or_default()
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

/// The reports for the other nodes of a cluster. The names and values of a tag that is set again are removed
/// and added in reverse order, so that each addition takes a removal back.
#[cfg(feature = "cluster")]
impl Holders {
    /// Reports an entry that an admitted peer has received.
    fn tell_gained(&self, held: &mut HeldTags, entry: &Entry) {
        if self.all.len() == 1 {
            held.gain(&entry.name, None);
        }
        self.for_each_held_once(entry, |value| held.gain(&entry.name, Some(value)));
    }

    /// Reports an entry that an admitted peer is about to lose.
    fn tell_losing(&self, held: &mut HeldTags, entry: &Entry) {
        self.for_each_held_once(entry, |value| held.lose(&entry.name, Some(value)));
        if self.all.len() == 1 {
            held.lose(&entry.name, None);
        }
    }

    fn for_each_held_once(&self, entry: &Entry, mut tell: impl FnMut(&StoredValue)) {
        match &entry.values {
            Values::One(value) => {
                if self.with_value(value).is_some_and(|peers| peers.len() == 1) {
                    tell(value);
                }
            }
            Values::Set(ids) => {
                let once = ids.iter().filter(|&&id| self.is_held_once(id));
                once.for_each(|&id| tell(self.values.value(id)));
            }
        }
    }

    fn is_held_once(&self, id: ValueId) -> bool {
        self.values.peers(id).len() == 1
    }
}
