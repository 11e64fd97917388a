//! Watches, which report the peers or groups that enter and leave a target.

mod change;
mod groups;
mod id;
mod index;
mod leaving;
mod members;
#[cfg(feature = "cluster")]
mod merged;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) use self::change::Change;
use self::groups::Groups;
pub use self::groups::{Group, GroupStep};
pub use self::id::WatchId;
use self::index::WatchIndex;
use self::members::Members;
pub(super) use self::members::member;
pub use self::members::{Member, WatchStep};
#[cfg(feature = "cluster")]
pub use self::merged::MergedGroups;
use super::peer_id::PeerId;
use super::stored::StoredValue;
use super::target::Target;
use super::view::TagsView;

/// Holds all watches of a store. Each watch keeps its unreported changes in the order in which they
/// happened. A change is compared only with the watches that it may concern.
#[derive(Debug, Default)]
pub(super) struct Watches {
    next: u64,
    watches: BTreeMap<WatchId, Watched>,
    index: WatchIndex,
    /// Holds the result of [`TagStore::take_woken`](super::TagStore::take_woken).
    woken: Vec<WatchId>,
    /// Is true once no further peer will be admitted.
    ended: bool,
    /// Counts the watches with a grace. With one of them, changes need the time.
    graced: usize,
    now: Option<Instant>,
    /// Counts how often a watch was compared with a change.
    #[cfg(test)]
    pub(super) compared: usize,
}

#[derive(Debug)]
pub(super) struct Watched {
    target: Target,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Members(Members),
    Groups(Box<Groups>),
}

/// Holds the watches that a change may concern, with what they have to know of the time before it.
#[derive(Default)]
pub(super) struct Affected {
    before: Vec<Before>,
    /// Lists the values that the changed name loses.
    removed: Vec<StoredValue>,
    /// Holds the value that the changed name receives.
    added: Option<StoredValue>,
}

struct Before {
    id: WatchId,
    /// Is true if the peer was a member.
    was_inside: bool,
    /// Holds the last known state of a member, for a watch of members.
    member: Option<Member>,
    /// For a watch of groups, tells which groups of the peer the change replaces.
    keys: Keys,
}

enum Keys {
    /// The change is of another name, so the groups of the peer stay the same.
    Stay,
    /// The change is of the name by which the watch groups.
    Change,
    /// All tags change. These were the groups.
    Were(Vec<StoredValue>),
}

impl Watches {
    pub(super) fn watch_members(&mut self, target: Target, names: Arc<[Arc<str>]>) -> WatchId {
        self.begin(target, Reader::Members(Members::new(names)))
    }

    /// Begins a watch of groups with the keys of the current members.
    pub(super) fn watch_groups(
        &mut self,
        target: Target,
        by: Arc<str>,
        grace: Duration,
        keys: Vec<StoredValue>,
    ) -> WatchId {
        self.begin(target, Reader::Groups(Box::new(Groups::new(by, grace, keys))))
    }

    fn begin(&mut self, target: Target, reader: Reader) -> WatchId {
        self.next += 1;
        let id = WatchId(self.next);
        self.index.insert(id, &target.0, reader.by());
        self.graced += usize::from(reader.has_grace());
        self.watches.insert(id, Watched { target, reader });
        id
    }

    /// Ends a watch, and returns its memory.
    pub(super) fn end(&mut self, id: WatchId) -> Option<Watched> {
        let watched = self.watches.remove(&id)?;
        self.index.remove(id, &watched.target.0, watched.reader.by());
        self.graced -= usize::from(watched.reader.has_grace());
        Some(watched)
    }

    /// Returns the watches that a change of one name of an admitted peer may concern.
    pub(super) fn before_change(
        &mut self,
        peer: PeerId,
        tags: TagsView<'_>,
        change: Change<'_>,
    ) -> Affected {
        if !self.index.knows(change.name()) {
            return Affected::default();
        }
        let delta = change.delta(tags);
        let ids = self.index.of_delta(tags, &delta);
        let before = self.before(ids, peer, tags, true, |by, _| {
            if **by == *delta.name { Keys::Change } else { Keys::Stay }
        });
        Affected { before, removed: delta.removed, added: delta.added.cloned() }
    }

    /// Returns the watches that may concern that a peer is admitted or retired, or loses all its
    /// tags. `is_reached` tells whether targets reach it now.
    pub(super) fn before_all(
        &mut self,
        peer: PeerId,
        tags: TagsView<'_>,
        is_reached: bool,
    ) -> Affected {
        if self.index.is_empty() {
            return Affected::default();
        }
        let ids = self.index.of_peer(tags);
        let before = self.before(ids, peer, tags, is_reached, |by, was_inside| {
            let keys = tags.values(by).filter(|_| was_inside);
            Keys::Were(keys.cloned().collect())
        });
        Affected { before, ..Affected::default() }
    }

    fn before(
        &mut self,
        ids: BTreeSet<WatchId>,
        peer: PeerId,
        tags: TagsView<'_>,
        is_reached: bool,
        keys: impl Fn(&Arc<str>, bool) -> Keys,
    ) -> Vec<Before> {
        let mut before = Vec::new();
        for id in ids {
            let Some(Watched { target, reader }) = self.watches.get(&id) else { continue };
            let member = match reader {
                Reader::Members(members) if members.is_attentive() => Some(members),
                // The next step lists all members, so no change before it matters.
                Reader::Members(_) => continue,
                Reader::Groups(_) => None,
            };
            #[cfg(test)]
            {
                self.compared += 1;
            }
            let was_inside = is_reached && target.0.matches(peer, tags);
            let keys = reader.by().map_or(Keys::Stay, |by| keys(by, was_inside));
            let member = member.filter(|_| was_inside).map(|members| members.member(peer, tags));
            before.push(Before { id, was_inside, member, keys });
        }
        before
    }

    /// Records a change for the watches that it may concern. The peer now has these tags, or targets
    /// do not reach it any more if there are none.
    pub(super) fn record(&mut self, peer: PeerId, tags: Option<TagsView<'_>>, affected: Affected) {
        let Affected { before, removed, added } = affected;
        for Before { id, was_inside, member, keys } in before {
            let Some(Watched { target, reader }) = self.watches.get_mut(&id) else { continue };
            let inside = tags.filter(|tags| target.0.matches(peer, *tags));
            let wake = match reader {
                Reader::Members(members) => match (member, inside) {
                    (Some(member), None) => members.leave(member),
                    (None, Some(tags)) => {
                        let member = members.member(peer, tags);
                        members.enter(member)
                    }
                    _ => false,
                },
                Reader::Groups(groups) => {
                    let by = Arc::clone(groups.by());
                    let now_has = || tags.into_iter().flat_map(|tags| tags.values(&by)).cloned();
                    let (gone, come): (Vec<_>, Vec<_>) = match keys {
                        Keys::Were(gone) => {
                            (gone, inside.map(|_| now_has().collect()).unwrap_or_default())
                        }
                        _ if !was_inside => {
                            (Vec::new(), inside.map(|_| now_has().collect()).unwrap_or_default())
                        }
                        Keys::Stay if inside.is_some() => continue,
                        Keys::Stay => (now_has().collect(), Vec::new()),
                        Keys::Change if inside.is_some() => {
                            (removed.clone(), added.iter().cloned().collect())
                        }
                        Keys::Change => {
                            let stayed = now_has().filter(|key| added.as_ref() != Some(key));
                            (stayed.chain(removed.iter().cloned()).collect(), Vec::new())
                        }
                    };
                    let mut wake = false;
                    gone.into_iter().for_each(|key| wake |= groups.lose(key, self.now));
                    come.into_iter().for_each(|key| wake |= groups.gain(key, self.now));
                    wake
                }
            };
            if wake {
                self.woken.push(id);
            }
        }
    }

    /// Returns the target and the names if the next step lists all members. From now on the watch
    /// records changes.
    pub(super) fn take_reset(&mut self, id: WatchId) -> Option<(Target, Arc<[Arc<str>]>)> {
        let Watched { target, reader: Reader::Members(members) } = self.watches.get_mut(&id)?
        else {
            return None;
        };
        members.queue().take_reset().then(|| (target.clone(), Arc::clone(members.names())))
    }

    /// Returns the next change that a watch of members has kept.
    pub(super) fn next(&mut self, id: WatchId) -> WatchStep {
        match self.watches.get_mut(&id) {
            Some(Watched { reader: Reader::Members(members), .. }) => {
                members.queue().pop().unwrap_or(WatchStep::Idle)
            }
            _ => WatchStep::Ended,
        }
    }

    /// Returns the next step of a watch of groups. `is_empty` tells whether no peer is admitted.
    pub(super) fn next_group(&mut self, id: WatchId, now: Instant, is_empty: bool) -> GroupStep {
        let has_ended = self.ended && is_empty;
        match self.watches.get_mut(&id) {
            Some(Watched { reader: Reader::Groups(groups), .. }) => groups.next(now, has_ended),
            _ => GroupStep::Ended,
        }
    }

    /// Returns whether changes need the time.
    pub(super) const fn need_time(&self) -> bool {
        self.graced > 0
    }

    pub(super) const fn set_time(&mut self, now: Instant) {
        self.now = Some(now);
    }

    pub(super) const fn end_all(&mut self) {
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
        self.watches.is_empty() && self.index.is_empty() && self.graced == 0
    }
}

impl Reader {
    /// Returns the name by which a watch groups.
    const fn by(&self) -> Option<&Arc<str>> {
        match self {
            Self::Members(_) => None,
            Self::Groups(groups) => Some(groups.by()),
        }
    }

    const fn has_grace(&self) -> bool {
        match self {
            Self::Members(_) => false,
            Self::Groups(groups) => groups.has_grace(),
        }
    }
}
