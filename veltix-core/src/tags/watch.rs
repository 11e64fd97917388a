//! Watches, which report the peers that enter and leave a target.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;

use super::peer_id::PeerId;
use super::target::Target;
use super::view::TagsView;
use crate::limits::WATCH_QUEUE;

/// Limits the changes that a watch keeps. The limit is low in tests, so that they reach it.
const QUEUE: usize = if cfg!(test) { 4 } else { WATCH_QUEUE };

/// Is the number of changes for which a watch keeps memory after it has reported all of them.
const IDLE_ROOM: usize = 16;

/// Identifies a watch of a [`TagStore`](super::TagStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(u64);

/// A step is the next report of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the driver of a watch must handle every step")]
pub enum WatchStep {
    /// The target now matches exactly these peers. A watch starts with this step, and returns to it
    /// if more changes happened than it keeps.
    Reset(Vec<PeerId>),
    /// The target matches this peer from now on, and did not match it before.
    Entered(PeerId),
    /// The target does not match this peer any more, and matched it before.
    Left(PeerId),
    /// No change has happened since the last step.
    Idle,
    /// The watch has ended.
    Ended,
}

/// Holds all watches of a store. Each watch keeps its unreported changes in the order in which they
/// happened. A change is compared only with the watches that it may concern.
#[derive(Debug, Default)]
pub(super) struct Watches {
    next: u64,
    watches: BTreeMap<WatchId, Watched>,
    /// Holds the watches that depend on a tag of this name.
    by_name: BTreeMap<Arc<str>, BTreeSet<WatchId>>,
    /// Holds the watches whose target may match a peer with none of their tags, for example because
    /// it names the peer.
    open: BTreeSet<WatchId>,
    /// Holds the result of [`TagStore::take_woken`](super::TagStore::take_woken).
    woken: Vec<WatchId>,
    /// Is true once no further peer will be admitted.
    ended: bool,
}

#[derive(Debug)]
struct Watched {
    target: Target,
    /// Holds at most [`QUEUE`] changes.
    changes: VecDeque<Change>,
    /// Is true if the next step is a reset. The reset reports the members at the time of the call,
    /// so no change before it matters.
    reset: bool,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Entered(PeerId),
    Left(PeerId),
}

/// Lists the watches that a change may concern, and whether the peer was a member before the
/// change.
pub(super) type Memberships = Vec<(WatchId, bool)>;

impl Watches {
    pub(super) fn begin(&mut self, target: Target, nothing: TagsView<'_>) -> WatchId {
        self.next += 1;
        let id = WatchId(self.next);
        target.0.visit_names(&mut |name| {
            self.by_name.entry(Arc::clone(name)).or_default().insert(id);
        });
        // No peer has this id and no tags. Targets that name peers are handled by `names_peers`.
        let nobody = PeerId::new(u64::MAX);
        if target.0.names_peers() || target.0.matches(nobody, nothing) {
            self.open.insert(id);
        }
        self.watches.insert(id, Watched { target, changes: VecDeque::new(), reset: true });
        id
    }

    pub(super) fn end(&mut self, id: WatchId) {
        let Some(Watched { target, .. }) = self.watches.remove(&id) else { return };
        self.open.remove(&id);
        target.0.visit_names(&mut |name| {
            if let Some(ids) = self.by_name.get_mut(name) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_name.remove(name);
                }
            }
        });
    }

    /// Returns the memberships before a change of the peer's tag of this name.
    pub(super) fn memberships(&self, peer: PeerId, tags: TagsView<'_>, name: &str) -> Memberships {
        match self.by_name.get(name) {
            Some(ids) => self.inside(ids.iter().copied(), peer, tags, true),
            None => Vec::new(),
        }
    }

    /// Returns the memberships before an admitted peer loses all its tags.
    pub(super) fn memberships_by_tags(&self, peer: PeerId, tags: TagsView<'_>) -> Memberships {
        self.inside(self.about(tags).into_iter(), peer, tags, true)
    }

    /// Returns the memberships before the peer is admitted or retired. `reached` tells whether
    /// targets reach it now.
    pub(super) fn memberships_of_peer(
        &self,
        peer: PeerId,
        tags: TagsView<'_>,
        reached: bool,
    ) -> Memberships {
        let mut ids = self.about(tags);
        ids.extend(&self.open);
        self.inside(ids.into_iter(), peer, tags, reached)
    }

    /// Returns the watches that depend on a tag of one of these names.
    fn about(&self, tags: TagsView<'_>) -> BTreeSet<WatchId> {
        if self.by_name.is_empty() {
            return BTreeSet::new();
        }
        let ids = tags.entries.iter().filter_map(|tag| self.by_name.get(&tag.name));
        ids.flatten().copied().collect()
    }

    fn inside(
        &self,
        ids: impl Iterator<Item = WatchId>,
        peer: PeerId,
        tags: TagsView<'_>,
        reached: bool,
    ) -> Memberships {
        let watched = ids.filter_map(|id| Some((id, self.watches.get(&id)?)));
        let attentive = watched.filter(|(_, watched)| !watched.reset);
        attentive
            .map(|(id, watched)| (id, reached && watched.target.0.matches(peer, tags)))
            .collect()
    }

    /// Records the change for the watches of `before`. The peer now has these tags, or targets do
    /// not reach it any more if there are none.
    pub(super) fn record(&mut self, peer: PeerId, tags: Option<TagsView<'_>>, before: Memberships) {
        for (id, was_inside) in before {
            let Some(watched) = self.watches.get_mut(&id) else { continue };
            let is_inside = tags.is_some_and(|tags| watched.target.0.matches(peer, tags));
            if was_inside == is_inside {
                continue;
            }
            if watched.changes.is_empty() {
                self.woken.push(id);
            }
            if watched.changes.len() >= QUEUE {
                // The reset reports the members at the time of the call, which includes all changes
                // until then.
                watched.changes = VecDeque::new();
                watched.reset = true;
            } else {
                let change = if is_inside { Change::Entered } else { Change::Left };
                watched.changes.push_back(change(peer));
            }
        }
    }

    /// Returns the target if the next step is a reset. From now on the watch records changes.
    pub(super) fn take_reset(&mut self, id: WatchId) -> Option<Target> {
        let watched = self.watches.get_mut(&id)?;
        mem::take(&mut watched.reset).then(|| watched.target.clone())
    }

    /// Returns the next change that the watch has kept.
    pub(super) fn next(&mut self, id: WatchId) -> WatchStep {
        let Some(watched) = self.watches.get_mut(&id) else { return WatchStep::Ended };
        let change = watched.changes.pop_front();
        if watched.changes.is_empty() {
            // An idle watch should not keep the memory that a busy hour needed.
            watched.changes.shrink_to(IDLE_ROOM);
        }
        match change {
            Some(Change::Entered(peer)) => WatchStep::Entered(peer),
            Some(Change::Left(peer)) => WatchStep::Left(peer),
            None => WatchStep::Idle,
        }
    }

    pub(super) fn end_all(&mut self) {
        self.ended = true;
    }

    pub(super) const fn have_ended(&self) -> bool {
        self.ended
    }

    /// Wakes all watches if they end, because no admitted peer is left.
    pub(super) fn wake_if_ended(&mut self) {
        if self.ended {
            self.woken.extend(self.watches.keys());
        }
    }

    pub(super) fn take_woken(&mut self) -> Vec<WatchId> {
        mem::take(&mut self.woken)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.watches.is_empty() && self.by_name.is_empty() && self.open.is_empty()
    }
}
