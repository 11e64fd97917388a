//! The tags that the other nodes of a cluster are told.

use super::TagStore;
use crate::limits::CLUSTER_INTEREST;
use crate::tags::interest::InterestUpdate;

impl TagStore {
    /// Begins to keep the hashes of the tags that admitted peers hold: each name, and each pair of a name and
    /// a value. [`take_interest`](TagStore::take_interest) then returns them and their changes. It changes
    /// nothing if the store keeps them already.
    ///
    /// Without this call a store does nothing for them. A staged peer holds nothing, since no target matches
    /// it.
    pub fn track_interest(&mut self) {
        self.index.track_interest(CLUSTER_INTEREST);
    }

    /// Returns the difference to the last update. The first update after
    /// [`track_interest`](TagStore::track_interest) is the state.
    pub fn take_interest(&mut self) -> InterestUpdate {
        self.index.take_interest()
    }

    /// Returns whether the reader of the updates has to be woken. It is true once after the first change behind
    /// each [`take_interest`](TagStore::take_interest). A caller with a lock asks after each change of the store.
    pub fn take_interest_wake(&mut self) -> bool {
        self.index.take_interest_wake()
    }

    /// Tracks with a limit that a test can reach.
    #[cfg(test)]
    pub(crate) fn track_interest_up_to(&mut self, limit: usize) {
        self.index.track_interest(limit);
    }
}
