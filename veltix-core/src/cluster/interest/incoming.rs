//! [`InterestIn`]: the interest of another node, as it has told it.

use std::time::Instant;

use super::record::{InterestDelta, InterestSnapshot};
use super::set::InterestSet;
use crate::limits::{CLUSTER_INTEREST, CLUSTER_SYNC_EVERY};
use crate::tags::HashedTarget;

/// The interest of another node, as a function of the current time and of its records in their order.
///
/// The set counts as everything unless it is certain to be the newest one that the node has told. So no
/// message is kept from a node because a record was lost.
#[derive(Debug)]
pub struct InterestIn {
    set: InterestSet,
    /// The version of the set, or `None` if the set is not known.
    version: Option<u64>,
    /// The newest version that the node has named. The set is not known as long as it is older.
    newest: u64,
    /// True if records of the node are missing, and the next version that it names shows whether one of them
    /// was a change.
    is_doubtful: bool,
    asked: Option<Instant>,
    next_ask: Option<Instant>,
    /// The time of its last question that was answered.
    answered: Option<Instant>,
}

impl Default for InterestIn {
    fn default() -> Self {
        Self::new()
    }
}

impl InterestIn {
    /// Creates the state for a node that has told nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            set: InterestSet::everything(),
            version: None,
            newest: 0,
            is_doubtful: false,
            asked: None,
            next_ask: None,
            answered: None,
        }
    }

    /// Returns whether the node may have a peer that the target matches.
    #[must_use]
    pub fn may_match(&self, target: &HashedTarget) -> bool {
        self.is_doubtful || self.set.may_match(target)
    }

    /// Returns the version of the set, or `None` while it is not known.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.version.filter(|_| !self.is_doubtful)
    }

    /// Returns the set. It is everything while it is not known.
    #[must_use]
    pub const fn set(&self) -> &InterestSet {
        &self.set
    }

    /// Records the version in a hello or heartbeat.
    pub fn hear(&mut self, version: u64, now: Instant) {
        // An older version is that of a record that has arrived late.
        if version < self.newest || version == 0 {
            return;
        }
        self.newest = version;
        if self.version == Some(version) {
            self.is_doubtful = false;
        } else {
            self.lose(now);
        }
    }

    /// Records that records of the node are missing. A change may be among them.
    pub const fn lost(&mut self) {
        self.is_doubtful = self.version.is_some();
    }

    /// Applies a change.
    pub fn delta(&mut self, delta: &InterestDelta, now: Instant) {
        let InterestDelta { from, to, added, removed } = delta;
        if *to <= self.newest {
            return;
        }
        self.newest = *to;
        if self.version != Some(*from) {
            return self.lose(now);
        }
        self.set.apply(added, removed);
        if self.set.len().is_some_and(|hashes| hashes > CLUSTER_INTEREST) {
            return self.lose(now);
        }
        self.version = Some(*to);
        self.is_doubtful = false;
    }

    /// Applies a whole state. One that is older than a version that the node has named changes nothing.
    pub fn sync(&mut self, snapshot: &InterestSnapshot) {
        let version = snapshot.version;
        if version < self.newest || version == 0 || self.version == Some(version) {
            return;
        }
        self.set = match &snapshot.hashes {
            Some(hashes) => InterestSet::of(hashes),
            None => InterestSet::everything(),
        };
        (self.version, self.newest) = (Some(version), version);
        (self.is_doubtful, self.next_ask) = (false, None);
    }

    /// Returns whether to ask the node for its whole state now. It is true at most once a second, until the
    /// answer has arrived.
    #[must_use]
    pub fn take_ask(&mut self, now: Instant) -> bool {
        let is_due = self.next_ask.is_some_and(|at| at <= now);
        if is_due {
            (self.asked, self.next_ask) = (Some(now), Some(now + CLUSTER_SYNC_EVERY));
        }
        is_due
    }

    /// Returns whether to answer a question of the node now. It asks at most once a second, and an answer has up
    /// to 512 KiB: a node that asks without end would fill the queue to the others.
    #[must_use]
    pub fn take_question(&mut self, now: Instant) -> bool {
        // Half of that time: the questions may arrive closer to each other than they were asked.
        let is_early = |at: Instant| now.saturating_duration_since(at) < CLUSTER_SYNC_EVERY / 2;
        if self.answered.is_some_and(is_early) {
            return false;
        }
        self.answered = Some(now);
        true
    }

    /// Returns the time at which [`take_ask`](Self::take_ask) is true.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.next_ask
    }

    /// Forgets the set, which is older than the newest version.
    fn lose(&mut self, now: Instant) {
        self.set = InterestSet::everything();
        (self.version, self.is_doubtful) = (None, false);
        if self.next_ask.is_none() {
            let earliest = self.asked.map_or(now, |asked| asked + CLUSTER_SYNC_EVERY);
            self.next_ask = Some(earliest.max(now));
        }
    }
}
