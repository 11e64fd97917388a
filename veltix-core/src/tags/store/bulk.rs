//! Changes of all peers that a target matches.

use super::change::{check, check_join, check_set};
use super::{TagStore, Values};
use crate::error::{TagError, TargetError};
use crate::tags::peer_id::PeerId;
use crate::tags::stored::StoredValue;
use crate::tags::tag::Tag;
use crate::tags::target::Target;
use crate::tags::value::TagValue;
use crate::tags::view::TagsView;

impl TagStore {
    /// Sets a tag of every peer that the target matches, and returns the number of these peers. It
    /// replaces a tag of the same name. In case of an error, no peer is changed.
    ///
    /// # Errors
    /// Returns [`TagError`] if the target cannot be used, if the tag's name or value is over its
    /// limit, or if one of the peers has reached the limit for names or has a set of this name.
    pub fn set_all(&mut self, target: &Target, tag: impl Into<Tag>) -> Result<usize, TagError> {
        let tag = tag.into();
        check(tag.name(), tag.value())?;
        let limits = self.limits;
        let peers =
            self.checked(target, |tags| check_set(limits, tags, tag.name()).map(|()| true))?;
        for &peer in &peers {
            self.set(peer, tag.clone())?;
        }
        Ok(peers.len())
    }

    /// Removes the tag or set of this name of every peer that the target matches, and returns the
    /// number of peers that had one.
    ///
    /// # Errors
    /// Returns [`TargetError`] if the target cannot be used.
    pub fn remove_all(&mut self, target: &Target, name: &str) -> Result<usize, TargetError> {
        let peers = self.select(target)?;
        Ok(peers.into_iter().filter(|&peer| self.remove(peer, name)).count())
    }

    /// Adds a value to the set of this name of every peer that the target matches, and returns the
    /// number of peers that lacked it. In case of an error, no peer is changed.
    ///
    /// # Errors
    /// Returns [`TagError`] if the target cannot be used, if the name or the value is over its
    /// limit, or if one of the peers has reached a limit or has a tag with one value of this name.
    pub fn join_all(
        &mut self,
        target: &Target,
        name: &str,
        value: impl Into<TagValue>,
    ) -> Result<usize, TagError> {
        let value = value.into();
        check(name, &value)?;
        let (limits, stored) = (self.limits, StoredValue::from(value.clone()));
        let peers = self.checked(target, |tags| check_join(limits, tags, name, &stored))?;
        for &peer in &peers {
            self.join(peer, name, value.clone())?;
        }
        Ok(peers.len())
    }

    /// Removes a value from the set of this name of every peer that the target matches, and returns
    /// the number of peers that had it. In case of an error, no peer is changed.
    ///
    /// # Errors
    /// Returns [`TagError`] if the target cannot be used, or if one of the peers has a tag with one
    /// value of this name.
    pub fn leave_all(
        &mut self,
        target: &Target,
        name: &str,
        value: impl Into<TagValue>,
    ) -> Result<usize, TagError> {
        let value = value.into();
        let stored = StoredValue::from(value.clone());
        let peers = self.checked(target, |tags| match tags.get(name) {
            Some(Values::One(_)) => Err(TagError::IsNotSet),
            _ => Ok(tags.contains(name, &stored)),
        })?;
        for &peer in &peers {
            self.leave(peer, name, value.clone())?;
        }
        Ok(peers.len())
    }

    /// Returns the peers that the target matches and for whose tags `concerns` returns true, or
    /// its first error.
    fn checked(
        &self,
        target: &Target,
        concerns: impl Fn(TagsView<'_>) -> Result<bool, TagError>,
    ) -> Result<Vec<PeerId>, TagError> {
        let mut peers = Vec::new();
        for peer in self.select(target)? {
            if concerns(self.view(peer))? {
                peers.push(peer);
            }
        }
        Ok(peers)
    }
}
