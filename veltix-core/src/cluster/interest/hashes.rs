//! [`Hashes`]: a compact set of hashes.

use crate::tags::TagHash;

/// The number of groups, by the upper bits of a hash.
const GROUPS: usize = 256;

/// The number of hashes up to which each of them is added or removed by itself.
const FEW: usize = 4;

/// A set of hashes that takes 8 to 10 bytes for each, and can be read in ascending order.
///
/// The hashes are in 256 sorted lists by their upper bits, so that a change moves the hashes of one list, some
/// 2 KiB in the largest set. Peers can choose tags whose hashes are all in one list: a change then moves up to
/// 512 KiB, and never more. A table would be slower by any factor then, and take more than twice the memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hashes {
    /// The lists, or none if the set is empty.
    groups: Vec<Vec<TagHash>>,
    len: usize,
}

fn group_of(hash: TagHash) -> usize {
    (hash.value() >> 56) as usize
}

impl Hashes {
    /// Creates the set of these hashes, which are in ascending order.
    pub(super) fn of(hashes: &[TagHash]) -> Self {
        let mut set = Self::default();
        set.insert_all(hashes);
        set
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn contains(&self, hash: TagHash) -> bool {
        self.groups.get(group_of(hash)).is_some_and(|group| group.binary_search(&hash).is_ok())
    }

    /// Returns the hashes in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = TagHash> {
        self.groups.iter().flatten().copied()
    }

    /// Adds hashes, which are in ascending order.
    pub(super) fn insert_all(&mut self, hashes: &[TagHash]) {
        if hashes.is_empty() {
            return;
        }
        self.groups.resize_with(GROUPS, Vec::new);
        for added in of_groups(hashes) {
            let group = &mut self.groups[group_of(added[0])];
            let before = group.len();
            if group.capacity() < before + added.len() {
                // Doubling would waste up to half of the memory.
                group.reserve_exact(added.len().max(before / 4));
            }
            if added.len() <= FEW {
                for &hash in added {
                    if let Err(at) = group.binary_search(&hash) {
                        group.insert(at, hash);
                    }
                }
            } else {
                // The sort finds two sorted runs, and merges them.
                group.extend_from_slice(added);
                group.sort();
                group.dedup();
            }
            self.len += group.len() - before;
        }
    }

    /// Removes hashes, which are in ascending order.
    pub(super) fn remove_all(&mut self, hashes: &[TagHash]) {
        for removed in of_groups(hashes) {
            let Some(group) = self.groups.get_mut(group_of(removed[0])) else { return };
            let before = group.len();
            if removed.len() <= FEW {
                for hash in removed {
                    if let Ok(at) = group.binary_search(hash) {
                        group.remove(at);
                    }
                }
            } else {
                group.retain(|hash| removed.binary_search(hash).is_err());
            }
            if group.len() < group.capacity() / 4 {
                group.shrink_to(group.len() * 2);
            }
            self.len -= before - group.len();
        }
        if self.len == 0 {
            self.groups = Vec::new();
        }
    }
}

/// Returns the parts of the hashes that are in one group each.
fn of_groups(hashes: &[TagHash]) -> impl Iterator<Item = &[TagHash]> {
    hashes.chunk_by(|one, other| group_of(*one) == group_of(*other))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use allocation_counter::measure;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    /// Generates hashes in few groups, so that groups are large.
    fn hashes() -> impl Strategy<Value = BTreeSet<TagHash>> {
        let hash = (0..2_u64, 0..40_u64).prop_map(|(top, low)| TagHash::new(top << 56 | low));
        btree_set(hash, 0..60)
    }

    fn list(hashes: &BTreeSet<TagHash>) -> Vec<TagHash> {
        hashes.iter().copied().collect()
    }

    proptest! {
        #[test]
        fn it_is_a_set(begin in hashes(), added in hashes(), removed in hashes()) {
            let mut set = Hashes::of(&list(&begin));
            set.insert_all(&list(&added));
            set.remove_all(&list(&removed));
            let expected: Vec<_> =
                begin.union(&added).filter(|hash| !removed.contains(hash)).copied().collect();
            prop_assert_eq!(set.len(), expected.len());
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), expected);
            for hash in begin.iter().chain(&added).chain(&removed) {
                let is_in = !removed.contains(hash);
                prop_assert_eq!(set.contains(*hash), is_in);
            }
            set.remove_all(&list(&begin));
            set.remove_all(&list(&added));
            prop_assert_eq!(set, Hashes::default());
        }
    }

    /// 64 nodes with 65 536 hashes each take at most 48 MiB.
    #[test]
    fn a_set_is_small_however_it_has_grown() {
        let hash = |at: u64| TagHash::new(at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut sorted: Vec<_> = (0..65_536).map(hash).collect();
        let mut kept = Hashes::default();
        let grown = measure(|| (0..65_536).for_each(|at| kept.insert_all(&[hash(at)])));
        sorted.sort_unstable();
        let mut received = Hashes::default();
        let read = measure(|| received = Hashes::of(&sorted));
        println!("65 536 hashes: {} bytes grown, {} read", grown.bytes_current, read.bytes_current);
        assert!(grown.bytes_current <= 700_000 && read.bytes_current <= 540_000);
        assert_eq!(kept, received);
        let half: Vec<_> = sorted.iter().copied().step_by(8).collect();
        sorted.retain(|hash| half.binary_search(hash).is_err());
        let shrunk = measure(|| received.remove_all(&sorted));
        println!("8 192 hashes: {} bytes released", -shrunk.bytes_current);
        assert!(-shrunk.bytes_current >= 350_000);
    }
}
