//! The calls of a [`Hub`] that change the tags of many peers.

use veltix_core::{Tag, TagError, TagValue, Target, TargetError};

use super::Hub;

impl Hub {
    /// Tags the peers of this node that a target matches and returns their number. The tag replaces a tag of the
    /// same name. After an error, no peer is tagged.
    ///
    /// ```
    /// # use veltix::{Hub, TagError, tag};
    /// # fn level_up(hub: Hub) -> Result<(), TagError> {
    /// let levelled = hub.tag(tag("score").at_least(1_000), ("level", 2))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`TagError`] if the target or the tag exceeds a limit, if one of the peers would exceed one,
    /// or if one of them has [joined](crate::Peer::join) a set of this name.
    pub fn tag(&self, target: impl Into<Target>, tag: impl Into<Tag>) -> Result<usize, TagError> {
        let (target, tag) = (target.into(), tag.into());
        self.0.services().tags().change(|tags| tags.set_all(&target, tag))
    }

    /// Removes the tag or the set of this name from the peers of this node that a target matches. Returns the
    /// number of peers that had one.
    ///
    /// ```
    /// # use veltix::{Hub, TargetError, tag};
    /// # fn unmute(hub: Hub) -> Result<(), TargetError> {
    /// let unmuted = hub.untag(tag("room").is("lobby"), "muted")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`list`](Hub::list).
    pub fn untag(&self, target: impl Into<Target>, name: &str) -> Result<usize, TargetError> {
        let target = target.into();
        self.0.services().tags().change(|tags| tags.remove_all(&target, name))
    }

    /// Adds a value to the set of this name of the peers of this node that a target matches, as
    /// [`Peer::join`](crate::Peer::join) does. Returns the number of peers whose set did not contain
    /// the value. After an error, no peer has joined.
    ///
    /// ```
    /// # use veltix::{Hub, TagError, tag};
    /// # fn open(hub: Hub) -> Result<(), TagError> {
    /// let moved = hub.join(tag("room").is("lobby"), "room", "hall")?;
    /// hub.leave(tag("room").is("lobby"), "room", "lobby")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`TagError`] if the target, the name or the value exceeds a limit, if one of the peers would
    /// exceed one, or if one of them has a tag with one value of this name.
    pub fn join(
        &self,
        target: impl Into<Target>,
        name: &str,
        value: impl Into<TagValue>,
    ) -> Result<usize, TagError> {
        let (target, value) = (target.into(), value.into());
        self.0.services().tags().change(|tags| tags.join_all(&target, name, value))
    }

    /// Removes a value from the set of this name of the peers of this node that a target matches, as
    /// [`Peer::leave`](crate::Peer::leave) does. Returns the number of peers whose set contained the
    /// value. After an error, no peer has left.
    ///
    /// # Errors
    /// [`TagError`] if the target exceeds a limit, or if one of the peers has a tag with one value
    /// of this name.
    pub fn leave(
        &self,
        target: impl Into<Target>,
        name: &str,
        value: impl Into<TagValue>,
    ) -> Result<usize, TagError> {
        let (target, value) = (target.into(), value.into());
        self.0.services().tags().change(|tags| tags.leave_all(&target, name, value))
    }
}
