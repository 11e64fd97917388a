//! The values of one name, each with the peers that have it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::number::Range;
use super::set::Set;
use super::stored::StoredValue;

/// Identifies a value in its table while a peer has it.
pub(super) type ValueId = u32;

/// Holds the ids of a peer's values. The hasher spreads ids, which no peer can choose.
pub(super) type ValueIds = HashSet<ValueId, BuildHasherDefault<SpreadHasher>>;

/// Is the end of a chain of values.
const END: ValueId = ValueId::MAX;

/// A value table finds each value by its hash, so that joining and leaving cost nearly the same at
/// any number of values. A peer's set refers to a value by its id, which takes 4 bytes.
#[derive(Debug, Default)]
pub(super) struct ValueTable {
    /// Holds the values by id. Freed ids below the last value are in `free`.
    values: Vec<Known>,
    /// Holds the ids that can be used again, the lowest first, so that the end of the list becomes
    /// free as values are removed.
    free: BTreeSet<ValueId>,
    /// Maps a hash to the first value with it, which links to the others. The map grows without
    /// reading the values: in some 40 ms at 1 000 000 of them, and in a few at 100 000.
    by_hash: HashMap<u32, ValueId, BuildHasherDefault<SpreadHasher>>,
    /// Maps the values that are numbers to their ids, for comparisons.
    numbers: BTreeMap<StoredValue, ValueId>,
    /// Counts the pairs of an admitted peer and one of its values.
    memberships: usize,
}

/// A known value is one that at least one peer has.
#[derive(Debug)]
struct Known {
    value: StoredValue,
    /// Contains the slots of the admitted peers that have the value.
    peers: Set,
    /// Counts the sets of peers without a slot that contain the value.
    staged: u32,
    /// Is the next value with the same hash.
    next: ValueId,
}

impl ValueTable {
    /// Returns the id of a value that a peer has.
    pub(super) fn find(&self, value: &StoredValue) -> Option<ValueId> {
        let mut id = *self.by_hash.get(&value.hash())?;
        while id != END {
            let known = &self.values[id as usize];
            if known.value == *value {
                return Some(id);
            }
            id = known.next;
        }
        None
    }

    /// Returns the id of a value, which is added if no peer has it.
    pub(super) fn insert(&mut self, value: StoredValue) -> ValueId {
        if let Some(id) = self.find(&value) {
            return id;
        }
        let id = self.free.pop_first().unwrap_or(self.values.len() as ValueId);
        let next = self.by_hash.insert(value.hash(), id).unwrap_or(END);
        if value.is_number() {
            self.numbers.insert(value.clone(), id);
        }
        let known = Known { value, peers: Set::default(), staged: 0, next };
        match self.values.get_mut(id as usize) {
            Some(freed) => *freed = known,
            None => self.values.push(known),
        }
        id
    }

    /// Returns the value with this id.
    pub(super) fn value(&self, id: ValueId) -> &StoredValue {
        &self.values[id as usize].value
    }

    /// Returns the slots of the admitted peers that have the value.
    pub(super) fn peers(&self, id: ValueId) -> &Set {
        &self.values[id as usize].peers
    }

    /// Adds an admitted peer to a value, and returns whether the peer lacked it.
    pub(super) fn add(&mut self, id: ValueId, slot: u32) -> bool {
        let is_new = self.values[id as usize].peers.insert(slot);
        self.memberships += usize::from(is_new);
        is_new
    }

    /// Removes an admitted peer from a value.
    pub(super) fn remove(&mut self, id: ValueId, slot: u32) {
        self.memberships -= usize::from(self.values[id as usize].peers.remove(slot));
        self.release(id);
    }

    /// Adds the value to the set of a peer without a slot.
    pub(super) fn stage(&mut self, id: ValueId) {
        self.values[id as usize].staged += 1;
    }

    /// Removes the value from the set of a peer without a slot.
    pub(super) fn unstage(&mut self, id: ValueId) {
        self.values[id as usize].staged -= 1;
        self.release(id);
    }

    /// Gives the value to an admitted peer that had no slot before.
    pub(super) fn admit(&mut self, id: ValueId, slot: u32) {
        self.add(id, slot);
        self.values[id as usize].staged -= 1;
    }

    /// Gives the value to a peer that has no slot any more.
    pub(super) fn retire(&mut self, id: ValueId, slot: u32) {
        self.stage(id);
        self.remove(id, slot);
    }

    /// Moves a value from one slot to another.
    pub(super) fn shift(&mut self, id: ValueId, from: u32, to: u32) {
        self.values[id as usize].peers.shift(from, to);
    }

    /// Returns the number of pairs of an admitted peer and one of its values.
    pub(super) const fn memberships(&self) -> usize {
        self.memberships
    }

    /// Returns the number of values that are numbers.
    pub(super) fn numbers(&self) -> usize {
        self.numbers.len()
    }

    /// Returns the number of values that admitted peers have.
    pub(super) fn len(&self) -> usize {
        self.values.iter().filter(|known| !known.peers.is_empty()).count()
    }

    /// Returns the values that admitted peers have.
    #[cfg(feature = "cluster")]
    pub(super) fn held(&self) -> impl Iterator<Item = &StoredValue> {
        self.values.iter().filter(|known| !known.peers.is_empty()).map(|known| &known.value)
    }

    /// Returns the ids of the numbers in the range.
    pub(super) fn in_range(&self, range: &Range) -> impl Iterator<Item = ValueId> {
        let found = range.bounds().map(|bounds| self.numbers.range::<StoredValue, _>(bounds));
        found.into_iter().flatten().map(|(_, id)| *id)
    }

    /// Frees the value if no peer has it.
    fn release(&mut self, id: ValueId) {
        let known = &mut self.values[id as usize];
        if known.staged > 0 || !known.peers.is_empty() {
            return;
        }
        let value = std::mem::replace(&mut known.value, StoredValue::Unit);
        let next = std::mem::replace(&mut known.next, END);
        self.unlink(value.hash(), id, next);
        if value.is_number() {
            self.numbers.remove(&value);
        }
        self.free.insert(id);
        while let Some(last) = self.values.len().checked_sub(1)
            && self.free.remove(&(last as ValueId))
        {
            self.values.pop();
        }
        // A table that was large for a while releases its memory.
        if self.values.len() < self.values.capacity() / 4 {
            self.values.shrink_to(self.values.len() * 2);
        }
        if self.by_hash.len() < self.by_hash.capacity() / 4 {
            self.by_hash.shrink_to(self.by_hash.len() * 2);
        }
    }

    /// Removes a value from the chain of its hash.
    fn unlink(&mut self, hash: u32, id: ValueId, next: ValueId) {
        let Some(first) = self.by_hash.get_mut(&hash) else { return };
        if *first == id {
            if next == END {
                self.by_hash.remove(&hash);
            } else {
                *first = next;
            }
            return;
        }
        let mut before = *first;
        while before != END {
            let known = &mut self.values[before as usize];
            if known.next == id {
                known.next = next;
                return;
            }
            before = known.next;
        }
    }
}

/// Spreads numbers that no peer can choose over the bits of a hash.
#[derive(Debug, Default)]
pub(super) struct SpreadHasher(u64);

impl Hasher for SpreadHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u32(u32::from(byte)));
    }

    fn write_u32(&mut self, number: u32) {
        // 2^64 divided by the golden ratio: neighbouring numbers differ widely in the upper bits.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // A table takes the lower bits, which depend on fewer bits of the number.
        self.0.rotate_left(32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, hash: u32) -> StoredValue {
        StoredValue::Text { hash, text: text.into() }
    }

    #[test]
    fn values_with_one_hash_are_found_and_removed_in_any_order() {
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for order in orders {
            let mut table = ValueTable::default();
            let values = ["a", "b", "c"].map(|name| text(name, 7));
            let ids = values.clone().map(|value| table.insert(value));
            ids.iter().for_each(|&id| assert!(table.add(id, 1)));
            let mut left: Vec<_> = order.to_vec();
            for gone in order {
                table.remove(ids[gone], 1);
                left.retain(|at| *at != gone);
                for (at, value) in values.iter().enumerate() {
                    let expected = left.contains(&at).then_some(ids[at]);
                    assert_eq!(table.find(value), expected, "{order:?}");
                }
            }
            assert!(table.values.is_empty() && table.free.is_empty() && table.by_hash.is_empty());
        }
    }

    #[test]
    fn memory_is_released_and_ids_are_used_again() {
        let mut table = ValueTable::default();
        let value = |number: u32| text(&number.to_string(), number);
        for number in 0..10_000 {
            let id = table.insert(value(number));
            table.add(id, 1);
            assert_eq!(id, number);
        }
        (0..10_000).filter(|id| id % 100 != 0).for_each(|id| table.remove(id, 1));
        assert_eq!((table.len(), table.values.len()), (100, 9_901));
        assert_eq!(table.insert(value(20_000)), 1, "the lowest id is used again");
        table.stage(1);
        (1..100).rev().for_each(|id| table.remove(id * 100, 1));
        assert!(table.values.capacity() < 16 && table.by_hash.capacity() < 32);
        table.unstage(1);
        assert_eq!((table.values.len(), table.memberships()), (1, 1));
    }
}
