//! Bitmaps of slots, for sets with many members.

use std::iter;

/// Is the number of slots in one word of a bitmap.
pub(super) const WORD: usize = u64::BITS as usize;

#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    /// Holds the bitmap. The last word is not zero, so that a set releases memory when its highest
    /// members are removed.
    pub(super) words: Vec<u64>,
    pub(super) len: usize,
}

impl Bits {
    pub(super) fn from_words(mut words: Vec<u64>) -> Self {
        trim(&mut words);
        let len = count(words.iter().copied());
        Self { words, len }
    }

    pub(super) fn contains(&self, slot: u32) -> bool {
        self.words.get(slot as usize / WORD).is_some_and(|word| word & bit(slot) != 0)
    }

    pub(super) fn insert(&mut self, slot: u32) -> bool {
        let at = slot as usize / WORD;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        let is_new = self.words[at] & bit(slot) == 0;
        self.len += usize::from(is_new);
        self.words[at] |= bit(slot);
        is_new
    }

    pub(super) fn remove(&mut self, slot: u32) -> bool {
        let Some(word) = self.words.get_mut(slot as usize / WORD) else { return false };
        if *word & bit(slot) == 0 {
            return false;
        }
        self.len -= 1;
        *word &= !bit(slot);
        trim(&mut self.words);
        if self.words.len() < self.words.capacity() / 4 {
            self.words.shrink_to(self.words.len() * 2);
        }
        true
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        members(&self.words)
    }
}

impl FromIterator<u32> for Bits {
    fn from_iter<I: IntoIterator<Item = u32>>(slots: I) -> Self {
        let mut bits = Self::default();
        slots.into_iter().for_each(|slot| _ = bits.insert(slot));
        bits
    }
}

pub(super) const fn bit(slot: u32) -> u64 {
    1 << (slot % u64::BITS)
}

pub(super) fn count(words: impl Iterator<Item = u64>) -> usize {
    words.map(|word| word.count_ones() as usize).sum()
}

fn trim(words: &mut Vec<u64>) {
    while words.last() == Some(&0) {
        words.pop();
    }
}

pub(super) fn members(words: &[u64]) -> impl Iterator<Item = u32> {
    words.iter().zip(0_u32..).flat_map(|(&word, at)| {
        let rest = |word: &u64| Some(word & (word - 1)).filter(|&rest| rest != 0);
        let words = iter::successors(Some(word).filter(|&word| word != 0), rest);
        words.map(move |word| at * u64::BITS + word.trailing_zeros())
    })
}
