//! Sets of slots. A slot is the number under which the index knows an admitted peer.

use std::borrow::Cow;
use std::{iter, slice};

use super::bits::{Bits, WORD, bit, count, members};

/// Is the number of members up to which a set is always a list.
const ALWAYS_LIST: usize = 64;

/// Is the number of members up to which a set has no memory of its own.
const FEW: usize = 3;

/// A set of slots is a list or a bitmap. Slots are dense, because there are as many as admitted
/// peers. So a bitmap is smaller and faster than a list as soon as the set contains one slot in 32.
/// Most values have few peers if each peer has many, so a short list is in the set itself.
#[derive(Clone, Debug)]
pub(super) enum Set {
    /// Lists the first `len` slots in ascending order.
    Few {
        len: u8,
        slots: [u32; FEW],
    },
    /// Lists the slots in ascending order.
    List(Vec<u32>),
    Bits(Box<Bits>),
}

/// The contents of a set, whatever its list is kept in.
#[derive(Clone, Copy)]
enum View<'a> {
    List(&'a [u32]),
    Bits(&'a Bits),
}

impl Default for Set {
    fn default() -> Self {
        Self::Few { len: 0, slots: [0; FEW] }
    }
}

impl Set {
    fn view(&self) -> View<'_> {
        match self {
            Self::Few { len, slots } => View::List(&slots[..usize::from(*len)]),
            Self::List(list) => View::List(list),
            Self::Bits(bits) => View::Bits(bits),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self.view() {
            View::List(list) => list.len(),
            View::Bits(bits) => bits.len,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of words that an operation on the whole set reads.
    pub(super) fn work(&self) -> usize {
        match self.view() {
            View::List(list) => list.len(),
            View::Bits(bits) => bits.words.len(),
        }
    }

    pub(super) fn contains(&self, slot: u32) -> bool {
        match self.view() {
            View::List(list) => list.binary_search(&slot).is_ok(),
            View::Bits(bits) => bits.contains(slot),
        }
    }

    /// Adds a slot, and returns whether it was absent.
    pub(super) fn insert(&mut self, slot: u32) -> bool {
        match self {
            Self::Few { len, slots } => {
                let used = usize::from(*len);
                let Err(at) = slots[..used].binary_search(&slot) else { return false };
                if used < FEW {
                    slots.copy_within(at..used, at + 1);
                    slots[at] = slot;
                    *len += 1;
                } else {
                    let mut list = slots.to_vec();
                    list.insert(at, slot);
                    *self = Self::List(list);
                }
                return true;
            }
            Self::List(list) => {
                // Usually peers arrive in the order of their slots, so the search is the exception.
                let at = match list.last() {
                    Some(&last) if slot <= last => list.binary_search(&slot),
                    _ => Err(list.len()),
                };
                let Err(at) = at else { return false };
                list.insert(at, slot);
            }
            Self::Bits(bits) => return bits.insert(slot),
        }
        if let Self::List(list) = self
            && is_dense(list)
        {
            *self = Self::Bits(Box::new(list.iter().copied().collect()));
        }
        true
    }

    /// Removes a slot, and returns whether it was present.
    pub(super) fn remove(&mut self, slot: u32) -> bool {
        match self {
            Self::Few { len, slots } => {
                let used = usize::from(*len);
                let Ok(at) = slots[..used].binary_search(&slot) else { return false };
                slots.copy_within(at + 1..used, at);
                *len -= 1;
            }
            Self::List(list) => {
                let Ok(at) = list.binary_search(&slot) else { return false };
                list.remove(at);
                // Each threshold is below the one at which the set grew, so that a set does not
                // change back and forth.
                if list.len() < FEW {
                    *self = list.iter().copied().collect();
                } else if list.len() < list.capacity() / 4 {
                    list.shrink_to(list.len() * 2);
                }
            }
            Self::Bits(bits) => {
                if !bits.remove(slot) {
                    return false;
                }
                if bits.len < ALWAYS_LIST / 2 || bits.len * 2 < bits.words.len() {
                    *self = Self::List(bits.iter().collect());
                }
            }
        }
        true
    }

    /// Replaces a slot by another.
    pub(super) fn shift(&mut self, from: u32, to: u32) {
        if self.remove(from) {
            self.insert(to);
        }
    }

    /// Returns the slots in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let (list, words) = match self.view() {
            View::List(list) => (list, [].as_slice()),
            View::Bits(bits) => ([].as_slice(), bits.words.as_slice()),
        };
        list.iter().copied().chain(members(words))
    }

    /// Returns the slots that are in both sets.
    pub(super) fn and(&self, other: &Self) -> Self {
        match (self.view(), other.view()) {
            (View::List(list), View::List(others)) => {
                let (fewer, more) =
                    if list.len() <= others.len() { (list, others) } else { (others, list) };
                Self::List(common(fewer, more).collect())
            }
            (View::List(list), View::Bits(bits)) | (View::Bits(bits), View::List(list)) => {
                Self::List(list.iter().copied().filter(|&slot| bits.contains(slot)).collect())
            }
            (View::Bits(bits), View::Bits(others)) => {
                let words = bits.words.iter().zip(&others.words).map(|(left, right)| left & right);
                Self::from_words(words.collect())
            }
        }
    }

    /// Returns the number of slots that are in both sets.
    pub(super) fn count_and(&self, other: &Self) -> usize {
        match (self.view(), other.view()) {
            (View::List(list), View::List(others)) => {
                let (fewer, more) =
                    if list.len() <= others.len() { (list, others) } else { (others, list) };
                common(fewer, more).count()
            }
            (View::List(list), View::Bits(bits)) | (View::Bits(bits), View::List(list)) => {
                list.iter().filter(|&&slot| bits.contains(slot)).count()
            }
            (View::Bits(bits), View::Bits(others)) => {
                count(bits.words.iter().zip(&others.words).map(|(left, right)| left & right))
            }
        }
    }

    /// Returns the slots of this set that are not in the other.
    pub(super) fn without(&self, other: &Self) -> Self {
        match (self.view(), other.view()) {
            (View::List(list), _) => {
                Self::List(list.iter().copied().filter(|&slot| !other.contains(slot)).collect())
            }
            (View::Bits(bits), View::List(list)) => {
                let mut words = bits.words.clone();
                for &slot in list {
                    if let Some(word) = words.get_mut(slot as usize / WORD) {
                        *word &= !bit(slot);
                    }
                }
                Self::from_words(words)
            }
            (View::Bits(bits), View::Bits(others)) => {
                let others = others.words.iter().copied().chain(iter::repeat(0));
                let words = bits.words.iter().zip(others).map(|(left, right)| left & !right);
                Self::from_words(words.collect())
            }
        }
    }

    /// Returns the slots for which `holds` returns true.
    pub(super) fn filter(&self, mut holds: impl FnMut(u32) -> bool) -> Self {
        Self::List(self.iter().filter(|&slot| holds(slot)).collect())
    }

    /// Returns the slots that are in at least one of the sets.
    pub(super) fn union<'a>(sets: impl Iterator<Item = &'a Self> + Clone) -> Cow<'a, Self> {
        let mut few = sets.clone().filter(|set| !set.is_empty());
        match (few.next(), few.next()) {
            (None, _) => return Cow::Owned(Self::default()),
            (Some(only), None) => return Cow::Borrowed(only),
            _ => {}
        }
        let (mut members, mut highest) = (0, 0);
        for set in sets.clone() {
            members += set.len();
            highest = highest.max(set.highest());
        }
        let words = highest as usize / WORD + 1;
        if members < words {
            let mut list: Vec<u32> = Vec::with_capacity(members);
            sets.for_each(|set| list.extend(set.iter()));
            list.sort_unstable();
            list.dedup();
            return Cow::Owned(Self::List(list));
        }
        let mut union = vec![0; words];
        for set in sets {
            match set.view() {
                View::List(list) => {
                    list.iter().for_each(|&slot| union[slot as usize / WORD] |= bit(slot));
                }
                View::Bits(bits) => {
                    union.iter_mut().zip(&bits.words).for_each(|(all, word)| *all |= word);
                }
            }
        }
        Cow::Owned(Self::from_words(union))
    }

    /// Returns the slots below `below` that are not in the set, in ascending order.
    pub(super) fn absent(&self, below: u32) -> impl Iterator<Item = u32> {
        let mut members = self.iter().peekable();
        (0..below).filter(move |slot| members.next_if_eq(slot).is_none())
    }

    fn highest(&self) -> u32 {
        match self.view() {
            View::List(list) => list.last().copied().unwrap_or_default(),
            // This is at least the highest slot, and in the same word.
            View::Bits(bits) => (bits.words.len() * WORD).saturating_sub(1) as u32,
        }
    }

    fn from_words(words: Vec<u64>) -> Self {
        Self::Bits(Box::new(Bits::from_words(words)))
    }
}

impl FromIterator<u32> for Set {
    /// Creates a set from slots in any order. A slot may occur several times.
    fn from_iter<I: IntoIterator<Item = u32>>(slots: I) -> Self {
        let mut list: Vec<u32> = slots.into_iter().collect();
        list.sort_unstable();
        list.dedup();
        let mut slots = [0; FEW];
        match slots.get_mut(..list.len()) {
            Some(few) => few.copy_from_slice(&list),
            None => return Self::List(list),
        }
        Self::Few { len: list.len() as u8, slots }
    }
}

/// Returns whether a bitmap would be smaller than this list.
fn is_dense(list: &[u32]) -> bool {
    let words = list.last().map_or(0, |&last| last as usize / WORD + 1);
    list.len() > ALWAYS_LIST && list.len() > words * 2
}

/// Returns the slots that are in both ascending lists. The search in the longer list continues
/// where the last one ended, in growing steps, so that a short list costs no walk through a long
/// one.
fn common<'a>(fewer: &'a [u32], more: &'a [u32]) -> impl Iterator<Item = u32> {
    let mut rest: slice::Iter<'a, u32> = more.iter();
    fewer.iter().copied().filter(move |slot| {
        let list = rest.as_slice();
        let mut step = 1;
        while list.get(step).is_some_and(|other| other < slot) {
            step *= 2;
        }
        let within = &list[step / 2..list.len().min(step + 1)];
        let at = step / 2 + within.partition_point(|other| other < slot);
        rest = list[at..].iter();
        list.get(at) == Some(slot)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn list(set: &Set) -> Vec<u32> {
        set.iter().collect()
    }

    /// Generates sets with few members, and sets with many of few slots, so that both forms occur.
    fn slots() -> impl Strategy<Value = Vec<u32>> {
        prop_oneof![
            prop::collection::vec(0..8000_u32, 0..40),
            prop::collection::vec(0..8_u32, 0..6),
            prop::collection::vec(0..400_u32, 0..300),
            prop::collection::vec(3000..3500_u32, 100..300),
        ]
    }

    fn built(slots: &[u32]) -> (Set, BTreeSet<u32>) {
        let mut set = Set::default();
        slots.iter().for_each(|&slot| _ = set.insert(slot));
        (set, slots.iter().copied().collect())
    }

    proptest! {
        #[test]
        fn operations_are_those_of_sets(left in slots(), right in slots()) {
            let ((left, a), (right, b)) = (built(&left), built(&right));
            let both: Vec<u32> = a.intersection(&b).copied().collect();
            prop_assert_eq!(left.and(&right).iter().collect::<Vec<_>>(), both.clone());
            prop_assert_eq!(left.count_and(&right), both.len());
            let rest: Vec<u32> = a.difference(&b).copied().collect();
            prop_assert_eq!(list(&left.without(&right)), rest.clone());
            prop_assert_eq!(left.without(&right).len(), rest.len());
            let union: Vec<u32> = a.union(&b).copied().collect();
            let sets = [left, Set::default(), right];
            let found = Set::union(sets.iter());
            prop_assert_eq!((found.len(), list(&found)), (union.len(), union));
            let absent: Vec<u32> = (0..500).filter(|slot| !a.contains(slot)).collect();
            prop_assert_eq!(sets[0].absent(500).collect::<Vec<_>>(), absent);
        }

        #[test]
        fn members_come_and_go(slots in slots(), order in any::<u64>()) {
            let (mut set, mut model) = built(&slots);
            let key = |slot: &u32| (u64::from(*slot) + 1).wrapping_mul(order | 1) >> 7;
            let mut leaving = slots.clone();
            leaving.sort_unstable_by_key(key);
            for slot in leaving {
                prop_assert_eq!(set.contains(slot), model.contains(&slot));
                prop_assert_eq!(set.remove(slot), model.remove(&slot));
                prop_assert_eq!(set.len(), model.len());
                prop_assert!(!set.contains(slot));
            }
            prop_assert!(matches!(&set, Set::Few { len: 0, .. }), "its memory is released");
        }
    }

    #[test]
    fn a_set_is_what_is_smaller() {
        let (mut set, _) = built(&(0..10_000).collect::<Vec<_>>());
        assert!(matches!(&set, Set::Bits(bits) if bits.words.capacity() <= 256));
        (0..9_990).for_each(|slot| _ = set.remove(slot));
        assert!(matches!(&set, Set::List(list) if list.capacity() <= 64), "{set:?}");
        assert_eq!(list(&set), (9_990..10_000).collect::<Vec<_>>());
        let (set, _) = built(&(0..1_000).map(|slot| slot * 100).collect::<Vec<_>>());
        assert!(matches!(set, Set::List(_)));
        let (mut set, _) = built(&[7, 1, 4]);
        assert!(matches!(set, Set::Few { .. }));
        set.insert(2);
        assert!(matches!(set, Set::List(_)));
        assert_eq!(list(&set), [1, 2, 4, 7]);
        assert_eq!(size_of::<Set>(), size_of::<Vec<u32>>());
    }
}
