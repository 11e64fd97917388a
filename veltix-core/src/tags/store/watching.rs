//! The watches of a store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::TagStore;
use crate::error::TargetError;
use crate::tags::target::Target;
use crate::tags::watch::{GroupStep, Member, WatchId, WatchStep, member};

impl TagStore {
    /// Starts a watch of the peers that the target matches. [`next_change`](TagStore::next_change)
    /// then returns, step by step, the current members and the peers that enter or leave. Each of
    /// them has its tags of these names.
    ///
    /// # Errors
    /// Returns [`TargetError`] if the target cannot be used.
    pub fn watch(
        &mut self,
        target: &Target,
        names: impl IntoIterator<Item: AsRef<str>>,
    ) -> Result<WatchId, TargetError> {
        target.check()?;
        let mut names: Vec<Arc<str>> = names.into_iter().map(|name| name.as_ref().into()).collect();
        names.sort_unstable();
        names.dedup();
        Ok(self.watches.watch_members(target.clone(), names.into()))
    }

    /// Starts a watch of the groups of peers that the target matches. A peer is in the group of its
    /// value of this name, and in every group of its values of a set. A group that has lost its last
    /// connection leaves after the grace if it has not come back. [`next_group`](TagStore::next_group)
    /// then returns, step by step, the current groups and their changes.
    ///
    /// While there is a watch with a grace ([`needs_time`](TagStore::needs_time)), the caller sets
    /// the time before each change.
    ///
    /// # Errors
    /// Returns [`TargetError`] if the target cannot be used.
    pub fn watch_groups(
        &mut self,
        target: &Target,
        by: &str,
        grace: Duration,
        now: Instant,
    ) -> Result<WatchId, TargetError> {
        let members = self.select(target)?;
        let keys = members.iter().flat_map(|peer| self.view(*peer).values(by));
        let keys = keys.cloned().collect();
        self.set_time(now);
        Ok(self.watches.watch_groups(target.clone(), by.into(), grace, keys))
    }

    /// Ends a watch. It changes nothing if the watch has ended. The result is the memory of the
    /// watch, which a caller with a lock drops after it: it may have an entry for each group.
    pub fn unwatch(&mut self, watch: WatchId) -> impl Sized + use<> {
        self.watches.end(watch)
    }

    /// Returns the next step of a watch of members.
    pub fn next_change(&mut self, watch: WatchId) -> WatchStep {
        if let Some((target, names)) = self.watches.take_reset(watch) {
            let found = self.find(&target).into_iter();
            return WatchStep::Reset(
                found.map(|peer| member(peer, self.view(peer), &names)).collect(),
            );
        }
        match self.watches.next(watch) {
            WatchStep::Idle if self.watches.have_ended() && self.slots.is_empty() => {
                WatchStep::Ended
            }
            step => step,
        }
    }

    /// Returns the peers that the target matches with their tags of these names, up to `limit` of them, and
    /// whether there are more.
    ///
    /// # Errors
    /// Returns [`TargetError`] if the target cannot be used.
    pub fn members(
        &self,
        target: &Target,
        names: &[Arc<str>],
        limit: usize,
    ) -> Result<(Vec<Member>, bool), TargetError> {
        let found = self.select(target)?;
        let members = found.iter().take(limit);
        let members = members.map(|peer| member(*peer, self.view(*peer), names)).collect();
        Ok((members, found.len() > limit))
    }

    /// Returns the next step of a watch of groups.
    pub fn next_group(&mut self, watch: WatchId, now: Instant) -> GroupStep {
        self.watches.next_group(watch, now, self.slots.is_empty())
    }

    /// Returns whether a watch has a grace, so that the caller has to [set the
    /// time](TagStore::set_time) before each change.
    #[must_use]
    pub const fn needs_time(&self) -> bool {
        self.watches.need_time()
    }

    /// Sets the time of the next changes.
    pub const fn set_time(&mut self, now: Instant) {
        self.watches.set_time(now);
    }

    /// Announces that no further peer will be admitted. Each watch ends once all peers have left
    /// and it has reported that.
    pub fn end_watches(&mut self) {
        self.watches.end_all();
        if self.slots.is_empty() {
            self.watches.wake_if_ended();
        }
    }

    /// Returns the watches that have had a new step since the last call: their next step is not
    /// [`Idle`](WatchStep::Idle) any more, or the grace of a group has begun.
    #[must_use]
    pub fn take_woken(&mut self) -> Vec<WatchId> {
        self.watches.take_woken()
    }
}
