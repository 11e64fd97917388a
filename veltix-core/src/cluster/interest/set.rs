//! [`InterestSet`]: the tags that the peers of one node hold, as others know them.

use super::hashes::Hashes;
use crate::tags::{HashedTarget, TagHash, Target};

/// The tags that the peers of one node hold, or everything: the node holds too many, or others do not know
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterestSet(Option<Hashes>);

impl InterestSet {
    /// Creates the interest of a node that has to receive every message.
    #[must_use]
    pub const fn everything() -> Self {
        Self(None)
    }

    /// Creates the interest in these tags, whose hashes are in ascending order.
    #[must_use]
    pub fn of(hashes: &[TagHash]) -> Self {
        Self(Some(Hashes::of(hashes)))
    }

    /// Returns the number of hashes, or `None` for everything.
    #[must_use]
    pub fn len(&self) -> Option<usize> {
        self.0.as_ref().map(Hashes::len)
    }

    /// Returns whether the node has no peer with a tag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Returns whether a peer of the node may hold a tag with this hash.
    #[must_use]
    pub fn holds(&self, hash: TagHash) -> bool {
        self.0.as_ref().is_none_or(|hashes| hashes.contains(hash))
    }

    /// Returns whether the node may have a peer that the target matches. It allocates no memory.
    #[must_use]
    pub fn may_match(&self, target: &HashedTarget) -> bool {
        target.may_match(&|hash| self.holds(hash))
    }

    /// Returns the same as [`may_match`](Self::may_match), for a target that is compared with one node only.
    /// It allocates no memory, and hashes the target at each call.
    #[must_use]
    pub fn may_match_target(&self, target: &Target) -> bool {
        target.may_match(&|hash| self.holds(hash))
    }

    /// Adds and removes hashes, both in ascending order.
    pub(super) fn apply(&mut self, added: &[TagHash], removed: &[TagHash]) {
        if let Some(hashes) = &mut self.0 {
            hashes.remove_all(removed);
            hashes.insert_all(added);
        }
    }
}
