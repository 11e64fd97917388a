//! [`HeldTags`]: the names and pairs that admitted peers hold, and the changes that are not yet read.

use std::collections::BTreeMap;

use super::super::stored::StoredValue;
use super::change::{InterestChange, InterestUpdate};
use super::hash::TagHash;
use crate::limits::CLUSTER_INTEREST_CHANGES;

/// Limits the unread changes. The limit is low in tests, so that they reach it.
const CHANGES: usize = if cfg!(test) { 8 } else { CLUSTER_INTEREST_CHANGES };

/// The held tags, which are names and pairs of a name and a value with an admitted peer.
///
/// The hashes are in a tree: a peer can choose tags whose hashes make a table without a secret slow. Above the
/// limit no hashes are kept, so that a store with very many tags costs a counter.
#[derive(Debug)]
pub(in crate::tags) struct HeldTags {
    limit: usize,
    /// Counts the names and pairs.
    held: usize,
    /// Counts the names and pairs with each hash, so that two with one hash end with the last of them.
    /// `None` above the limit, until half of the limit.
    counts: Option<BTreeMap<TagHash, u32>>,
    changes: Vec<InterestChange>,
    /// True if the next update is the state instead of the changes.
    is_reset: bool,
    is_woken: bool,
}

impl HeldTags {
    /// Creates the state without any tag. The first update is the state.
    pub(in crate::tags) const fn new(limit: usize) -> Self {
        let counts = Some(BTreeMap::new());
        Self { limit, held: 0, counts, changes: Vec::new(), is_reset: true, is_woken: true }
    }

    /// Records the first holder of a name, or of a name with a value.
    pub(in crate::tags) fn gain(&mut self, name: &str, value: Option<&StoredValue>) {
        self.held += 1;
        let Some(counts) = &mut self.counts else { return };
        if self.held > self.limit {
            self.counts = None;
            self.reset();
            return;
        }
        let hash = hash(name, value);
        let count = counts.entry(hash).or_default();
        *count += 1;
        if *count == 1 {
            self.push(InterestChange::Added(hash));
        }
    }

    /// Records that a name, or a name with a value, loses its last holder.
    pub(in crate::tags) fn lose(&mut self, name: &str, value: Option<&StoredValue>) {
        self.held -= 1;
        let Some(counts) = &mut self.counts else {
            if self.can_count() && !self.is_reset {
                self.reset();
            }
            return;
        };
        let hash = hash(name, value);
        let Some(count) = counts.get_mut(&hash) else { return };
        *count -= 1;
        if *count == 0 {
            counts.remove(&hash);
            self.push(InterestChange::Removed(hash));
        }
    }

    /// Returns whether the tags can be counted again, because they are few enough.
    pub(in crate::tags) const fn can_count(&self) -> bool {
        self.counts.is_none() && self.held <= self.limit / 2
    }

    /// Counts the tags anew, which are all names and pairs with holders.
    pub(in crate::tags) fn count<'a>(
        &mut self,
        tags: impl Iterator<Item = (&'a str, Option<&'a StoredValue>)>,
    ) {
        *self = Self::new(self.limit);
        let mut hashes = Vec::new();
        for (name, value) in tags {
            self.held += 1;
            if self.held <= self.limit {
                hashes.push(hash(name, value));
            }
        }
        // A tree is built from sorted items in a fraction of the time of single insertions.
        hashes.sort_unstable();
        let same = hashes.chunk_by(|one, other| one == other);
        let counts = same.map(|same| (same[0], same.len() as u32)).collect();
        self.counts = if self.held <= self.limit { Some(counts) } else { None };
    }

    /// Returns the difference to the last update.
    pub(in crate::tags) fn take(&mut self) -> InterestUpdate {
        self.is_woken = false;
        let changes = std::mem::take(&mut self.changes);
        if !std::mem::take(&mut self.is_reset) {
            return InterestUpdate::Changes(changes);
        }
        match &self.counts {
            Some(counts) => InterestUpdate::Reset(counts.keys().copied().collect()),
            None => InterestUpdate::Everything,
        }
    }

    /// Returns once after the first change behind an update that the reader has to be woken.
    pub(in crate::tags) const fn take_woken(&mut self) -> bool {
        std::mem::replace(&mut self.is_woken, false)
    }

    fn push(&mut self, change: InterestChange) {
        if self.is_reset {
            return;
        }
        // A tag that is set again loses its holder and has it back.
        if self.changes.last().is_some_and(|last| change.undoes(*last)) {
            self.changes.pop();
        } else if self.changes.len() < CHANGES {
            self.is_woken |= self.changes.is_empty();
            self.changes.push(change);
        } else {
            self.reset();
        }
    }

    fn reset(&mut self) {
        self.is_woken |= self.changes.is_empty();
        self.changes = Vec::new();
        self.is_reset = true;
    }
}

fn hash(name: &str, value: Option<&StoredValue>) -> TagHash {
    let name = TagHash::of_name(name);
    value.map_or(name, |value| name.with_value(value))
}

#[cfg(test)]
mod tests {
    use super::InterestChange::{Added, Removed};
    use super::*;

    fn name(at: usize) -> String {
        at.to_string()
    }

    /// The names are equal, as their hashes would be if a peer had chosen them.
    #[test]
    fn a_hash_stays_until_its_last_tag() {
        let mut held = HeldTags::new(10);
        assert_eq!(held.take(), InterestUpdate::Reset(Vec::new()));
        held.gain("a", None);
        held.gain("a", None);
        let hash = TagHash::of_name("a");
        assert_eq!(held.take(), InterestUpdate::Changes(vec![Added(hash)]));
        held.lose("a", None);
        assert!(!held.take_woken());
        assert_eq!(held.take(), InterestUpdate::Changes(Vec::new()));
        held.lose("a", None);
        assert!(held.take_woken() && !held.take_woken());
        assert_eq!(held.take(), InterestUpdate::Changes(vec![Removed(hash)]));
        held.count([("a", None), ("a", None)].into_iter());
        assert_eq!(held.take(), InterestUpdate::Reset(vec![hash]));
        held.lose("a", None);
        assert_eq!(held.take(), InterestUpdate::Changes(Vec::new()), "counted, it is the same");
    }

    #[test]
    fn too_many_changes_become_the_state() {
        let mut held = HeldTags::new(100);
        held.take();
        (0..=CHANGES).for_each(|at| held.gain(&name(at), None));
        assert!(held.take_woken());
        let InterestUpdate::Reset(hashes) = held.take() else { panic!("there were too many") };
        assert_eq!(hashes.len(), CHANGES + 1);
        assert!(hashes.is_sorted());
        held.lose("0", None);
        let removed = Removed(TagHash::of_name("0"));
        assert_eq!(held.take(), InterestUpdate::Changes(vec![removed]));
    }

    #[test]
    fn too_many_tags_are_everything_until_half_of_the_limit() {
        let mut held = HeldTags::new(10);
        held.take();
        (0..11).for_each(|at| held.gain(&name(at), None));
        assert!(held.take_woken());
        assert_eq!(held.take(), InterestUpdate::Everything);
        (6..11).for_each(|at| held.lose(&name(at), None));
        assert!(!held.take_woken() && !held.can_count(), "6 tags are more than half");
        held.lose("5", None);
        assert!(held.take_woken() && held.can_count());
        let names: Vec<_> = (0..5).map(name).collect();
        held.count(names.iter().map(|name| (name.as_str(), None)));
        let InterestUpdate::Reset(hashes) = held.take() else { panic!("they are few") };
        assert_eq!(hashes.len(), 5);
        held.gain("x", None);
        assert_eq!(held.take(), InterestUpdate::Changes(vec![Added(TagHash::of_name("x"))]));
    }
}
