//! Changes of one peer's tags and sets.

use std::mem;

use super::{TagLimits, TagStore};
use crate::error::TagError;
use crate::limits::{TAG_NAME_LEN, TAG_VALUE_LEN};
use crate::tags::peer_id::PeerId;
use crate::tags::peer_tags::{Entry, PeerTags, Values, position, set_values};
use crate::tags::stored::StoredValue;
use crate::tags::tag::Tag;
use crate::tags::value::TagValue;
use crate::tags::view::TagsView;
use crate::tags::watch::{Affected, Change};

impl TagStore {
    /// Adds a tag to the peer. Returns `Ok(false)` and changes nothing if the peer has a tag of
    /// this name.
    ///
    /// # Errors
    /// Returns [`TagError`] if the peer has not entered, if it has reached the limit for names, if
    /// the name has a set, or if the tag's name or value is over its limit.
    pub fn add(&mut self, peer: PeerId, tag: impl Into<Tag>) -> Result<bool, TagError> {
        let tag = tag.into();
        if self.value(peer, tag.name())?.is_some() {
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
        let Tag { name, value } = tag.into();
        check(&name, &value)?;
        let PeerTags { entries, slot } = self.peers.get_mut(&peer).ok_or(TagError::Closed)?;
        let tags = TagsView { entries, index: &self.index };
        check_set(self.limits, tags, &name)?;
        let value = StoredValue::from(value);
        let affected = match slot {
            Some(_) => self.watches.before_change(peer, tags, Change::Set(&name, &value)),
            None => Affected::default(),
        };
        let at = position(entries, &name);
        if let Some(at) = at {
            self.index.remove(*slot, &entries[at]);
        }
        let mut entry = Entry { name, values: Values::One(value) };
        if let Some(slot) = *slot {
            self.index.admit(slot, &mut entry);
        }
        match at {
            Some(at) => entries[at] = entry,
            None => push(entries, entry),
        }
        let tags = TagsView { entries, index: &self.index };
        self.watches.record(peer, Some(tags), affected);
        Ok(())
    }

    /// Removes the peer's tag or set of this name, and returns whether it had one.
    pub fn remove(&mut self, peer: PeerId, name: &str) -> bool {
        let Some(PeerTags { entries, slot }) = self.peers.get_mut(&peer) else { return false };
        let Some(at) = position(entries, name) else { return false };
        let tags = TagsView { entries, index: &self.index };
        let affected = match slot {
            Some(_) => self.watches.before_change(peer, tags, Change::Remove(name)),
            None => Affected::default(),
        };
        let entry = entries.remove(at);
        self.index.remove(*slot, &entry);
        let tags = TagsView { entries, index: &self.index };
        self.watches.record(peer, Some(tags), affected);
        true
    }

    /// Removes all tags and sets of the peer, and returns the number of their names.
    pub fn clear(&mut self, peer: PeerId) -> usize {
        let Some(PeerTags { entries, slot }) = self.peers.get_mut(&peer) else { return 0 };
        let tags = TagsView { entries, index: &self.index };
        let affected = match slot {
            Some(_) => self.watches.before_all(peer, tags, true),
            None => Affected::default(),
        };
        let entries = mem::take(entries);
        entries.iter().for_each(|entry| self.index.remove(*slot, entry));
        let tags = TagsView::empty(&self.index);
        self.watches.record(peer, Some(tags), affected);
        entries.len()
    }

    /// Adds a value to the peer's set of this name, which begins with its first value. Returns
    /// `Ok(false)` and changes nothing if the set contains the value. A number that equals an integer is
    /// read back as that integer, `1.0` as `1`.
    ///
    /// The cost hardly depends on the number of values, and on the number of peers that have the
    /// same value.
    ///
    /// # Errors
    /// Returns [`TagError`] if the peer has not entered, if it has reached the limit for names or
    /// for values, if the name has a tag with one value, or if the name or the value is over its
    /// limit.
    pub fn join(
        &mut self,
        peer: PeerId,
        name: &str,
        value: impl Into<TagValue>,
    ) -> Result<bool, TagError> {
        let value = value.into();
        check(name, &value)?;
        let value = StoredValue::from(value).in_set();
        let PeerTags { entries, slot } = self.peers.get_mut(&peer).ok_or(TagError::Closed)?;
        let tags = TagsView { entries, index: &self.index };
        if !check_join(self.limits, tags, name, &value)? {
            return Ok(false);
        }
        let affected = match slot {
            Some(_) => self.watches.before_change(peer, tags, Change::Join(name, &value)),
            None => Affected::default(),
        };
        let at = position(entries, name).unwrap_or_else(|| {
            push(entries, Entry { name: name.into(), values: Values::Set(Box::default()) });
            entries.len() - 1
        });
        if let Entry { name, values: Values::Set(ids) } = &mut entries[at] {
            self.index.join(*slot, name, ids, value);
        }
        let tags = TagsView { entries, index: &self.index };
        self.watches.record(peer, Some(tags), affected);
        Ok(true)
    }

    /// Removes a value from the peer's set of this name, and returns whether the set contained it.
    ///
    /// # Errors
    /// Returns [`TagError::IsNotSet`] if the name has a tag with one value.
    pub fn leave(
        &mut self,
        peer: PeerId,
        name: &str,
        value: impl Into<TagValue>,
    ) -> Result<bool, TagError> {
        let value = StoredValue::from(value.into());
        let Some(PeerTags { entries, slot }) = self.peers.get_mut(&peer) else { return Ok(false) };
        let Some(at) = position(entries, name) else { return Ok(false) };
        let Values::Set(ids) = &entries[at].values else { return Err(TagError::IsNotSet) };
        let is_last = ids.len() == 1;
        let tags = TagsView { entries, index: &self.index };
        if !tags.contains(name, &value) {
            return Ok(false);
        }
        if is_last {
            return Ok(self.remove(peer, name));
        }
        let affected = match slot {
            Some(_) => self.watches.before_change(peer, tags, Change::Leave(name, &value)),
            None => Affected::default(),
        };
        if let Values::Set(ids) = &mut entries[at].values {
            self.index.leave(*slot, name, ids, &value);
        }
        let tags = TagsView { entries, index: &self.index };
        self.watches.record(peer, Some(tags), affected);
        Ok(true)
    }
}

/// Checks whether a peer with these tags can receive a tag of this name.
pub(super) fn check_set(limits: TagLimits, tags: TagsView<'_>, name: &str) -> Result<(), TagError> {
    match tags.get(name) {
        Some(values) if values.is_set() => Err(TagError::IsSet),
        None if tags.entries.len() >= limits.tags => Err(TagError::TooMany { limit: limits.tags }),
        _ => Ok(()),
    }
}

/// Checks whether a peer with these tags can receive this value of a set, and returns whether it
/// lacks the value.
pub(super) fn check_join(
    limits: TagLimits,
    tags: TagsView<'_>,
    name: &str,
    value: &StoredValue,
) -> Result<bool, TagError> {
    match tags.get(name) {
        Some(Values::One(_)) => return Err(TagError::IsNotSet),
        Some(Values::Set(_)) if tags.contains(name, value) => return Ok(false),
        None if tags.entries.len() >= limits.tags => {
            return Err(TagError::TooMany { limit: limits.tags });
        }
        _ => {}
    }
    if set_values(tags.entries) >= limits.values {
        return Err(TagError::TooManyValues { limit: limits.values });
    }
    Ok(true)
}

/// Checks the lengths of a name and of a value.
pub(super) fn check(name: &str, value: &TagValue) -> Result<(), TagError> {
    let length = name.len();
    if !(1..=TAG_NAME_LEN).contains(&length) {
        return Err(TagError::NameLength { length, limit: TAG_NAME_LEN });
    }
    match value {
        TagValue::Text(text) if text.len() > TAG_VALUE_LEN => {
            Err(TagError::ValueLength { length: text.len(), limit: TAG_VALUE_LEN })
        }
        _ => Ok(()),
    }
}

fn push(entries: &mut Vec<Entry>, entry: Entry) {
    // Most peers have one or two tags, and a `Vec` would reserve memory for four.
    entries.reserve_exact(1);
    entries.push(entry);
}
