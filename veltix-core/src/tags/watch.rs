//! Watches: who enters and who leaves what a target means.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;

use super::peer_id::PeerId;
use super::tag::Tag;
use super::target::Target;
use crate::limits::WATCH_QUEUE;

/// Changes that a watch keeps. Few in these tests, so that they see watches begin anew.
const QUEUE: usize = if cfg!(test) { 4 } else { WATCH_QUEUE };

/// Changes for which a watch that has told all of them still has room.
const IDLE_ROOM: usize = 16;

/// The number of a watch in its [`TagStore`](super::TagStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(u64);

/// What a watch reports next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever drives a watch must know every step")]
pub enum WatchStep {
    /// These peers, and no others, are inside now. A watch begins with it, and begins again with
    /// it when more happened than it keeps.
    Reset(Vec<PeerId>),
    /// This peer is inside from now on; it was not before.
    Entered(PeerId),
    /// This peer is not inside any more; it was before.
    Left(PeerId),
    /// Nothing, until something happens.
    Idle,
    /// Nothing any more.
    Over,
}

/// All watches of a store. Each keeps the changes that it has yet to tell, in the order in which
/// they happened; a change looks only at the watches that could notice it.
#[derive(Debug, Default)]
pub(super) struct Watches {
    next: u64,
    watches: BTreeMap<WatchId, Watched>,
    /// The watches that depend on a tag of this name.
    by_name: BTreeMap<Arc<str>, BTreeSet<WatchId>>,
    /// The watches that a peer may be in whatever its tags: it has none of theirs, say, or is
    /// named itself.
    open: BTreeSet<WatchId>,
    /// See [`TagStore::take_woken`](super::TagStore::take_woken).
    woken: Vec<WatchId>,
    /// Nobody will be admitted any more.
    ended: bool,
}

#[derive(Debug)]
struct Watched {
    target: Target,
    /// At most [`QUEUE`].
    changes: VecDeque<Change>,
    /// It begins anew: whoever is inside when it is asked is what it reports next, and until then
    /// no change matters.
    reset: bool,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Entered(PeerId),
    Left(PeerId),
}

/// Watches that a change may matter to, and whether the peer was inside before it.
pub(super) type Memberships = Vec<(WatchId, bool)>;

impl Watches {
    pub(super) fn begin(&mut self, target: Target) -> WatchId {
        self.next += 1;
        let id = WatchId(self.next);
        target.0.visit_names(&mut |name| {
            self.by_name.entry(Arc::clone(name)).or_default().insert(id);
        });
        // No peer has this id and no tags as well; those that are named are asked about below.
        let nobody = PeerId::new(u64::MAX);
        if target.0.names_peers() || target.0.matches(nobody, &[]) {
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

    /// Looks before a change of the peer's tag of this name.
    pub(super) fn memberships(&self, peer: PeerId, tags: &[Tag], name: &str) -> Memberships {
        match self.by_name.get(name) {
            Some(ids) => self.inside(ids.iter().copied(), peer, tags, true),
            None => Vec::new(),
        }
    }

    /// Looks before the peer, which is reached, loses all its tags.
    pub(super) fn memberships_by_tags(&self, peer: PeerId, tags: &[Tag]) -> Memberships {
        self.inside(self.about(tags).into_iter(), peer, tags, true)
    }

    /// Looks before the peer, which until then is reached or not, is so no more.
    pub(super) fn memberships_of_peer(
        &self,
        peer: PeerId,
        tags: &[Tag],
        reached: bool,
    ) -> Memberships {
        let mut ids = self.about(tags);
        ids.extend(&self.open);
        self.inside(ids.into_iter(), peer, tags, reached)
    }

    /// The watches that depend on a tag of one of these names.
    fn about(&self, tags: &[Tag]) -> BTreeSet<WatchId> {
        if self.by_name.is_empty() {
            return BTreeSet::new();
        }
        let ids = tags.iter().filter_map(|tag| self.by_name.get(tag.name()));
        ids.flatten().copied().collect()
    }

    fn inside(
        &self,
        ids: impl Iterator<Item = WatchId>,
        peer: PeerId,
        tags: &[Tag],
        reached: bool,
    ) -> Memberships {
        let watched = ids.filter_map(|id| Some((id, self.watches.get(&id)?)));
        let attentive = watched.filter(|(_, watched)| !watched.reset);
        attentive
            .map(|(id, watched)| (id, reached && watched.target.0.matches(peer, tags)))
            .collect()
    }

    /// Notes what a change means to those that were looked at before it: the peer has these tags
    /// now, or is not reached any more.
    pub(super) fn record(&mut self, peer: PeerId, tags: Option<&[Tag]>, before: Memberships) {
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
                // What happened meanwhile is in who is inside when it is asked.
                watched.changes = VecDeque::new();
                watched.reset = true;
            } else {
                let change = if is_inside { Change::Entered } else { Change::Left };
                watched.changes.push_back(change(peer));
            }
        }
    }

    /// What the watch is about, if it is to begin anew; it notices changes from now on.
    pub(super) fn take_reset(&mut self, id: WatchId) -> Option<Target> {
        let watched = self.watches.get_mut(&id)?;
        mem::take(&mut watched.reset).then(|| watched.target.clone())
    }

    /// The next change that the watch has kept.
    pub(super) fn next(&mut self, id: WatchId) -> WatchStep {
        let Some(watched) = self.watches.get_mut(&id) else { return WatchStep::Over };
        let change = watched.changes.pop_front();
        if watched.changes.is_empty() {
            // An idle watch should not keep what a busy hour needed.
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

    /// Nobody is reached any more, so watches may be over.
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
