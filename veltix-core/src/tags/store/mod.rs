//! [`TagStore`]: the tags of all peers.

mod bulk;
mod change;
#[cfg(feature = "cluster")]
mod interest;
mod watching;

use std::collections::BTreeMap;

use super::index::Index;
use super::peer_id::PeerId;
use super::peer_tags::{PeerTags, Values};
use super::plan::Lookup;
use super::stored::StoredValue;
use super::target::Target;
use super::value::TagValue;
use super::view::TagsView;
use super::watch::Watches;
use crate::error::{TagError, TargetError};
use crate::limits::{TAGS_PER_PEER, VALUES_PER_PEER};

/// The tag store holds the tags of all peers. It has no lock: a caller that shares it adds one.
///
/// A peer [enters](TagStore::enter) as staged: it can be tagged and its tags can be read, but no
/// target matches it until it is [admitted](TagStore::admit). When it is
/// [forgotten](TagStore::forget), all its tags are removed. For a peer that has not entered, every
/// question is answered with no, and adding a tag fails with [`TagError::Closed`].
///
/// A name of a peer has either one value, by [`add`](TagStore::add) and [`set`](TagStore::set), or
/// a set of values, by [`join`](TagStore::join) and [`leave`](TagStore::leave). A call of the other
/// kind fails and changes nothing. [`remove`](TagStore::remove) and [`clear`](TagStore::clear)
/// remove both. A set is never empty: it ends with its last value.
///
/// ```
/// use veltix::{PeerId, tag};
/// use veltix_core::TagStore;
///
/// let (mut store, peer) = (TagStore::default(), PeerId::new(1));
/// store.enter(peer);
/// store.join(peer, "room", "lobby")?;
/// store.join(peer, "room", "hall")?;
/// store.admit(peer);
/// assert_eq!(store.select(&tag("room").is("lobby"))?, [peer]);
/// # Ok::<(), veltix::TagError>(())
/// ```
#[derive(Debug, Default)]
pub struct TagStore {
    /// Holds the tags by peer, in a tree for the same reasons as the index.
    peers: BTreeMap<PeerId, PeerTags>,
    /// Lists the admitted peers. The place of a peer in this list is its slot, by which the index
    /// knows it. When a peer leaves, the last one takes its place, so there are never more slots
    /// than peers.
    slots: Vec<PeerId>,
    index: Index,
    watches: Watches,
    limits: TagLimits,
}

/// The limits of each peer's tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the owner of the store sets both")]
pub struct TagLimits {
    /// Limits the names of one peer. Default: [`TAGS_PER_PEER`].
    pub tags: usize,
    /// Limits the values in all sets of one peer. Default: [`VALUES_PER_PEER`].
    pub values: usize,
}

impl Default for TagLimits {
    fn default() -> Self {
        Self { tags: TAGS_PER_PEER, values: VALUES_PER_PEER }
    }
}

impl TagStore {
    /// Creates an empty store with these limits.
    #[must_use]
    pub fn new(limits: TagLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Adds a peer as staged, without tags. It changes nothing if the peer has already entered.
    pub fn enter(&mut self, peer: PeerId) {
        self.peers.entry(peer).or_default();
    }

    /// Admits the peer, so that targets match it. It changes nothing if the peer has not entered.
    pub fn admit(&mut self, peer: PeerId) {
        let Some(PeerTags { entries, slot }) = self.peers.get_mut(&peer) else { return };
        if slot.is_some() {
            return;
        }
        let tags = TagsView { entries, index: &self.index };
        let affected = self.watches.before_all(peer, tags, false);
        // Memory ends long before a `u32` overflows.
        let number = self.slots.len() as u32;
        *slot = Some(number);
        self.slots.push(peer);
        entries.iter_mut().for_each(|entry| self.index.admit(number, entry));
        self.watches.record(peer, Some(TagsView { entries, index: &self.index }), affected);
    }

    /// Retires the peer, so that targets match it no more. Its tags can be read until it is
    /// forgotten.
    pub fn retire(&mut self, peer: PeerId) {
        let Some(PeerTags { entries, slot }) = self.peers.get_mut(&peer) else { return };
        let Some(number) = slot.take() else { return };
        let tags = TagsView { entries, index: &self.index };
        let affected = self.watches.before_all(peer, tags, true);
        entries.iter().for_each(|entry| self.index.retire(number, entry));
        self.watches.record(peer, None, affected);

        self.slots.swap_remove(number as usize);
        if let Some(moved) = self.slots.get(number as usize)
            && let Some(PeerTags { entries, slot }) = self.peers.get_mut(moved)
            && let Some(last) = slot.replace(number)
        {
            entries.iter().for_each(|entry| self.index.shift(last, number, entry));
        }
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to(self.slots.len() * 2);
        }
        if self.slots.is_empty() {
            self.watches.wake_if_ended();
        }
    }

    /// Removes the peer and all its tags.
    pub fn forget(&mut self, peer: PeerId) {
        self.retire(peer);
        if let Some(PeerTags { entries, .. }) = self.peers.remove(&peer) {
            entries.iter().for_each(|entry| self.index.remove(None, entry));
        }
    }

    /// Returns whether the peer has a tag or a set of this name.
    #[must_use]
    pub fn has(&self, peer: PeerId, name: &str) -> bool {
        self.view(peer).has(name)
    }

    /// Returns whether the peer has a tag or a set of each of these names. Without names, it
    /// returns whether the peer has entered.
    pub fn has_all(&self, peer: PeerId, names: impl IntoIterator<Item: AsRef<str>>) -> bool {
        self.peers.contains_key(&peer)
            && names.into_iter().all(|name| self.has(peer, name.as_ref()))
    }

    /// Returns whether the peer has a tag or a set of at least one of these names. Without names,
    /// it returns false.
    pub fn has_any(&self, peer: PeerId, names: impl IntoIterator<Item: AsRef<str>>) -> bool {
        names.into_iter().any(|name| self.has(peer, name.as_ref()))
    }

    /// Returns whether the peer's tag of this name has this value, or its set of this name contains
    /// it.
    pub fn is_in(&self, peer: PeerId, name: &str, value: impl Into<TagValue>) -> bool {
        self.view(peer).contains(name, &value.into().into())
    }

    /// Returns the value of the peer's tag of this name.
    ///
    /// # Errors
    /// Returns [`TagError::IsSet`] if the name has a set of values.
    pub fn value(&self, peer: PeerId, name: &str) -> Result<Option<TagValue>, TagError> {
        match self.view(peer).get(name) {
            None => Ok(None),
            Some(Values::One(value)) => Ok(Some(value.to_value())),
            Some(Values::Set(_)) => Err(TagError::IsSet),
        }
    }

    /// Returns the values of the peer's set of this name, or the one value of its tag, in no
    /// particular order.
    pub fn values(&self, peer: PeerId, name: &str) -> impl Iterator<Item = TagValue> {
        self.view(peer).values(name).map(StoredValue::to_value)
    }

    /// Returns the peer's tags in no particular order, with an item for each value of a set.
    pub fn tags(&self, peer: PeerId) -> impl Iterator<Item = (&str, TagValue)> {
        self.view(peer).pairs().map(|(name, value)| (name, value.to_value()))
    }

    fn view(&self, peer: PeerId) -> TagsView<'_> {
        let entries = self.peers.get(&peer).map_or([].as_slice(), |tags| &tags.entries);
        TagsView { entries, index: &self.index }
    }

    /// Returns the peers that the target matches, each once, in no particular order.
    ///
    /// # Errors
    /// Returns [`TargetError`] if the target cannot be used.
    pub fn select(&self, target: &Target) -> Result<Vec<PeerId>, TargetError> {
        target.check()?;
        Ok(self.find(target))
    }

    /// Returns the number of peers that the target matches.
    ///
    /// # Errors
    /// Returns [`TargetError`] if the target cannot be used.
    pub fn count(&self, target: &Target) -> Result<usize, TargetError> {
        target.check()?;
        Ok(self.lookup().count(&target.0))
    }

    /// Returns whether the target matches this peer, which means that [`select`](TagStore::select)
    /// would return it.
    ///
    /// # Errors
    /// Returns [`TargetError`] if the target cannot be used.
    pub fn matches(&self, peer: PeerId, target: &Target) -> Result<bool, TargetError> {
        target.check()?;
        let entry = self.peers.get(&peer).filter(|entry| entry.slot.is_some());
        Ok(entry.is_some() && target.0.matches(peer, self.view(peer)))
    }

    fn find(&self, target: &Target) -> Vec<PeerId> {
        if target.is_all() {
            return self.slots.clone();
        }
        let slots = self.lookup().select(&target.0).into_iter();
        slots.filter_map(|slot| self.slots.get(slot as usize).copied()).collect()
    }

    const fn lookup(&self) -> Lookup<'_> {
        Lookup { index: &self.index, peers: &self.peers, slots: self.slots.as_slice() }
    }

    /// Returns whether nothing is kept of any name and value.
    #[cfg(test)]
    pub(super) fn index_is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Returns how often a watch was compared with a change.
    #[cfg(test)]
    pub(super) const fn compared(&self) -> usize {
        self.watches.compared
    }

    #[cfg(test)]
    pub(super) fn watches_nobody(&self) -> bool {
        self.watches.is_empty()
    }

    /// Returns the number of different tags of the admitted peers, as pairs of a name and a value.
    /// This is the size of the index. It is 0 if no admitted peer has a tag, whatever happened
    /// before.
    #[must_use]
    pub fn index_len(&self) -> usize {
        self.index.len()
    }
}
