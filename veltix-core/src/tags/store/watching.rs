//! The watches of a store.

use super::TagStore;
use crate::error::TargetError;
use crate::tags::target::Target;
use crate::tags::view::TagsView;
use crate::tags::watch::{WatchId, WatchStep};

impl TagStore {
    /// Starts a watch of the peers that the target matches. [`next_change`](TagStore::next_change)
    /// then returns, step by step, the current members and the peers that enter or leave.
    ///
    /// # Errors
    /// Returns [`TargetError`] if the target cannot be used.
    pub fn watch(&mut self, target: &Target) -> Result<WatchId, TargetError> {
        target.check()?;
        Ok(self.watches.begin(target.clone(), TagsView::empty(&self.index)))
    }

    /// Ends a watch. It changes nothing if the watch has ended.
    pub fn unwatch(&mut self, watch: WatchId) {
        self.watches.end(watch);
    }

    /// Returns the next step of the watch.
    pub fn next_change(&mut self, watch: WatchId) -> WatchStep {
        if let Some(target) = self.watches.take_reset(watch) {
            return WatchStep::Reset(self.find(&target));
        }
        match self.watches.next(watch) {
            WatchStep::Idle if self.watches.have_ended() && self.slots.is_empty() => {
                WatchStep::Ended
            }
            step => step,
        }
    }

    /// Announces that no further peer will be admitted. Each watch ends once all peers have left
    /// and it has reported that.
    pub fn end_watches(&mut self) {
        self.watches.end_all();
        if self.slots.is_empty() {
            self.watches.wake_if_ended();
        }
    }

    /// Returns the watches that have had a new step since the last call: their
    /// [`next_change`](TagStore::next_change) is not [`Idle`](WatchStep::Idle) any more.
    #[must_use]
    pub fn take_woken(&mut self) -> Vec<WatchId> {
        self.watches.take_woken()
    }
}
