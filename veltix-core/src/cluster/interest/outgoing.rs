//! [`InterestOut`]: the interest that this node tells the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::super::ids::NodeId;
use super::super::record::Record;
use super::hashes::Hashes;
use super::record::{InterestDelta, InterestSnapshot};
use crate::limits::{CLUSTER_INTEREST, CLUSTER_INTEREST_LINGER, CLUSTER_MEMBERS};
use crate::tags::{InterestChange, InterestUpdate, TagHash};

/// The interest that this node tells the others, as a function of the current time.
///
/// Additions are due at once, since the other nodes send nothing for tags that they do not know. Removals wait
/// for a second, and are not told if the tag comes back within it. Until the first update the node needs every
/// message.
#[derive(Debug)]
pub struct InterestOut {
    limit: usize,
    version: u64,
    /// The hashes of the current version, or `None` for everything.
    told: Option<Hashes>,
    /// The hashes to add, none of which is told.
    added: BTreeSet<TagHash>,
    /// The hashes to remove, all of which are told.
    leaving: Leaving,
    /// True if the next record is the whole state, for all nodes.
    is_whole: bool,
    /// The nodes that have asked for the whole state.
    asking: BTreeSet<NodeId>,
}

/// The told hashes without a holder, and the times at which they are removed.
#[derive(Debug, Default)]
struct Leaving {
    by_hash: BTreeMap<TagHash, Instant>,
    by_time: BTreeSet<(Instant, TagHash)>,
}

impl Default for InterestOut {
    fn default() -> Self {
        Self::new()
    }
}

impl InterestOut {
    /// Creates the state of a node that starts. Its version is 1.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            limit: CLUSTER_INTEREST,
            version: 1,
            told: None,
            added: BTreeSet::new(),
            leaving: Leaving { by_hash: BTreeMap::new(), by_time: BTreeSet::new() },
            is_whole: false,
            asking: BTreeSet::new(),
        }
    }

    /// Returns the version of the interest that the others have been told, for hellos and heartbeats.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Applies an update of the store.
    pub fn apply(&mut self, update: InterestUpdate, now: Instant) {
        match update {
            InterestUpdate::Changes(changes) => {
                for change in changes {
                    match change {
                        InterestChange::Added(hash) => self.add(hash),
                        InterestChange::Removed(hash) => self.remove(hash, now),
                    }
                }
            }
            InterestUpdate::Reset(hashes) => self.replace(&hashes, now),
            InterestUpdate::Everything if self.told.is_some() => self.begin(None),
            InterestUpdate::Everything => {}
        }
    }

    /// Records that a node has asked for the whole state.
    pub fn ask(&mut self, node: NodeId) {
        self.asking.insert(node);
        // No other node is left that the answer to all would be too much for.
        self.is_whole |= self.asking.len() >= CLUSTER_MEMBERS;
    }

    /// Forgets the question of a node that has left.
    pub fn forget(&mut self, node: NodeId) {
        self.asking.remove(&node);
    }

    /// Returns the next record that is due, and the node that it is for, or `None` for all nodes.
    #[must_use]
    pub fn next(&mut self, now: Instant) -> Option<(Option<NodeId>, Record)> {
        if let Some(delta) = self.delta(now) {
            let told = self.told.as_ref().map_or(0, Hashes::len);
            // The whole state is shorter, and answers each question.
            self.is_whole |= delta.removed.len() > told;
            if !self.is_whole {
                return Some((None, delta.encode()));
            }
        }
        let first = self.asking.first().copied();
        if !self.is_whole && first.is_none() {
            return None;
        }
        let only = first.filter(|_| !self.is_whole && self.asking.len() == 1);
        self.is_whole = false;
        self.asking.clear();
        Some((only, self.snapshot().encode()))
    }

    /// Returns the time at which [`next`](Self::next) has a record although nothing else has happened.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.leaving.by_time.first().map(|(at, _)| *at)
    }

    /// Returns the whole state.
    #[must_use]
    pub fn snapshot(&self) -> InterestSnapshot {
        let hashes = self.told.as_ref().map(|told| told.iter().collect());
        InterestSnapshot { version: self.version, hashes }
    }

    fn add(&mut self, hash: TagHash) {
        let Some(told) = &self.told else { return };
        if !self.leaving.cancel(hash) && !told.contains(hash) {
            self.added.insert(hash);
        }
    }

    fn remove(&mut self, hash: TagHash, now: Instant) {
        let Some(told) = &self.told else { return };
        if !self.added.remove(&hash) && told.contains(hash) {
            self.leaving.insert(hash, now + CLUSTER_INTEREST_LINGER);
        }
    }

    /// Compares the hashes that have holders now with those that had them before.
    fn replace(&mut self, hashes: &[TagHash], now: Instant) {
        let Some(told) = &self.told else { return self.begin(Some(Hashes::of(hashes))) };
        let is_gone = |hash: &TagHash| hashes.binary_search(hash).is_err();
        let gone: Vec<_> = told.iter().filter(is_gone).collect();
        self.added.retain(|hash| !is_gone(hash));
        for hash in gone {
            // A removal that waits already keeps its time.
            if !self.leaving.by_hash.contains_key(&hash) {
                self.remove(hash, now);
            }
        }
        hashes.iter().for_each(|hash| self.add(*hash));
    }

    /// Begins with other content, which all nodes are told whole.
    fn begin(&mut self, told: Option<Hashes>) {
        self.told = told;
        self.added.clear();
        self.leaving = Leaving::default();
        self.version += 1;
        self.is_whole = true;
    }

    /// Makes the next version, if there is one, and returns its difference to the current one.
    fn delta(&mut self, now: Instant) -> Option<InterestDelta> {
        let told = self.told.as_mut()?;
        let mut removed = Vec::new();
        while let Some(&(at, hash)) = self.leaving.by_time.first() {
            let is_over = told.len() + self.added.len() - removed.len() > self.limit;
            if at > now && !is_over {
                break;
            }
            self.leaving.cancel(hash);
            removed.push(hash);
        }
        if self.added.is_empty() && removed.is_empty() {
            return None;
        }
        removed.sort_unstable();
        let added: Vec<_> = std::mem::take(&mut self.added).into_iter().collect();
        told.remove_all(&removed);
        told.insert_all(&added);
        let from = self.version;
        self.version += 1;
        Some(InterestDelta { from, to: self.version, added, removed })
    }
}

impl Leaving {
    fn insert(&mut self, hash: TagHash, at: Instant) {
        self.cancel(hash);
        self.by_hash.insert(hash, at);
        self.by_time.insert((at, hash));
    }

    /// Forgets a hash, and returns whether it was leaving.
    fn cancel(&mut self, hash: TagHash) -> bool {
        let Some(at) = self.by_hash.remove(&hash) else { return false };
        self.by_time.remove(&(at, hash))
    }
}

#[cfg(test)]
impl InterestOut {
    /// Creates the state with a limit that a test can reach.
    pub(super) const fn with_limit(limit: usize) -> Self {
        let mut out = Self::new();
        out.limit = limit;
        out
    }
}
