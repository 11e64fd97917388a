//! [`Watches`]: the watches of this node on others.
//!
//! Watches with equal targets share one [`Feed`]. Each of the other nodes has a part in it, which only that
//! node writes: there is nothing to agree about.

mod feed;
mod item;
mod part;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use veltix_core::cluster::WatchForm;
use veltix_core::cluster::{DiffContent, NodeId, NodeStatus, NodeWatch, Unwatch, WatchDiff};
use veltix_core::limits::CLUSTER_WATCHES;
use veltix_core::{Group, Member, Target};

pub(crate) use feed::FeedEvent;
use feed::{Feed, Wakers};
pub(crate) use item::Item;
pub(crate) use reader::FeedReader;

use super::{Node, capabilities};
use crate::backplane::Destination;

/// The watches of this node, by their numbers.
#[derive(Default)]
pub(super) struct Watches(Mutex<Table>);

#[derive(Default)]
pub(crate) struct Table {
    last: u64,
    members: BTreeMap<u64, Feed<Member>>,
    groups: BTreeMap<u64, Feed<Group>>,
    /// The watches that nobody reads, of which members tell changes: their ends were lost. They are told at the
    /// next beat, once for all changes until then.
    unread: BTreeSet<(NodeId, u64)>,
}

impl Watches {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(wakers: &Wakers) {
    wakers.iter().for_each(|waker| waker.wake());
}

/// The node has as many watches on others as it can have.
#[derive(Debug)]
pub(crate) struct TooManyWatches;

/// The next question of a watch to a node.
pub(super) struct Asking {
    pub(super) to: NodeId,
    pub(super) epoch: u32,
}

impl Node {
    /// Begins to watch the peers of other nodes that a target matches. The caller has checked its limits.
    pub(crate) fn watch<I: Item>(
        self: &Arc<Self>,
        target: &Target,
        form: &WatchForm,
    ) -> Result<FeedReader<I>, TooManyWatches> {
        let mut table = self.watches.lock();
        let readers: usize = table.members.values().map(Feed::readers).sum();
        if readers + table.groups.values().map(Feed::readers).sum::<usize>() >= CLUSTER_WATCHES {
            return Err(TooManyWatches);
        }
        table.last += 1;
        let last = table.last;
        let feeds = I::feeds(&mut table);
        let shared = feeds.iter().find(|(_, feed)| feed.is_of(target, form)).map(|(id, _)| *id);
        let id = shared.unwrap_or_else(|| {
            let feed = feeds.entry(last).or_insert_with(|| Feed::new(target.clone(), form.clone()));
            for (node, status) in self.members().iter() {
                // The feed has no reader yet.
                self.add_part(last, feed, node, status);
            }
            last
        });
        let reader = last;
        if let Some(feed) = I::feeds(&mut table).get_mut(&id) {
            feed.add_reader(reader);
        }
        Ok(FeedReader::new(Arc::downgrade(self), id, reader))
    }

    /// Adds the part of a member.
    fn add_part<I: Item>(
        &self,
        id: u64,
        feed: &mut Feed<I>,
        node: NodeId,
        status: &NodeStatus,
    ) -> Wakers {
        if status.capabilities & capabilities::WATCHES == 0 {
            return feed.add_unsupported(node);
        }
        if let Some(asking) = feed.add_part(node, Instant::now()) {
            self.ask_to_watch(id, feed, &asking);
        }
        Wakers::new()
    }

    fn ask_to_watch<I: Item>(&self, id: u64, feed: &Feed<I>, Asking { to, epoch }: &Asking) {
        let (target, form) = feed.question();
        let watch = NodeWatch { id, epoch: *epoch, target: target.clone(), form: form.clone() };
        // The limits of the target were checked before the watch began.
        if let Ok(record) = watch.encode() {
            self.tell(Destination::Node(*to), record);
        }
    }

    /// Takes the changes that another node has seen.
    pub(super) fn on_diff(&self, origin: NodeId, diff: WatchDiff) {
        let mut table = self.watches.lock();
        let WatchDiff { id, epoch, version, content } = diff;
        let at = (origin, epoch, version);
        let Table { members, groups, .. } = &mut *table;
        let wakers = match (members.get_mut(&id), groups.get_mut(&id), content) {
            (Some(feed), _, DiffContent::Members(steps)) => feed.change(at, steps),
            (_, Some(feed), DiffContent::Groups(steps)) => feed.change(at, steps),
            (Some(feed), _, DiffContent::Refused(reason)) => feed.refused(origin, &reason),
            (_, Some(feed), DiffContent::Refused(reason)) => feed.refused(origin, &reason),
            (members, groups, DiffContent::Ended) => {
                members.into_iter().for_each(|feed| feed.lag(origin));
                groups.into_iter().for_each(|feed| feed.lag(origin));
                return;
            }
            (None, None, DiffContent::Members(_) | DiffContent::Groups(_)) => {
                // The end of the watch was lost: without another one the node would tell changes for ever.
                if table.unread.len() < CLUSTER_WATCHES && self.members().get(origin).is_some() {
                    table.unread.insert((origin, id));
                }
                return;
            }
            _ => return,
        };
        drop(table);
        wake(&wakers);
    }

    /// Adds the parts of a new member.
    pub(super) fn watch_member(&self, node: NodeId) {
        let mut table = self.watches.lock();
        let Table { members, groups, .. } = &mut *table;
        let all = self.members();
        let Some(status) = all.get(node) else { return };
        let mut wakers = Wakers::new();
        for (id, feed) in members {
            wakers.extend(self.add_part(*id, feed, node, status));
        }
        for (id, feed) in groups {
            wakers.extend(self.add_part(*id, feed, node, status));
        }
        drop(all);
        drop(table);
        wake(&wakers);
    }

    /// Ends the parts of a node that has left: each of its members leaves.
    pub(super) fn unwatch_member(&self, node: NodeId) {
        let mut table = self.watches.lock();
        let Table { members, groups, .. } = &mut *table;
        let wakers = members.values_mut().flat_map(|feed| feed.remove_part(node));
        let wakers = wakers.chain(groups.values_mut().flat_map(|feed| feed.remove_part(node)));
        let wakers = wakers.collect();
        drop(table);
        wake(&wakers);
    }

    /// Records that records of a node are missing: changes may be among them.
    pub(super) fn watch_lags(&self, node: NodeId) {
        let mut table = self.watches.lock();
        table.members.values_mut().for_each(|feed| feed.lag(node));
        table.groups.values_mut().for_each(|feed| feed.lag(node));
    }

    /// Asks again for the parts of which changes are missing, and ends the watches that nobody reads.
    pub(super) fn renew_watches(&self) {
        let now = Instant::now();
        let mut table = self.watches.lock();
        for (node, id) in mem::take(&mut table.unread) {
            self.tell(Destination::Node(node), Unwatch { id }.encode());
        }
        let Table { members, groups, .. } = &mut *table;
        for (id, feed) in members {
            feed.renew(now).iter().for_each(|asking| self.ask_to_watch(*id, feed, asking));
        }
        for (id, feed) in groups {
            feed.renew(now).iter().for_each(|asking| self.ask_to_watch(*id, feed, asking));
        }
    }

    /// Removes a reader. The last one of a feed ends it on the other nodes.
    fn end_reader<I: Item>(&self, id: u64, reader: u64) {
        let mut table = self.watches.lock();
        let feeds = I::feeds(&mut table);
        let Some(feed) = feeds.get_mut(&id) else { return };
        if feed.remove_reader(reader) {
            let nodes: Vec<_> = feed.nodes().collect();
            let ended = feeds.remove(&id);
            for node in nodes {
                self.tell(Destination::Node(node), Unwatch { id }.encode());
            }
            drop(table);
            drop(ended);
        }
    }
}
