//! [`TagStore`]: the tags of all peers.

use std::collections::BTreeMap;
use std::mem;

use super::index::Index;
use super::peer_id::PeerId;
use super::peer_tags::PeerTags;
use super::plan::Lookup;
use super::tag::Tag;
use super::target::Target;
use super::value::TagValue;
use super::watch::{WatchId, WatchStep, Watches};
use crate::error::{TagError, TargetError};
use crate::limits::{TAG_NAME_LEN, TAG_VALUE_LEN, TAGS_PER_PEER};

/// The tag store holds the tags of all peers. It has no lock: a caller that shares it adds one.
///
/// A peer [joins](TagStore::join) as staged: it can be tagged and its tags can be read, but no
/// target matches it until it is [admitted](TagStore::admit). When it [leaves](TagStore::leave),
/// all its tags are removed. For a peer that has not joined, every question is answered with no,
/// and adding a tag fails with [`TagError::Closed`].
///
/// ```
/// use veltix::{PeerId, tag};
/// use veltix_core::TagStore;
///
/// let (mut store, peer) = (TagStore::default(), PeerId::new(1));
/// store.join(peer);
/// store.add(peer, ("room", "lobby"))?;
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
}

impl TagStore {
    /// Adds a peer as staged, without tags. It changes nothing if the peer has already joined.
    pub fn join(&mut self, peer: PeerId) {
        self.peers.entry(peer).or_default();
    }

    /// Admits the peer, so that targets match it. It changes nothing if the peer has not joined.
    pub fn admit(&mut self, peer: PeerId) {
        let Some(PeerTags { tags, slot }) = self.peers.get_mut(&peer) else { return };
        if slot.is_some() {
            return;
        }
        let before = self.watches.memberships_of_peer(peer, tags, false);
        // Memory ends long before a `u32` overflows.
        let number = self.slots.len() as u32;
        *slot = Some(number);
        self.slots.push(peer);
        tags.iter_mut().for_each(|tag| self.index.insert(number, tag));
        self.watches.record(peer, Some(tags), before);
    }

    /// Retires the peer, so that targets match it no more. Its tags can be read until it leaves.
    pub fn retire(&mut self, peer: PeerId) {
        let Some(PeerTags { tags, slot }) = self.peers.get_mut(&peer) else { return };
        let Some(number) = slot.take() else { return };
        let before = self.watches.memberships_of_peer(peer, tags, true);
        tags.iter().for_each(|tag| self.index.remove(number, tag));
        self.watches.record(peer, None, before);

        self.slots.swap_remove(number as usize);
        if let Some(moved) = self.slots.get(number as usize)
            && let Some(PeerTags { tags, slot }) = self.peers.get_mut(moved)
            && let Some(last) = slot.replace(number)
        {
            tags.iter().for_each(|tag| self.index.shift(last, number, tag));
        }
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to(self.slots.len() * 2);
        }
        if self.slots.is_empty() {
            self.watches.wake_if_ended();
        }
    }

    /// Removes the peer and all its tags.
    pub fn leave(&mut self, peer: PeerId) {
        self.retire(peer);
        self.peers.remove(&peer);
    }

    /// Adds a tag to the peer. Returns `Ok(false)` and changes nothing if the peer has a tag of
    /// this name.
    ///
    /// # Errors
    /// Returns [`TagError`] if the peer has not joined, if it has reached the limit for tags, or if
    /// the tag's name or value is over its limit.
    pub fn add(&mut self, peer: PeerId, tag: impl Into<Tag>) -> Result<bool, TagError> {
        let tag = tag.into();
        if self.has(peer, tag.name()) {
            return Ok(false);
        }
        self.set(peer, tag)?;
        Ok(true)
    }

    /// Sets a tag of the peer. It replaces a tag of the same name.
    ///
    /// # Errors
    /// Returns the same errors as [`add`](TagStore::add).
    pub fn set(&mut self, peer: PeerId, tag: impl Into<Tag>) -> Result<(), TagError> {
        let tag = tag.into();
        check_lengths(&tag)?;
        let PeerTags { tags, slot } = self.peers.get_mut(&peer).ok_or(TagError::Closed)?;
        if !has_room(tags, tag.name()) {
            return Err(TagError::TooMany { limit: TAGS_PER_PEER });
        }
        let before = slot.map(|_| self.watches.memberships(peer, tags, tag.name()));
        let at = match position(tags, tag.name()) {
            Some(at) => {
                let old = mem::replace(&mut tags[at], tag);
                if let Some(slot) = *slot {
                    self.index.remove(slot, &old);
                }
                at
            }
            None => {
                // Most peers have one or two tags, and a `Vec` would reserve memory for four.
                tags.reserve_exact(1);
                tags.push(tag);
                tags.len() - 1
            }
        };
        if let Some(slot) = *slot {
            self.index.insert(slot, &mut tags[at]);
        }
        self.watches.record(peer, Some(tags), before.unwrap_or_default());
        Ok(())
    }

    /// Sets a tag of every peer that the target matches, and returns the number of these peers. It
    /// replaces a tag of the same name. In case of an error, no peer is changed.
    ///
    /// # Errors
    /// Returns [`TagError`] if the target cannot be used, if the tag's name or value is over its
    /// limit, or if one of the peers has reached the limit for tags.
    pub fn set_all(&mut self, target: &Target, tag: impl Into<Tag>) -> Result<usize, TagError> {
        let tag = tag.into();
        check_lengths(&tag)?;
        let peers = self.select(target)?;
        let has_room =
            |peer| self.peers.get(peer).is_some_and(|entry| has_room(&entry.tags, tag.name()));
        if !peers.iter().all(has_room) {
            return Err(TagError::TooMany { limit: TAGS_PER_PEER });
        }
        for &peer in &peers {
            self.set(peer, tag.clone())?;
        }
        Ok(peers.len())
    }

    /// Removes the peer's tag of this name, and returns whether it had one.
    pub fn remove(&mut self, peer: PeerId, name: &str) -> bool {
        let Some(PeerTags { tags, slot }) = self.peers.get_mut(&peer) else { return false };
        let Some(at) = position(tags, name) else { return false };
        let before = slot.map(|_| self.watches.memberships(peer, tags, name));
        let tag = tags.remove(at);
        if let Some(slot) = *slot {
            self.index.remove(slot, &tag);
        }
        self.watches.record(peer, Some(tags), before.unwrap_or_default());
        true
    }

    /// Removes all tags of the peer, and returns their number.
    pub fn clear(&mut self, peer: PeerId) -> usize {
        let Some(PeerTags { tags, slot }) = self.peers.get_mut(&peer) else { return 0 };
        let before = slot.map(|_| self.watches.memberships_by_tags(peer, tags));
        let tags = mem::take(tags);
        if let Some(slot) = *slot {
            tags.iter().for_each(|tag| self.index.remove(slot, tag));
        }
        self.watches.record(peer, Some(&[]), before.unwrap_or_default());
        tags.len()
    }

    /// Returns whether the peer has a tag of this name.
    #[must_use]
    pub fn has(&self, peer: PeerId, name: &str) -> bool {
        self.value(peer, name).is_some()
    }

    /// Returns whether the peer has a tag of each of these names. Without names, it returns whether
    /// the peer has joined.
    pub fn has_all(&self, peer: PeerId, names: impl IntoIterator<Item: AsRef<str>>) -> bool {
        self.peers.contains_key(&peer)
            && names.into_iter().all(|name| self.has(peer, name.as_ref()))
    }

    /// Returns whether the peer has a tag of at least one of these names. Without names, it returns
    /// false.
    pub fn has_any(&self, peer: PeerId, names: impl IntoIterator<Item: AsRef<str>>) -> bool {
        names.into_iter().any(|name| self.has(peer, name.as_ref()))
    }

    /// Returns the value of the peer's tag of this name.
    #[must_use]
    pub fn value(&self, peer: PeerId, name: &str) -> Option<&TagValue> {
        let tags = &self.peers.get(&peer)?.tags;
        position(tags, name).map(|at| tags[at].value())
    }

    /// Returns the peer's tags in no particular order.
    pub fn tags(&self, peer: PeerId) -> impl Iterator<Item = (&str, &TagValue)> {
        let tags = self.peers.get(&peer).into_iter().flat_map(|entry| &entry.tags);
        tags.map(|tag| (tag.name(), tag.value()))
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
        Ok(entry.is_some_and(|entry| target.0.matches(peer, &entry.tags)))
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

    /// Starts a watch of the peers that the target matches. [`next_change`](TagStore::next_change)
    /// then returns, step by step, the current members and the peers that enter or leave.
    ///
    /// # Errors
    /// Returns [`TargetError`] if the target cannot be used.
    pub fn watch(&mut self, target: &Target) -> Result<WatchId, TargetError> {
        target.check()?;
        Ok(self.watches.begin(target.clone()))
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

fn position(tags: &[Tag], name: &str) -> Option<usize> {
    tags.iter().position(|tag| tag.name() == name)
}

/// Returns whether a peer with these tags can receive a tag of this name.
fn has_room(tags: &[Tag], name: &str) -> bool {
    tags.len() < TAGS_PER_PEER || position(tags, name).is_some()
}

fn check_lengths(tag: &Tag) -> Result<(), TagError> {
    let length = tag.name().len();
    if !(1..=TAG_NAME_LEN).contains(&length) {
        return Err(TagError::NameLength { length, limit: TAG_NAME_LEN });
    }
    match tag.value() {
        TagValue::Text(text) if text.len() > TAG_VALUE_LEN => {
            Err(TagError::ValueLength { length: text.len(), limit: TAG_VALUE_LEN })
        }
        _ => Ok(()),
    }
}
