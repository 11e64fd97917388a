//! [`MergedGroups`]: the groups of several sources, such as the nodes of a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::super::value::TagValue;
use super::groups::{GroupStep, Groups};

/// The groups of several sources, such as the nodes of a cluster. A group joins with its first source, and
/// leaves with its last one, after a grace.
#[derive(Debug)]
pub struct MergedGroups<S> {
    sources: BTreeMap<S, BTreeSet<TagValue>>,
    groups: Groups,
}

impl<S: Copy + Ord> MergedGroups<S> {
    /// Creates the state without groups. The first step is `Reset`.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self { sources: BTreeMap::new(), groups: Groups::new("".into(), grace, []) }
    }

    /// Records that a source has a group.
    pub fn join(&mut self, source: S, key: TagValue, now: Instant) {
        if self.sources.entry(source).or_default().insert(key.clone()) {
            self.groups.gain(key.into(), Some(now));
        }
    }

    /// Records that a source has a group no more.
    pub fn leave(&mut self, source: S, key: &TagValue, now: Instant) {
        if self.sources.get_mut(&source).is_some_and(|keys| keys.remove(key)) {
            self.groups.lose(key.clone().into(), Some(now));
        }
    }

    /// Records that a source has exactly these groups.
    pub fn reset(&mut self, source: S, keys: BTreeSet<TagValue>, now: Instant) {
        let before = self.sources.remove(&source).unwrap_or_default();
        // New ones first: a group that stays in one source does not leave in between.
        for key in keys.difference(&before) {
            self.groups.gain(key.clone().into(), Some(now));
        }
        for key in before.difference(&keys) {
            self.groups.lose(key.clone().into(), Some(now));
        }
        if !keys.is_empty() {
            self.sources.insert(source, keys);
        }
    }

    /// Returns the sources that have groups.
    pub fn sources(&self) -> impl Iterator<Item = S> {
        self.sources.keys().copied()
    }

    /// Returns the next step. After the end of all connections, no grace is waited for.
    pub fn next(&mut self, now: Instant, has_ended: bool) -> GroupStep {
        self.groups.next(now, has_ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::Group;

    #[test]
    fn a_group_leaves_with_its_last_source_after_the_grace() {
        let (one, other) = (1, 2);
        let (start, grace) = (Instant::now(), Duration::from_secs(10));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut groups = MergedGroups::new(grace);
        let (ada, bob) = (TagValue::from("ada"), TagValue::from("bob"));
        groups.reset(one, [ada.clone(), bob.clone()].into(), at(0));
        let both = [&ada, &bob].map(|key| Group::of(key.clone())).to_vec();
        assert_eq!(groups.next(at(0), false), GroupStep::Reset(both));
        groups.join(other, ada.clone(), at(1));
        groups.join(other, ada.clone(), at(1));
        assert_eq!(groups.next(at(1), false), GroupStep::Idle(None));
        // A source that ends takes the groups with it that only it had.
        groups.reset(one, BTreeSet::new(), at(2));
        assert_eq!(groups.next(at(2), false), GroupStep::Idle(Some(at(12))));
        groups.leave(other, &bob, at(3));
        groups.join(other, bob.clone(), at(11));
        assert_eq!(groups.next(at(13), false), GroupStep::Idle(None), "it has come back in time");
        groups.leave(other, &bob, at(14));
        assert_eq!(groups.next(at(24), false), GroupStep::Left(Group::of(bob)));
        groups.leave(other, &ada, at(24));
        assert_eq!(groups.next(at(24), true), GroupStep::Left(Group::of(ada)));
    }
}
