//! The tags of a peer, each with one value.

use veltix_core::{Tag, TagError, TagValue};

use super::Peer;

impl Peer {
    /// Adds a tag. If the peer already has a tag of this name, nothing changes and the result is
    /// `Ok(false)`.
    ///
    /// ```
    /// # fn welcome(peer: veltix::Peer) -> Result<(), veltix::TagError> {
    /// peer.add_tag("guest")?;
    /// peer.add_tag(("role", "admin"))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`TagError`] if a limit is exceeded ([`max_tags`](crate::ServerConfig::max_tags), names of
    /// 128 bytes, values of 1 KiB), if the peer has [joined](Peer::join) a set of this name, or if
    /// it has left.
    pub fn add_tag(&self, tag: impl Into<Tag>) -> Result<bool, TagError> {
        // Converted before the lock is taken: the conversion may be the caller's code.
        let tag = tag.into();
        self.0.services().tags().change(|tags| tags.add(self.0.id(), tag))
    }

    /// Sets a tag in place of a tag of the same name. A set of this name is not replaced.
    ///
    /// # Errors
    /// Those of [`Peer::add_tag`].
    pub fn set_tag(&self, tag: impl Into<Tag>) -> Result<(), TagError> {
        let tag = tag.into();
        self.0.services().tags().change(|tags| tags.set(self.0.id(), tag))
    }

    /// Returns whether the peer has a tag of this name, or has joined a set of this name.
    #[must_use]
    pub fn has_tag(&self, name: &str) -> bool {
        self.0.services().tags().read(|tags| tags.has(self.0.id(), name))
    }

    /// Returns whether the peer has tags or sets of all these names.
    pub fn has_all_tags(&self, names: impl IntoIterator<Item: AsRef<str>>) -> bool {
        // The names come from the caller's code, so they are complete before the lock is taken.
        let names: Vec<_> = names.into_iter().collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        self.0.services().tags().read(|tags| tags.has_all(self.0.id(), names))
    }

    /// Returns whether the peer has a tag or a set of at least one of these names.
    pub fn has_any_tags(&self, names: impl IntoIterator<Item: AsRef<str>>) -> bool {
        let names: Vec<_> = names.into_iter().collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        self.0.services().tags().read(|tags| tags.has_any(self.0.id(), names))
    }

    /// Returns the value of the tag of this name.
    ///
    /// # Errors
    /// [`TagError::IsSet`] if the peer has joined a set of this name, which has no single value.
    /// [`Peer::rooms`] returns its values.
    pub fn get_tag(&self, name: &str) -> Result<Option<TagValue>, TagError> {
        self.0.services().tags().read(|tags| tags.value(self.0.id(), name))
    }

    /// Removes the tag of this name, or the whole set of this name. Returns `false` if there was
    /// none.
    pub fn remove_tag(&self, name: &str) -> bool {
        self.0.services().tags().change(|tags| tags.remove(self.0.id(), name))
    }

    /// Removes all tags and all sets, and returns the number of their names.
    pub fn clear_tags(&self) -> usize {
        self.0.services().tags().change(|tags| tags.clear(self.0.id()))
    }

    /// Returns all tags, sorted by name. A set has an item for each of its values.
    #[must_use]
    pub fn tags(&self) -> Vec<(String, TagValue)> {
        let owned = |(name, value): (&str, TagValue)| (name.to_owned(), value);
        let mut all: Vec<_> =
            self.0.services().tags().read(|tags| tags.tags(self.0.id()).map(owned).collect());
        all.sort_unstable();
        all
    }
}
