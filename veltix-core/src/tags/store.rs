//! The tags of all peers.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::index::Index;
use super::target::{Expression, Target};
use super::value::TagValue;
use super::{PeerId, Tag};
use crate::error::TagError;
use crate::limits::{TAG_NAME_LEN, TAG_VALUE_LEN, TAGS_PER_PEER};

/// The tags of all peers. A plain struct: whoever shares it brings the lock.
///
/// A peer [joins](TagStore::join) staged: it can be tagged, and its tags can be read, but no
/// target reaches it until it is [admitted](TagStore::admit). It [leaves](TagStore::leave) with
/// all its tags. Of a peer that is not there every read says "no", and giving it a tag fails with
/// [`TagError::Closed`].
///
/// ```
/// use veltix_core::{PeerId, TagStore, tag};
///
/// let (mut store, peer) = (TagStore::default(), PeerId::new(1));
/// store.join(peer);
/// store.add(peer, ("room", "lobby"))?;
/// store.admit(peer);
/// assert_eq!(store.select(&tag("room").is("lobby")), [peer]);
/// # Ok::<(), veltix_core::TagError>(())
/// ```
#[derive(Debug, Default)]
pub struct TagStore {
    /// A tree for the reasons that the index is one.
    peers: BTreeMap<PeerId, PeerTags>,
    /// How many of `peers` are admitted.
    admitted: usize,
    index: Index,
}

/// What is known of one peer.
#[derive(Debug, Default)]
struct PeerTags {
    /// Each name once. A search among at most [`TAGS_PER_PEER`] is as fast as a map, which would
    /// be several times as large.
    tags: Vec<Tag>,
    /// Whether targets reach the peer. The index holds its tags exactly then.
    admitted: bool,
}

impl TagStore {
    /// Adds a peer, staged and without tags. One that is there stays as it is.
    pub fn join(&mut self, peer: PeerId) {
        self.peers.entry(peer).or_default();
    }

    /// Lets targets reach the peer. One that is not there stays away.
    pub fn admit(&mut self, peer: PeerId) {
        let Some(PeerTags { tags, admitted }) = self.peers.get_mut(&peer) else { return };
        if !mem::replace(admitted, true) {
            self.admitted += 1;
            tags.iter_mut().for_each(|tag| self.index.insert(peer, tag));
        }
    }

    /// Lets targets reach the peer no more. Its tags can still be read, until it leaves.
    pub fn retire(&mut self, peer: PeerId) {
        let Some(PeerTags { tags, admitted }) = self.peers.get_mut(&peer) else { return };
        if mem::take(admitted) {
            self.admitted -= 1;
            tags.iter().for_each(|tag| self.index.remove(peer, tag));
        }
    }

    /// Removes the peer and all its tags.
    pub fn leave(&mut self, peer: PeerId) {
        self.retire(peer);
        self.peers.remove(&peer);
    }

    /// Gives the peer a tag. `Ok(false)`, and nothing changes, if it has one of this name.
    ///
    /// # Errors
    /// [`TagError`] when the peer is gone or has as many tags as it may have, or when the tag's
    /// name or value is over its limit.
    pub fn add(&mut self, peer: PeerId, tag: impl Into<Tag>) -> Result<bool, TagError> {
        let tag = tag.into();
        if self.has(peer, tag.name()) {
            return Ok(false);
        }
        self.set(peer, tag)?;
        Ok(true)
    }

    /// Gives the peer a tag. It takes the place of one of the same name.
    ///
    /// # Errors
    /// As [`add`](TagStore::add).
    pub fn set(&mut self, peer: PeerId, tag: impl Into<Tag>) -> Result<(), TagError> {
        let tag = tag.into();
        check_lengths(&tag)?;
        let PeerTags { tags, admitted } = self.peers.get_mut(&peer).ok_or(TagError::Closed)?;
        let at = match position(tags, tag.name()) {
            Some(at) => {
                let old = mem::replace(&mut tags[at], tag);
                if *admitted {
                    self.index.remove(peer, &old);
                }
                at
            }
            None if tags.len() >= TAGS_PER_PEER => {
                return Err(TagError::TooMany { limit: TAGS_PER_PEER });
            }
            None => {
                // Most peers have one tag or two, for which a `Vec` would make room for four.
                tags.reserve_exact(1);
                tags.push(tag);
                tags.len() - 1
            }
        };
        if *admitted {
            self.index.insert(peer, &mut tags[at]);
        }
        Ok(())
    }

    /// Removes the peer's tag of this name. Whether it had one.
    pub fn remove(&mut self, peer: PeerId, name: &str) -> bool {
        let Some(PeerTags { tags, admitted }) = self.peers.get_mut(&peer) else { return false };
        let Some(at) = position(tags, name) else { return false };
        let tag = tags.remove(at);
        if *admitted {
            self.index.remove(peer, &tag);
        }
        true
    }

    /// Removes all tags of the peer. How many it had.
    pub fn clear(&mut self, peer: PeerId) -> usize {
        let Some(PeerTags { tags, admitted }) = self.peers.get_mut(&peer) else { return 0 };
        let tags = mem::take(tags);
        if *admitted {
            tags.iter().for_each(|tag| self.index.remove(peer, tag));
        }
        tags.len()
    }

    /// Whether the peer has a tag of this name.
    #[must_use]
    pub fn has(&self, peer: PeerId, name: &str) -> bool {
        self.value(peer, name).is_some()
    }

    /// Whether the peer has a tag of each of these names. With no names: whether it is there.
    pub fn has_all(&self, peer: PeerId, names: impl IntoIterator<Item: AsRef<str>>) -> bool {
        self.peers.contains_key(&peer)
            && names.into_iter().all(|name| self.has(peer, name.as_ref()))
    }

    /// Whether the peer has a tag of at least one of these names, so with no names it has not.
    pub fn has_any(&self, peer: PeerId, names: impl IntoIterator<Item: AsRef<str>>) -> bool {
        names.into_iter().any(|name| self.has(peer, name.as_ref()))
    }

    /// The value of the peer's tag of this name.
    #[must_use]
    pub fn value(&self, peer: PeerId, name: &str) -> Option<&TagValue> {
        let tags = &self.peers.get(&peer)?.tags;
        position(tags, name).map(|at| tags[at].value())
    }

    /// The peer's tags, in no particular order.
    pub fn tags(&self, peer: PeerId) -> impl Iterator<Item = (&str, &TagValue)> {
        let tags = self.peers.get(&peer).into_iter().flat_map(|entry| &entry.tags);
        tags.map(|tag| (tag.name(), tag.value()))
    }

    /// The peers that the target reaches, each once, in the order of their ids.
    #[must_use]
    pub fn select(&self, target: &Target) -> Vec<PeerId> {
        match &target.0 {
            Expression::All => {
                let mut peers = Vec::with_capacity(self.admitted);
                let admitted = self.peers.iter().filter(|(_, entry)| entry.admitted);
                peers.extend(admitted.map(|(peer, _)| peer));
                peers
            }
            Expression::Has(name) => list(self.index.with_name(name)),
            Expression::Is(name, value) => list(self.index.with_value(name, value)),
        }
    }

    /// How many peers the target reaches.
    #[must_use]
    pub fn count(&self, target: &Target) -> usize {
        match &target.0 {
            Expression::All => self.admitted,
            Expression::Has(name) => self.index.with_name(name).map_or(0, BTreeSet::len),
            Expression::Is(name, value) => {
                self.index.with_value(name, value).map_or(0, BTreeSet::len)
            }
        }
    }

    /// Whether the target reaches this peer: [`select`](TagStore::select) would name it.
    #[must_use]
    pub fn matches(&self, peer: PeerId, target: &Target) -> bool {
        self.peers.get(&peer).is_some_and(|entry| entry.admitted)
            && match &target.0 {
                Expression::All => true,
                Expression::Has(name) => self.has(peer, name),
                Expression::Is(name, value) => self.value(peer, name) == Some(value),
            }
    }

    /// How many different tags, as pairs of name and value, the admitted peers have. This is the
    /// size of the index; it is 0 when no admitted peer has a tag, whatever went before.
    #[must_use]
    pub fn index_len(&self) -> usize {
        self.index.len()
    }
}

fn position(tags: &[Tag], name: &str) -> Option<usize> {
    tags.iter().position(|tag| tag.name() == name)
}

fn list(peers: Option<&BTreeSet<PeerId>>) -> Vec<PeerId> {
    peers.map_or_else(Vec::new, |peers| peers.iter().copied().collect())
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

#[cfg(test)]
mod tests {
    use super::super::target::{all, tag};
    use super::*;

    const PEER: PeerId = PeerId::new(1);

    /// A store with one admitted peer.
    fn store() -> TagStore {
        let mut store = TagStore::default();
        store.join(PEER);
        store.admit(PEER);
        store
    }

    #[test]
    fn add_keeps_what_is_there_and_set_does_not() {
        let mut store = store();
        assert_eq!(store.add(PEER, ("role", "admin")), Ok(true));
        assert_eq!(store.add(PEER, ("role", "guest")), Ok(false));
        assert_eq!(store.value(PEER, "role"), Some(&"admin".into()));
        assert_eq!(store.set(PEER, ("role", "guest")), Ok(()));
        assert_eq!(store.value(PEER, "role"), Some(&"guest".into()));
        assert_eq!(store.count(&tag("role").is("admin")), 0);
        assert_eq!(store.add(PEER, "bare"), Ok(true));
        assert_eq!(store.tags(PEER).count(), 2);
        assert_eq!((store.remove(PEER, "bare"), store.remove(PEER, "bare")), (true, false));
        assert_eq!((store.clear(PEER), store.clear(PEER)), (1, 0));
        assert_eq!(store.index_len(), 0);
    }

    #[test]
    fn all_and_any_of_no_names() {
        let mut store = store();
        store.add(PEER, "a").unwrap();
        store.add(PEER, "b").unwrap();
        for (names, has_all, has_any) in [
            (&[][..], true, false),
            (&["a"][..], true, true),
            (&["a", "b"][..], true, true),
            (&["a", "c"][..], false, true),
            (&["c"][..], false, false),
        ] {
            assert_eq!(store.has_all(PEER, names), has_all, "{names:?}");
            assert_eq!(store.has_any(PEER, names), has_any, "{names:?}");
        }
    }

    #[test]
    fn a_peer_that_is_not_there_has_nothing_and_gets_nothing() {
        let mut store = TagStore::default();
        store.admit(PEER);
        store.leave(PEER);
        assert_eq!(store.add(PEER, "a"), Err(TagError::Closed));
        assert_eq!(store.set(PEER, "a"), Err(TagError::Closed));
        assert!(!store.remove(PEER, "a"));
        assert_eq!(store.clear(PEER), 0);
        assert!(!store.has(PEER, "a"));
        assert!(!store.has_all(PEER, [""; 0]));
        assert!(!store.has_any(PEER, ["a"]));
        assert_eq!(store.tags(PEER).count(), 0);
        assert!(!store.matches(PEER, &all()));
        assert_eq!(store.count(&all()), 0);
    }

    #[test]
    fn a_staged_peer_is_in_no_answer() {
        let mut store = TagStore::default();
        store.join(PEER);
        store.add(PEER, ("room", "lobby")).unwrap();
        let targets = [all(), tag("room").into(), tag("room").is("lobby")];
        for admitted in [false, true] {
            for target in &targets {
                assert_eq!(store.matches(PEER, target), admitted, "{target}");
                assert_eq!(store.count(target), usize::from(admitted), "{target}");
                assert_eq!(store.select(target).len(), usize::from(admitted), "{target}");
            }
            assert!(store.has(PEER, "room"), "the peer itself knows");
            store.admit(PEER);
        }
        store.join(PEER);
        assert_eq!(store.count(&all()), 1, "whoever is there stays admitted");
    }

    #[test]
    fn limits_hold() {
        let mut store = store();
        let text = |length| "x".repeat(length);
        for (name, refused) in
            [(0, true), (1, false), (TAG_NAME_LEN, false), (TAG_NAME_LEN + 1, true)]
        {
            let error = TagError::NameLength { length: name, limit: TAG_NAME_LEN };
            let expected = if refused { Err(error) } else { Ok(true) };
            assert_eq!(store.add(PEER, text(name)), expected);
        }
        assert_eq!(store.add(PEER, ("longest", text(TAG_VALUE_LEN))), Ok(true));
        assert_eq!(
            store.add(PEER, ("too long", text(TAG_VALUE_LEN + 1))),
            Err(TagError::ValueLength { length: TAG_VALUE_LEN + 1, limit: TAG_VALUE_LEN })
        );
        for number in store.tags(PEER).count()..TAGS_PER_PEER {
            assert_eq!(store.add(PEER, number.to_string()), Ok(true));
        }
        assert_eq!(store.add(PEER, "more"), Err(TagError::TooMany { limit: TAGS_PER_PEER }));
        assert_eq!(store.set(PEER, "more"), Err(TagError::TooMany { limit: TAGS_PER_PEER }));
        assert_eq!(store.set(PEER, ("longest", 1)), Ok(()), "one that is there can change");
    }

    #[test]
    fn numbers_are_found_by_worth_and_keep_their_kind() {
        let mut store = store();
        let other = PeerId::new(2);
        store.join(other);
        store.admit(other);
        store.add(PEER, ("level", 1)).unwrap();
        store.add(other, ("level", 1.0)).unwrap();
        assert_eq!(store.select(&tag("level").is(1)), [PEER, other]);
        assert!(matches!(store.value(PEER, "level"), Some(TagValue::Int(1))));
        assert!(matches!(store.value(other, "level"), Some(TagValue::Float(_))));
    }

    #[test]
    fn peers_share_names_and_texts() {
        let mut store = TagStore::default();
        let mut texts = Vec::new();
        for peer in [1, 2].map(PeerId::new) {
            store.join(peer);
            store.add(peer, ("room", "lobby")).unwrap();
            store.admit(peer);
            texts.extend(store.tags(peer).map(|(name, value)| match value {
                TagValue::Text(text) => (name.as_ptr(), text.as_ptr()),
                other => panic!("{other:?}"),
            }));
        }
        assert_eq!(texts[0], texts[1]);
    }
}
