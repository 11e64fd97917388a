//! The links between pairs of nodes, and the times at which they did not work.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use veltix_cluster::NodeId;

/// The links of a broker.
#[derive(Default)]
pub(super) struct Links {
    /// The last arrival from one node at another.
    last: BTreeMap<(NodeId, NodeId), Instant>,
    /// The time before which nothing from one node arrives at another.
    kept_until: BTreeMap<(NodeId, NodeId), Instant>,
    cut: BTreeSet<(NodeId, NodeId)>,
    /// The times in milliseconds at which batches of a pair were lost, late or refused.
    disturbed: BTreeMap<(NodeId, NodeId), Vec<(u64, u64)>>,
    /// The same for all links of a node.
    of_node: BTreeMap<NodeId, Vec<(u64, u64)>>,
    offline_since: BTreeMap<NodeId, u64>,
}

fn pair(one: NodeId, other: NodeId) -> (NodeId, NodeId) {
    (one.min(other), one.max(other))
}

impl Links {
    /// Returns the arrival of a batch that would arrive at `at`: never before that of an earlier one.
    pub(super) fn arrival(&mut self, from: NodeId, to: NodeId, at: Instant) -> Instant {
        let kept = self.kept_until.get(&(from, to)).copied();
        let last = self.last.entry((from, to)).or_insert(at);
        *last = (*last).max(at).max(kept.unwrap_or(at));
        *last
    }

    pub(super) fn hang(&mut self, from: NodeId, to: NodeId, until: Instant) {
        let kept = self.kept_until.entry((from, to)).or_insert(until);
        *kept = (*kept).max(until);
    }

    pub(super) fn cut(&mut self, one: NodeId, other: NodeId, is_cut: bool) {
        if is_cut {
            self.cut.insert(pair(one, other));
        } else {
            self.cut.remove(&pair(one, other));
        }
    }

    pub(super) fn is_cut(&self, one: NodeId, other: NodeId) -> bool {
        self.cut.contains(&pair(one, other))
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
        self.kept_until.clear();
    }

    pub(super) fn disturb(&mut self, one: NodeId, other: NodeId, from: u64, until: u64) {
        self.disturbed.entry(pair(one, other)).or_default().push((from, until));
    }

    pub(super) fn disturb_node(&mut self, node: NodeId, from: u64, until: u64) {
        self.of_node.entry(node).or_default().push((from, until));
    }

    pub(super) fn disturb_node_if(&mut self, is_disturbed: bool, node: NodeId, now: u64) {
        if is_disturbed {
            self.disturb_node(node, now, now);
        }
    }

    /// Records that a node is connected, or is not.
    pub(super) fn offline(&mut self, node: NodeId, is_online: bool, now: u64) {
        if !is_online {
            self.offline_since.insert(node, now);
        } else if let Some(since) = self.offline_since.remove(&node) {
            self.disturb_node(node, since, now);
        }
    }

    pub(super) fn was_calm(&self, one: NodeId, other: NodeId, from: u64, until: u64) -> bool {
        let overlaps = |times: Option<&Vec<(u64, u64)>>| {
            times.is_some_and(|times| times.iter().any(|(b, e)| *b <= until && *e >= from))
        };
        let is_offline = |node| self.offline_since.get(&node).is_some_and(|since| *since <= until);
        let of_node = |node| is_offline(node) || overlaps(self.of_node.get(&node));
        !overlaps(self.disturbed.get(&pair(one, other))) && !of_node(one) && !of_node(other)
    }
}
