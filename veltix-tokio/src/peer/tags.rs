//! The tags of a peer, from its handle.

use veltix_core::{Tag, TagError, TagValue};

use super::Peer;

impl Peer {
    /// Tags the peer, unless it has a tag of this name: `Ok(false)` then, and nothing changes.
    ///
    /// ```
    /// # fn welcome(peer: veltix::Peer) -> Result<(), veltix::TagError> {
    /// peer.add_tag("guest")?;
    /// peer.add_tag(("role", "admin"))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`TagError`]: over a limit (64 tags, names of 128 bytes, values of 1 KiB), or the peer is
    /// gone.
    pub fn add_tag(&self, tag: impl Into<Tag>) -> Result<bool, TagError> {
        // Made before the lock is taken: it may be the caller's code.
        let tag = tag.into();
        self.0.services().tags().change(|tags| tags.add(self.0.id(), tag))
    }

    /// Tags the peer, in position of a tag of the same name.
    ///
    /// # Errors
    /// As [`Peer::add_tag`].
    pub fn set_tag(&self, tag: impl Into<Tag>) -> Result<(), TagError> {
        let tag = tag.into();
        self.0.services().tags().change(|tags| tags.set(self.0.id(), tag))
    }

    /// Whether the peer has a tag of this name.
    #[must_use]
    pub fn has_tag(&self, name: &str) -> bool {
        self.0.services().tags().read(|tags| tags.has(self.0.id(), name))
    }

    /// Whether the peer has tags of all these names.
    #[must_use]
    pub fn has_all_tags(&self, names: &[&str]) -> bool {
        self.0.services().tags().read(|tags| tags.has_all(self.0.id(), names))
    }

    /// Whether the peer has a tag of one of these names.
    #[must_use]
    pub fn has_any_tags(&self, names: &[&str]) -> bool {
        self.0.services().tags().read(|tags| tags.has_any(self.0.id(), names))
    }

    /// The value of the tag of this name.
    #[must_use]
    pub fn get_tag(&self, name: &str) -> Option<TagValue> {
        self.0.services().tags().read(|tags| tags.value(self.0.id(), name).cloned())
    }

    /// Removes the tag of this name; `false` when there was none.
    pub fn remove_tag(&self, name: &str) -> bool {
        self.0.services().tags().change(|tags| tags.remove(self.0.id(), name))
    }

    /// Removes all tags; says how many there were.
    pub fn clear_tags(&self) -> usize {
        self.0.services().tags().change(|tags| tags.clear(self.0.id()))
    }

    /// All tags, by name.
    #[must_use]
    pub fn tags(&self) -> Vec<(String, TagValue)> {
        let owned = |(name, value): (&str, &TagValue)| (name.to_owned(), value.clone());
        let mut all: Vec<_> =
            self.0.services().tags().read(|tags| tags.tags(self.0.id()).map(owned).collect());
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}
