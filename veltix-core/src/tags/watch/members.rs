//! Watches of the peers that a target matches.

use std::sync::Arc;

use super::super::peer_id::PeerId;
use super::super::tag::Tag;
use super::super::value::TagValue;
use super::super::view::TagsView;
use super::queue::Queue;

/// A peer that a target matches, or matched until it left. `tags` are the last known ones of those
/// that the watch asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Identifies the peer. A server's `Hub::get` returns its handle while it is connected.
    pub peer: PeerId,
    /// Lists the tags that the watch asked for, by name and value. A set has an item for each of
    /// its values. A tag that the peer does not have is missing.
    pub tags: Vec<Tag>,
}

impl Member {
    /// Returns the value of the tag of this name, or the lowest value of the set of this name.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&TagValue> {
        self.values(name).next()
    }

    /// Returns the values of this name in ascending order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &TagValue> {
        self.tags.iter().filter(move |tag| tag.name() == name).map(Tag::value)
    }

    /// Returns the bytes that the member takes in a queue.
    fn size(&self) -> usize {
        let text = |tag: &Tag| size_of::<Tag>() + tag.value().as_str().map_or(0, str::len);
        size_of::<Self>() + self.tags.iter().map(text).sum::<usize>()
    }
}

/// A step is the next report of a watch of members.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the driver of a watch must handle every step")]
pub enum WatchStep {
    /// The target now matches exactly these peers. A watch starts with this step, and returns to it
    /// if the changes since the last step exceed a limit of its queue.
    Reset(Vec<Member>),
    /// The target matches this peer from now on, and did not match it before.
    Entered(Member),
    /// The target does not match this peer any more, and matched it before.
    Left(Member),
    /// No change has happened since the last step.
    Idle,
    /// The watch has ended.
    Ended,
}

/// The state of a watch of members.
#[derive(Debug)]
pub(super) struct Members {
    /// Lists the names of the tags that the watch asked for, in ascending order.
    names: Arc<[Arc<str>]>,
    queue: Queue<WatchStep>,
}

impl Members {
    pub(super) const fn new(names: Arc<[Arc<str>]>) -> Self {
        Self { names, queue: Queue::new() }
    }

    pub(super) const fn names(&self) -> &Arc<[Arc<str>]> {
        &self.names
    }

    pub(super) const fn queue(&mut self) -> &mut Queue<WatchStep> {
        &mut self.queue
    }

    /// Returns whether changes matter, because the next step is not the list of all members.
    pub(super) const fn is_attentive(&self) -> bool {
        !self.queue.is_reset()
    }

    pub(super) fn member(&self, peer: PeerId, tags: TagsView<'_>) -> Member {
        member(peer, tags, &self.names)
    }

    /// Records that a peer entered, and returns whether to wake the reader.
    pub(super) fn enter(&mut self, member: Member) -> bool {
        let size = member.size();
        self.queue.push(WatchStep::Entered(member), size)
    }

    /// Records that a peer left, and returns whether to wake the reader.
    pub(super) fn leave(&mut self, member: Member) -> bool {
        let size = member.size();
        self.queue.push(WatchStep::Left(member), size)
    }
}

/// Returns a member with the tags of these names.
pub(in crate::tags) fn member(peer: PeerId, tags: TagsView<'_>, names: &[Arc<str>]) -> Member {
    let mut found = Vec::new();
    for name in names {
        let mut values: Vec<_> = tags.values(name).map(|value| value.to_value()).collect();
        values.sort_unstable();
        found.extend(values.into_iter().map(|value| Tag { name: Arc::clone(name), value }));
    }
    Member { peer, tags: found }
}
