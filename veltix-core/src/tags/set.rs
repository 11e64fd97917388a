//! Sets of slots. A slot is the number under which the index knows an admitted peer.

use std::borrow::Cow;
use std::{iter, slice};

/// Is the number of members up to which a set is always a list.
const ALWAYS_LIST: usize = 64;

/// Is the number of slots in one word of a bitmap.
const WORD: usize = u64::BITS as usize;

/// A set of slots is a list or a bitmap. Slots are dense, because there are as many as admitted
/// peers. So a bitmap is smaller and faster than a list as soon as the set contains one slot in 32.
#[derive(Clone, Debug)]
pub(super) enum Set {
    /// Lists the slots in ascending order.
    List(Vec<u32>),
    Bits(Box<Bits>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    /// Holds the bitmap. The last word is not zero, so that a set releases memory when its highest
    /// members are removed.
    words: Vec<u64>,
    len: usize,
}

impl Default for Set {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Set {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Bits(bits) => bits.len,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of words that an operation on the whole set reads.
    pub(super) fn work(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Bits(bits) => bits.words.len(),
        }
    }

    pub(super) fn contains(&self, slot: u32) -> bool {
        match self {
            Self::List(list) => list.binary_search(&slot).is_ok(),
            Self::Bits(bits) => bits.contains(slot),
        }
    }

    pub(super) fn insert(&mut self, slot: u32) {
        match self {
            Self::List(list) => match list.last() {
                // Usually peers arrive in the order of their slots, so the search is the exception.
                Some(&last) if slot <= last => {
                    if let Err(at) = list.binary_search(&slot) {
                        list.insert(at, slot);
                    }
                }
                _ => list.push(slot),
            },
            Self::Bits(bits) => bits.insert(slot),
        }
        if let Self::List(list) = self
            && is_dense(list)
        {
            *self = Self::Bits(Box::new(list.iter().copied().collect()));
        }
    }

    pub(super) fn remove(&mut self, slot: u32) {
        match self {
            Self::List(list) => {
                if let Ok(at) = list.binary_search(&slot) {
                    list.remove(at);
                    if list.len() < list.capacity() / 4 {
                        list.shrink_to(list.len() * 2);
                    }
                }
            }
            Self::Bits(bits) => {
                bits.remove(slot);
                // The threshold is far from the one at which a list becomes a bitmap, so that a set
                // does not change back and forth.
                if bits.len < ALWAYS_LIST / 2 || bits.len * 2 < bits.words.len() {
                    *self = Self::List(bits.iter().collect());
                }
            }
        }
    }

    /// Returns the slots in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let (list, words) = match self {
            Self::List(list) => (list.as_slice(), [].as_slice()),
            Self::Bits(bits) => ([].as_slice(), bits.words.as_slice()),
        };
        list.iter().copied().chain(members(words))
    }

    /// Returns the slots that are in both sets.
    pub(super) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::List(list), Self::List(others)) => {
                let (fewer, more) =
                    if list.len() <= others.len() { (list, others) } else { (others, list) };
                Self::List(common(fewer, more).collect())
            }
            (Self::List(list), Self::Bits(bits)) | (Self::Bits(bits), Self::List(list)) => {
                Self::List(list.iter().copied().filter(|&slot| bits.contains(slot)).collect())
            }
            (Self::Bits(bits), Self::Bits(others)) => {
                let words = bits.words.iter().zip(&others.words).map(|(left, right)| left & right);
                Self::from_words(words.collect())
            }
        }
    }

    /// Returns the number of slots that are in both sets.
    pub(super) fn count_and(&self, other: &Self) -> usize {
        match (self, other) {
            (Self::List(list), Self::List(others)) => {
                let (fewer, more) =
                    if list.len() <= others.len() { (list, others) } else { (others, list) };
                common(fewer, more).count()
            }
            (Self::List(list), Self::Bits(bits)) | (Self::Bits(bits), Self::List(list)) => {
                list.iter().filter(|&&slot| bits.contains(slot)).count()
            }
            (Self::Bits(bits), Self::Bits(others)) => {
                count(bits.words.iter().zip(&others.words).map(|(left, right)| left & right))
            }
        }
    }

    /// Returns the slots of this set that are not in the other.
    pub(super) fn without(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::List(list), _) => {
                Self::List(list.iter().copied().filter(|&slot| !other.contains(slot)).collect())
            }
            (Self::Bits(bits), Self::List(list)) => {
                let mut words = bits.words.clone();
                for &slot in list {
                    if let Some(word) = words.get_mut(slot as usize / WORD) {
                        *word &= !bit(slot);
                    }
                }
                Self::from_words(words)
            }
            (Self::Bits(bits), Self::Bits(others)) => {
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
            match set {
                Self::List(list) => {
                    list.iter().for_each(|&slot| union[slot as usize / WORD] |= bit(slot));
                }
                Self::Bits(bits) => {
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
        match self {
            Self::List(list) => list.last().copied().unwrap_or_default(),
            // This is at least the highest slot, and in the same word.
            Self::Bits(bits) => (bits.words.len() * WORD).saturating_sub(1) as u32,
        }
    }

    fn from_words(mut words: Vec<u64>) -> Self {
        trim(&mut words);
        let len = count(words.iter().copied());
        Self::Bits(Box::new(Bits { words, len }))
    }
}

impl FromIterator<u32> for Set {
    /// Creates a set from slots in any order. A slot may occur several times.
    fn from_iter<I: IntoIterator<Item = u32>>(slots: I) -> Self {
        let mut list: Vec<u32> = slots.into_iter().collect();
        list.sort_unstable();
        list.dedup();
        Self::List(list)
    }
}

impl Bits {
    fn contains(&self, slot: u32) -> bool {
        self.words.get(slot as usize / WORD).is_some_and(|word| word & bit(slot) != 0)
    }

    fn insert(&mut self, slot: u32) {
        let at = slot as usize / WORD;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        self.len += usize::from(self.words[at] & bit(slot) == 0);
        self.words[at] |= bit(slot);
    }

    fn remove(&mut self, slot: u32) {
        let Some(word) = self.words.get_mut(slot as usize / WORD) else { return };
        self.len -= usize::from(*word & bit(slot) != 0);
        *word &= !bit(slot);
        trim(&mut self.words);
        if self.words.len() < self.words.capacity() / 4 {
            self.words.shrink_to(self.words.len() * 2);
        }
    }

    fn iter(&self) -> impl Iterator<Item = u32> {
        members(&self.words)
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<I: IntoIterator<Item = u32>>(slots: I) -> Self {
        let mut bits = Self::default();
        slots.into_iter().for_each(|slot| bits.insert(slot));
        bits
    }
}

/// Returns whether a bitmap would be smaller than this list.
fn is_dense(list: &[u32]) -> bool {
    let words = list.last().map_or(0, |&last| last as usize / WORD + 1);
    list.len() > ALWAYS_LIST && list.len() > words * 2
}

const fn bit(slot: u32) -> u64 {
    1 << (slot % u64::BITS)
}

fn count(words: impl Iterator<Item = u64>) -> usize {
    words.map(|word| word.count_ones() as usize).sum()
}

fn trim(words: &mut Vec<u64>) {
    while words.last() == Some(&0) {
        words.pop();
    }
}

fn members(words: &[u64]) -> impl Iterator<Item = u32> {
    words.iter().zip(0_u32..).flat_map(|(&word, at)| {
        let rest = |word: &u64| Some(word & (word - 1)).filter(|&rest| rest != 0);
        let words = iter::successors(Some(word).filter(|&word| word != 0), rest);
        words.map(move |word| at * u64::BITS + word.trailing_zeros())
    })
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
            prop::collection::vec(0..400_u32, 0..300),
            prop::collection::vec(3000..3500_u32, 100..300),
        ]
    }

    fn built(slots: &[u32]) -> (Set, BTreeSet<u32>) {
        let mut set = Set::default();
        slots.iter().for_each(|&slot| set.insert(slot));
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
                set.remove(slot);
                model.remove(&slot);
                prop_assert_eq!(set.len(), model.len());
                prop_assert!(!set.contains(slot));
            }
            prop_assert!(matches!(&set, Set::List(list) if list.capacity() < ALWAYS_LIST));
        }
    }

    #[test]
    fn a_set_is_what_is_smaller() {
        let (mut set, _) = built(&(0..10_000).collect::<Vec<_>>());
        assert!(matches!(&set, Set::Bits(bits) if bits.words.capacity() <= 256));
        (0..9_990).for_each(|slot| set.remove(slot));
        assert!(matches!(&set, Set::List(list) if list.capacity() <= 64), "{set:?}");
        assert_eq!(list(&set), (9_990..10_000).collect::<Vec<_>>());
        let (set, _) = built(&(0..1_000).map(|slot| slot * 100).collect::<Vec<_>>());
        assert!(matches!(set, Set::List(_)));
    }
}
