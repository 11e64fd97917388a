//! Watches of the groups of peers that a target matches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::stored::StoredValue;
use super::super::value::TagValue;
use super::leaving::Leaving;
use super::queue::Queue;

/// A group of the peers that a target matches: those that have the same value of a tag, for example
/// all connections of one user. It exists from its first connection to its last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// Holds the value that the peers of the group have.
    pub key: TagValue,
}

#[cfg(feature = "cluster")]
impl Group {
    /// Creates the group of the peers that have this value.
    #[doc(hidden)]
    #[must_use]
    pub const fn of(key: TagValue) -> Self {
        Self { key }
    }
}

/// A step is the next report of a watch of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the driver of a watch must handle every step")]
pub enum GroupStep {
    /// There are exactly these groups now. Groups in their grace are among them. A watch starts with
    /// this step, and returns to it if the changes since the last step exceed a limit of its queue.
    Reset(Vec<Group>),
    /// The group has its first connection.
    Joined(Group),
    /// The group has lost its last connection, and its grace has ended.
    Left(Group),
    /// No change has happened since the last step. The grace of a group ends at this time, and the
    /// reader has to ask again then.
    Idle(Option<Instant>),
    /// The watch has ended.
    Ended,
}

/// The state of a watch of groups.
#[derive(Debug)]
pub(super) struct Groups {
    by: Arc<str>,
    grace: Duration,
    /// Counts the connections of each group.
    counts: BTreeMap<StoredValue, usize>,
    leaving: Leaving,
    queue: Queue<GroupChange>,
}

#[derive(Debug)]
enum GroupChange {
    Joined(StoredValue),
    Left(StoredValue),
}

impl Groups {
    /// Creates the watch with the keys of the current members.
    pub(super) fn new(
        by: Arc<str>,
        grace: Duration,
        keys: impl IntoIterator<Item = StoredValue>,
    ) -> Self {
        let mut counts = BTreeMap::new();
        keys.into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
        Self { by, grace, counts, leaving: Leaving::default(), queue: Queue::new() }
    }

    pub(super) const fn by(&self) -> &Arc<str> {
        &self.by
    }

    pub(super) const fn has_grace(&self) -> bool {
        !self.grace.is_zero()
    }

    /// Records that a connection has come to a group, and returns whether to wake the reader.
    pub(super) fn gain(&mut self, key: StoredValue, now: Option<Instant>) -> bool {
        let wake = self.expire(now);
        let count = self.counts.entry(key.clone()).or_default();
        *count += 1;
        if *count > 1 || self.leaving.cancel(&key) {
            return wake;
        }
        self.push(GroupChange::Joined(key)) | wake
    }

    /// Records that a connection has gone from a group, and returns whether to wake the reader.
    pub(super) fn lose(&mut self, key: StoredValue, now: Option<Instant>) -> bool {
        let wake = self.expire(now);
        debug_assert!(self.counts.contains_key(&key), "a connection was counted when it came");
        let Some(count) = self.counts.get_mut(&key) else { return wake };
        *count -= 1;
        if *count > 0 {
            return wake;
        }
        self.counts.remove(&key);
        let Some(now) = now.filter(|_| self.has_grace()) else {
            return self.push(GroupChange::Left(key)) | wake;
        };
        // A reader without a timer has to set one. With a timer, it asks early enough.
        let is_first = self.leaving.deadline().is_none();
        self.leaving.insert(key, now + self.grace);
        self.expire(Some(now)) | wake | is_first
    }

    /// Reports the groups whose grace has ended, and returns whether to wake the reader. Each change
    /// does this first, so that a group that comes back too late has left before.
    fn expire(&mut self, now: Option<Instant>) -> bool {
        let Some(now) = now else { return false };
        let mut wake = false;
        while let Some(key) = self.leaving.pop(now) {
            wake |= self.push(GroupChange::Left(key));
        }
        wake
    }

    fn push(&mut self, change: GroupChange) -> bool {
        let (GroupChange::Joined(key) | GroupChange::Left(key)) = &change;
        let size = key.size();
        self.queue.push(change, size)
    }

    /// Returns the next step. After the end of all connections no group comes back, so no grace is
    /// waited for.
    pub(super) fn next(&mut self, now: Instant, has_ended: bool) -> GroupStep {
        self.expire(Some(now));
        while has_ended && let Some(key) = self.leaving.pop_first() {
            self.push(GroupChange::Left(key));
        }
        let group = |key: &StoredValue| Group { key: key.to_value() };
        if self.queue.take_reset() {
            let mut groups: Vec<_> =
                self.counts.keys().chain(self.leaving.keys()).map(group).collect();
            groups.sort_unstable_by(|one, other| one.key.cmp(&other.key));
            return GroupStep::Reset(groups);
        }
        match self.queue.pop() {
            Some(GroupChange::Joined(key)) => GroupStep::Joined(group(&key)),
            Some(GroupChange::Left(key)) => GroupStep::Left(group(&key)),
            None if has_ended => GroupStep::Ended,
            None => GroupStep::Idle(self.leaving.deadline()),
        }
    }
}
