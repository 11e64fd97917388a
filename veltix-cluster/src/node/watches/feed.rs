//! [`Feed`]: one watch on all other nodes, with the readers that share it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Context;

use futures::task::AtomicWaker;
use tokio::time::Instant;
use veltix_core::Target;
use veltix_core::cluster::{DiffStep, NodeId, WatchForm};
use veltix_core::limits::{WATCH_QUEUE, WATCH_QUEUE_BYTES};

use super::Asking;
use super::item::Item;
use super::part::{Part, PartChange};
use crate::gathered::Missing;

pub(crate) struct Feed<I: Item> {
    target: Target,
    form: WatchForm,
    parts: BTreeMap<NodeId, Part<I>>,
    readers: BTreeMap<u64, Queue<I>>,
}

/// The tasks of the readers of a feed. They are woken when the lock of the table has ended: a waker may drop
/// its reader, which takes the lock.
pub(super) type Wakers = Vec<Arc<AtomicWaker>>;

/// The changes that wait for one reader.
struct Queue<I> {
    events: VecDeque<FeedEvent<I>>,
    bytes: usize,
    /// True if the next event is the list of all items.
    reset: bool,
    waker: Arc<AtomicWaker>,
}

/// An event for a reader.
pub(crate) enum FeedEvent<I> {
    /// The other nodes have exactly these.
    Reset(Vec<(NodeId, Vec<I>)>),
    Entered(NodeId, I),
    Left(NodeId, I),
}

impl<I: Item> Feed<I> {
    pub(super) const fn new(target: Target, form: WatchForm) -> Self {
        Self { target, form, parts: BTreeMap::new(), readers: BTreeMap::new() }
    }

    pub(super) fn is_of(&self, target: &Target, form: &WatchForm) -> bool {
        self.target == *target && self.form == *form
    }

    pub(super) const fn question(&self) -> (&Target, &WatchForm) {
        (&self.target, &self.form)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.parts.keys().copied()
    }

    pub(super) fn readers(&self) -> usize {
        self.readers.len()
    }

    pub(super) fn add_reader(&mut self, reader: u64) {
        let waker = Arc::new(AtomicWaker::new());
        let queue = Queue { events: VecDeque::new(), bytes: 0, reset: true, waker };
        self.readers.insert(reader, queue);
    }

    /// Removes a reader, and returns whether it was the last one.
    pub(super) fn remove_reader(&mut self, reader: u64) -> bool {
        self.readers.remove(&reader);
        self.readers.is_empty()
    }

    /// Adds the part of a node, and returns the question to it. A node that was asked as the feed began is not
    /// asked twice: changes of two watches with one epoch could not be told apart.
    pub(super) fn add_part(&mut self, node: NodeId, now: Instant) -> Option<Asking> {
        let Entry::Vacant(place) = self.parts.entry(node) else { return None };
        let part = place.insert(Part::new(now));
        Some(Asking { to: node, epoch: part.epoch() })
    }

    pub(super) fn add_unsupported(&mut self, node: NodeId) -> Wakers {
        let part = Part::without(Instant::now(), Missing::Unsupported);
        self.parts.insert(node, part);
        self.wakers()
    }

    /// Ends the part of a node: each of its items leaves.
    pub(super) fn remove_part(&mut self, node: NodeId) -> Wakers {
        let Some(part) = self.parts.remove(&node) else { return Wakers::new() };
        for item in part.into_items() {
            if fault!("peers_leave_twice") {
                let queues = self.readers.values_mut();
                queues.for_each(|queue| queue.push(FeedEvent::Left(node, item.clone())));
            }
            self.readers
                .values_mut()
                .for_each(|queue| queue.push(FeedEvent::Left(node, item.clone())));
        }
        self.wakers()
    }

    pub(super) fn refused(&mut self, node: NodeId, reason: &Arc<str>) -> Wakers {
        self.parts.get_mut(&node).into_iter().for_each(|part| part.refuse(reason));
        self.wakers()
    }

    pub(super) fn lag(&mut self, node: NodeId) {
        self.parts.get_mut(&node).into_iter().for_each(Part::lag);
    }

    /// Returns the questions to repeat.
    pub(super) fn renew(&mut self, now: Instant) -> Vec<Asking> {
        let renewed = self.parts.iter_mut().filter_map(|(node, part)| {
            part.renew(now).then(|| Asking { to: *node, epoch: part.epoch() })
        });
        renewed.collect()
    }

    /// Applies the changes of a node.
    pub(super) fn change(&mut self, at: (NodeId, u32, u64), steps: Vec<DiffStep<I>>) -> Wakers {
        let (node, epoch, version) = at;
        let Some(part) = self.parts.get_mut(&node) else { return Wakers::new() };
        let readers = &mut self.readers;
        part.change(epoch, version, steps, |change| {
            for queue in readers.values_mut() {
                queue.push(match &change {
                    PartChange::Entered(item) => FeedEvent::Entered(node, item.clone()),
                    PartChange::Left(item) => FeedEvent::Left(node, item.clone()),
                });
            }
        });
        self.wakers()
    }

    fn wakers(&self) -> Wakers {
        self.readers.values().map(|queue| Arc::clone(&queue.waker)).collect()
    }

    /// Registers the task of a reader.
    pub(super) fn register(&self, reader: u64, cx: &Context<'_>) {
        self.readers.get(&reader).into_iter().for_each(|queue| queue.waker.register(cx.waker()));
    }

    /// Takes the next event of a reader.
    pub(super) fn next(&mut self, reader: u64) -> Option<FeedEvent<I>> {
        let queue = self.readers.get_mut(&reader)?;
        if queue.reset {
            return Some(self.reset(reader));
        }
        let event = queue.events.pop_front()?;
        queue.bytes -= size(&event);
        Some(event)
    }

    /// Drops the events of a reader, and returns all items instead.
    pub(super) fn reset(&mut self, reader: u64) -> FeedEvent<I> {
        if let Some(queue) = self.readers.get_mut(&reader) {
            (queue.reset, queue.bytes) = (false, 0);
            queue.events.clear();
        }
        let items = |part: &Part<I>| part.items().cloned().collect();
        FeedEvent::Reset(self.parts.iter().map(|(node, part)| (*node, items(part))).collect())
    }

    /// Returns the nodes whose items are not known, each with the reason.
    pub(super) fn missing(&self) -> Vec<(NodeId, Missing)> {
        let missing = |(node, part): (&NodeId, &Part<I>)| Some((*node, part.missing()?));
        self.parts.iter().filter_map(missing).collect()
    }
}

impl<I: Item> Queue<I> {
    /// Adds an event. A reader that is too far behind begins anew with all items.
    fn push(&mut self, event: FeedEvent<I>) {
        if self.reset {
            return;
        }
        let size = size(&event);
        if self.events.len() >= WATCH_QUEUE || self.bytes + size > WATCH_QUEUE_BYTES {
            (self.reset, self.bytes) = (true, 0);
            self.events.clear();
            return;
        }
        self.bytes += size;
        self.events.push_back(event);
    }
}

fn size<I: Item>(event: &FeedEvent<I>) -> usize {
    match event {
        FeedEvent::Reset(_) => 0,
        FeedEvent::Entered(_, item) | FeedEvent::Left(_, item) => item.size(),
    }
}
