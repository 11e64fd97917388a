//! [`Reports`]: events and log lines that other nodes can cause in any number. They are summed, and told once
//! a second.

use std::collections::BTreeMap;
use std::mem;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use veltix_core::cluster::{NodeId, WireError};
use veltix_core::limits::CLUSTER_MEMBERS;

use super::Node;
use super::stats::SentRecords;
use crate::events::{ClusterEvent, DropReason};

#[derive(Default)]
pub(super) struct Reports {
    pending: Mutex<Pending>,
    told: Mutex<Told>,
}

/// The news since the last report.
#[derive(Default)]
struct Pending {
    unreadable: u64,
    /// The last record that could not be read.
    last: Option<(Option<NodeId>, WireError)>,
    duplicates: BTreeMap<NodeId, NodeId>,
    incompatible: BTreeMap<NodeId, RangeInclusive<u8>>,
    too_many: BTreeMap<NodeId, ()>,
}

/// The counts at the last report.
#[derive(Default)]
struct Told {
    received: BTreeMap<NodeId, Received>,
    dropped: SentRecords,
}

#[derive(Clone, Copy, Default)]
struct Received {
    missed: u64,
    stale: u64,
}

impl Reports {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unreadable(&self, origin: Option<NodeId>, error: WireError) {
        let mut pending = self.pending();
        pending.unreadable += 1;
        pending.last = Some((origin, error));
    }

    pub(super) fn duplicate_name(&self, node: NodeId, other: NodeId) {
        note(&mut self.pending().duplicates, node, other);
    }

    pub(super) fn incompatible(&self, node: NodeId, wire: RangeInclusive<u8>) {
        note(&mut self.pending().incompatible, node, wire);
    }

    pub(super) fn too_many(&self, node: NodeId) {
        note(&mut self.pending().too_many, node, ());
    }
}

/// Adds a node, within the number that a cluster can have: a publisher that invents nodes fills no memory.
fn note<T>(nodes: &mut BTreeMap<NodeId, T>, node: NodeId, news: T) {
    if nodes.len() < CLUSTER_MEMBERS || nodes.contains_key(&node) {
        nodes.insert(node, news);
    }
}

impl Node {
    /// Tells the news since the last report.
    pub(super) fn report(&self) {
        let Pending { unreadable, last, duplicates, incompatible, too_many } =
            mem::take(&mut *self.reports.pending());
        let me = self.me;
        if let Some((node, error)) = last {
            let node = node.map(tracing::field::display);
            tracing::warn!(%me, node, %error, unreadable, "records of other nodes could not be read");
        }
        for (node, other) in duplicates {
            tracing::warn!(%me, %node, %other, "two nodes have one name: give each a name of its own");
            self.events.emit(ClusterEvent::DuplicateName { node, other });
        }
        for (node, wire) in incompatible {
            tracing::warn!(%me, %node, ?wire, "a node has no version of the format in common");
            self.events.emit(ClusterEvent::Incompatible { node, wire });
        }
        for (node, ()) in too_many {
            tracing::error!(%me, %node, limit = CLUSTER_MEMBERS, "the cluster has too many nodes");
            self.events.emit(ClusterEvent::TooManyNodes { node });
        }
        self.report_counts();
    }

    fn report_counts(&self) {
        let stats = self.stats();
        let mut told = self.reports.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut received = BTreeMap::new();
        let mut sent = stats.to_all;
        for stats in &stats.nodes {
            let node = stats.node;
            let missed = stats.from_all.missed.saturating_add(stats.direct.missed);
            let now = Received { missed, stale: stats.stale };
            let before = told.received.get(&node).copied().unwrap_or_default();
            // A node that was forgotten in between counts from the beginning.
            let missed = now.missed.saturating_sub(before.missed);
            let dropped = now.stale.saturating_sub(before.stale);
            if missed > 0 {
                tracing::warn!(me = %self.me, %node, missed, "records of a node are missing");
                self.events.emit(ClusterEvent::Gap { node, missed });
            }
            if dropped > 0 {
                tracing::warn!(me = %self.me, %node, dropped, "messages of a node were too old");
                self.events.emit(ClusterEvent::Stale { node, dropped });
            }
            received.insert(node, now);
            sent.add(&stats.sent);
        }
        told.received = received;
        let before = mem::replace(&mut told.dropped, sent);
        drop(told);
        for (reason, now, before) in [
            (DropReason::Offline, sent.offline, before.offline),
            (DropReason::Full, sent.full, before.full),
            (DropReason::Expired, sent.expired, before.expired),
            (DropReason::TooLarge, sent.too_large, before.too_large),
            (DropReason::Memory, sent.memory, before.memory),
        ] {
            let count = now.saturating_sub(before);
            if count > 0 {
                tracing::warn!(me = %self.me, ?reason, count, "records for other nodes were dropped");
                self.events.emit(ClusterEvent::Dropped { reason, count });
            }
        }
    }
}
