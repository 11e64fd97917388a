//! [`FeedReader`]: a reader of the watch on other nodes.

use std::marker::PhantomData;
use std::sync::Weak;
use std::task::Context;

use veltix_core::cluster::NodeId;

use super::feed::{Feed, FeedEvent};
use super::item::Item;
use crate::gathered::Missing;
use crate::node::Node;

/// A reader. Its drop ends the watch on other nodes, unless it has further readers.
pub(crate) struct FeedReader<I: Item> {
    node: Weak<Node>,
    feed: u64,
    reader: u64,
    item: PhantomData<fn() -> I>,
}

impl<I: Item> FeedReader<I> {
    pub(super) const fn new(node: Weak<Node>, feed: u64, reader: u64) -> Self {
        Self { node, feed, reader, item: PhantomData }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Feed<I>) -> T) -> Option<T> {
        let node = self.node.upgrade()?;
        let mut table = node.watches.lock();
        I::feeds(&mut table).get_mut(&self.feed).map(look)
    }

    /// Returns the next event, or registers the task.
    pub(crate) fn next(&self, cx: &Context<'_>) -> Option<FeedEvent<I>> {
        self.with(|feed| {
            feed.register(self.reader, cx);
            feed.next(self.reader)
        })?
    }

    /// Drops the events that wait, and returns all items instead.
    pub(crate) fn reset(&self) -> FeedEvent<I> {
        self.with(|feed| feed.reset(self.reader)).unwrap_or(FeedEvent::Reset(Vec::new()))
    }

    /// Returns whether the items of all members are known, or registers the task.
    pub(crate) fn is_complete(&self, cx: &Context<'_>) -> bool {
        let is_complete = self.with(|feed| {
            feed.register(self.reader, cx);
            feed.missing().iter().all(|(_, missing)| *missing != Missing::TimedOut)
        });
        is_complete.unwrap_or(true)
    }

    /// Returns the nodes whose items are not known, each with the reason.
    pub(crate) fn missing(&self) -> Vec<(NodeId, Missing)> {
        self.with(|feed| feed.missing()).unwrap_or_default()
    }
}

impl<I: Item> Drop for FeedReader<I> {
    fn drop(&mut self) {
        if let Some(node) = self.node.upgrade() {
            node.end_reader::<I>(self.feed, self.reader);
        }
    }
}
