//! The sets of a peer: names with many values, such as the rooms that it has joined.

use veltix_core::{TagError, TagValue};

use super::Peer;

impl Peer {
    /// Adds a value to the set of this name, which begins with its first value. Returns `Ok(false)`
    /// if the set already contained the value.
    ///
    /// A target matches a set by any of its values:
    /// [`tag("room").is("lobby")`](veltix_core::TagTarget::is) matches all peers that have joined
    /// the lobby, whatever else they have joined. A name has either a set or
    /// [one value](Peer::set_tag), and the calls of the other kind fail. Joining costs nearly the
    /// same, however many rooms there are. A number that equals an integer is read back as that integer,
    /// `1.0` as `1`.
    ///
    /// ```
    /// # fn enter(hub: veltix::Hub, peer: veltix::Peer) -> veltix::Result<()> {
    /// # use veltix::{Message, MessageType, tag};
    /// # let message = Message::empty(MessageType::new(200, "say", ""));
    /// peer.join("room", "lobby")?;
    /// peer.join("room", "hall")?;
    /// hub.to(tag("room").is("hall")).send(&message)?;
    /// peer.leave("room", "lobby")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`TagError`] if a limit is exceeded ([`max_values`](crate::ServerConfig::max_values),
    /// [`max_tags`](crate::ServerConfig::max_tags), names of 128 bytes, values of 1 KiB), if the
    /// name has a tag with one value, or if the peer has left.
    pub fn join(&self, name: &str, value: impl Into<TagValue>) -> Result<bool, TagError> {
        // Converted before the lock is taken: the conversion may be the caller's code.
        let value = value.into();
        self.0.services().tags().change(|tags| tags.join(self.0.id(), name, value))
    }

    /// Removes a value from the set of this name, which ends with its last value. Returns
    /// `Ok(false)` if the set did not contain the value. [`Peer::remove_tag`] removes the whole set.
    ///
    /// # Errors
    /// [`TagError::IsNotSet`] if the name has a tag with one value.
    pub fn leave(&self, name: &str, value: impl Into<TagValue>) -> Result<bool, TagError> {
        let value = value.into();
        self.0.services().tags().change(|tags| tags.leave(self.0.id(), name, value))
    }

    /// Returns the values of the set of this name in ascending order: those by which targets find
    /// the peer. A tag with one value is a list of that value. Without either, the list is empty.
    ///
    /// The values can be read until `on_disconnect` has returned.
    #[must_use]
    pub fn rooms(&self, name: &str) -> Vec<TagValue> {
        let mut values: Vec<_> =
            self.0.services().tags().read(|tags| tags.values(self.0.id(), name).collect());
        values.sort_unstable();
        values
    }

    /// Returns whether the set of this name contains the value, or the tag of this name has it. The
    /// other values are not read.
    pub fn is_in(&self, name: &str, value: impl Into<TagValue>) -> bool {
        let value = value.into();
        self.0.services().tags().read(|tags| tags.is_in(self.0.id(), name, value))
    }
}
