//! The tags of a peer.

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
    /// [`TagError`] if a limit is exceeded (64 tags, names of 128 bytes, values of 1 KiB), or if
    /// the peer has left.
    pub fn add_tag(&self, tag: impl Into<Tag>) -> Result<bool, TagError> {
        // Converted before the lock is taken: the conversion may be the caller's code.
        let tag = tag.into();
        self.0.services().tags().change(|tags| tags.add(self.0.id(), tag))
    }

    /// Sets a tag in place of a tag of the same name.
    ///
    /// # Errors
    /// Those of [`Peer::add_tag`].
    pub fn set_tag(&self, tag: impl Into<Tag>) -> Result<(), TagError> {
        let tag = tag.into();
        self.0.services().tags().change(|tags| tags.set(self.0.id(), tag))
    }

    /// Returns whether the peer has a tag of this name.
    #[must_use]
    pub fn has_tag(&self, name: &str) -> bool {
        self.0.services().tags().read(|tags| tags.has(self.0.id(), name))
    }

    /// Returns whether the peer has tags of all these names.
    #[must_use]
    pub fn has_all_tags(&self, names: &[&str]) -> bool {
        self.0.services().tags().read(|tags| tags.has_all(self.0.id(), names))
    }

    /// Returns whether the peer has a tag of at least one of these names.
    #[must_use]
    pub fn has_any_tags(&self, names: &[&str]) -> bool {
        self.0.services().tags().read(|tags| tags.has_any(self.0.id(), names))
    }

    /// Returns the value of the tag of this name.
    #[must_use]
    pub fn get_tag(&self, name: &str) -> Option<TagValue> {
        self.0.services().tags().read(|tags| tags.value(self.0.id(), name).cloned())
    }

    /// Removes the tag of this name. Returns `false` if there was none.
    pub fn remove_tag(&self, name: &str) -> bool {
        self.0.services().tags().change(|tags| tags.remove(self.0.id(), name))
    }

    /// Removes all tags and returns their number.
    pub fn clear_tags(&self) -> usize {
        self.0.services().tags().change(|tags| tags.clear(self.0.id()))
    }

    /// Returns all tags, sorted by name.
    #[must_use]
    pub fn tags(&self) -> Vec<(String, TagValue)> {
        let owned = |(name, value): (&str, &TagValue)| (name.to_owned(), value.clone());
        let mut all: Vec<_> =
            self.0.services().tags().read(|tags| tags.tags(self.0.id()).map(owned).collect());
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}
