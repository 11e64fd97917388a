//! [`Members`]: the other nodes of a cluster, by what was heard of them, as a function of the current time.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ids::NodeId;
use super::status::{NodeStatus, cut};
use crate::limits::{
    CLUSTER_GONE, CLUSTER_LEASE, CLUSTER_MEMBERS, CLUSTER_NAME_LEN, CLUSTER_PROBE,
    CLUSTER_PROBE_EVERY, CLUSTER_WIRE,
};

/// The other nodes of a cluster.
///
/// A node is a member from its first hello or heartbeat until its farewell, or until it has been silent for
/// too long. The broker's answer that nobody listens is a hint and no proof, since it also comes while a
/// live node connects again: it counts only behind a silence that is longer than a reconnect.
#[derive(Debug)]
pub struct Members {
    me: NodeId,
    /// The name of this node, as the others read it.
    name: Arc<str>,
    timing: Timing,
    nodes: BTreeMap<NodeId, Node>,
}

/// The times after which a silent node is looked for, and given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the owner of the state sets all of them")]
pub struct Timing {
    /// The silence after which a node is probed.
    pub probe: Duration,
    /// The time between two probes of a silent node.
    pub probe_every: Duration,
    /// The silence after which a node leaves if nobody listens at its address.
    pub gone: Duration,
    /// The silence after which a node leaves.
    pub lease: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            probe: CLUSTER_PROBE,
            probe_every: CLUSTER_PROBE_EVERY,
            gone: CLUSTER_GONE,
            lease: CLUSTER_LEASE,
        }
    }
}

/// A member.
#[derive(Debug)]
struct Node {
    status: NodeStatus,
    heard: Instant,
    next_probe: Instant,
    /// True if nobody listened at the last probe.
    is_unreachable: bool,
    /// A newer node with the same name, or this node if the name is its own, while it is open whether both live.
    replaced_by: Option<NodeId>,
}

/// The reason for which a node has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaveReason {
    /// The node has ended in order.
    Bye,
    /// The node was silent, and nobody listens at its address.
    NoSubscriber,
    /// The node was silent for the whole lease.
    Silent,
    /// A node with the same name has started, and nobody listens at the old one's address.
    Replaced,
}

/// A change of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberEvent {
    /// A node is a member from now on.
    Joined(NodeId),
    /// A node is no member any more.
    Left(NodeId, LeaveReason),
    /// Two live nodes have one name: the older one and the newer one, or another node and this one.
    DuplicateName(NodeId, NodeId),
    /// A node reads no version of the format that this node reads, and is no member.
    Incompatible(NodeId, RangeInclusive<u8>),
    /// The cluster has as many members as it can have, and the node is none.
    TooMany(NodeId),
}

/// The work that is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the owner of the state does all of it")]
pub struct MembersDue {
    /// The nodes to send a record to, so that the broker tells whether they listen.
    pub probes: Vec<NodeId>,
    /// The changes.
    pub events: Vec<MemberEvent>,
}

impl Members {
    /// Creates the state of the node `me` of this name, which knows no other node.
    #[must_use]
    pub fn new(me: NodeId, name: &str, timing: Timing) -> Self {
        Self { me, name: cut(name, CLUSTER_NAME_LEN).into(), timing, nodes: BTreeMap::new() }
    }

    /// Returns the members and their states, in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (NodeId, &NodeStatus)> {
        self.nodes.iter().map(|(id, node)| (*id, &node.status))
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns whether there is no other node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns the state of a member.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&NodeStatus> {
        self.nodes.get(&node).map(|node| &node.status)
    }

    /// Records a batch of any content.
    pub fn hear(&mut self, node: NodeId, now: Instant) -> Option<MemberEvent> {
        let known = self.nodes.get_mut(&node)?;
        known.heard = now;
        known.next_probe = now + self.timing.probe;
        known.is_unreachable = false;
        let newer = known.replaced_by.take()?;
        Some(MemberEvent::DuplicateName(node, newer))
    }

    /// Records a hello or a heartbeat. A node whose name another member has is new or a duplicate: the
    /// other one is probed at the next [`due`](Self::due).
    pub fn learn(&mut self, node: NodeId, status: NodeStatus, now: Instant) -> Vec<MemberEvent> {
        if node == self.me {
            return Vec::new();
        }
        if status.common_wire(&CLUSTER_WIRE).is_none() {
            let mut events = vec![MemberEvent::Incompatible(node, status.wire)];
            events.extend(self.remove(node, LeaveReason::Bye));
            return events;
        }
        let duplicate = self.hear(node, now);
        if let Some(known) = self.nodes.get_mut(&node) {
            known.status = status;
            return duplicate.into_iter().collect();
        }
        // This node is a member, too.
        if self.nodes.len() + 1 >= CLUSTER_MEMBERS {
            return vec![MemberEvent::TooMany(node)];
        }
        for known in self.nodes.values_mut().filter(|known| known.status.name == status.name) {
            known.replaced_by = Some(node);
            known.next_probe = now;
        }
        let next_probe = now + self.timing.probe;
        // The former self of this node may have left a batch behind. Only a live node is heard again.
        let replaced_by = (status.name == self.name).then_some(self.me);
        let (heard, is_unreachable) = (now, false);
        self.nodes.insert(node, Node { status, heard, next_probe, is_unreachable, replaced_by });
        vec![MemberEvent::Joined(node)]
    }

    /// Records the farewell of a node.
    pub fn bye(&mut self, node: NodeId) -> Option<MemberEvent> {
        self.remove(node, LeaveReason::Bye)
    }

    /// Records that nobody listens at the address of a node.
    pub fn unreachable(&mut self, node: NodeId, now: Instant) -> Option<MemberEvent> {
        let known = self.nodes.get_mut(&node)?;
        known.is_unreachable = true;
        // Of two nodes with the name of this one, it is not known which is newer.
        if known.replaced_by.is_some_and(|newer| newer != self.me) {
            return self.remove(node, LeaveReason::Replaced);
        }
        let is_gone = now.duration_since(known.heard) >= self.timing.gone;
        if is_gone { self.remove(node, LeaveReason::NoSubscriber) } else { None }
    }

    /// Counts all silence anew, after this node has connected to the broker again.
    pub fn reconnected(&mut self, now: Instant) {
        for node in self.nodes.values_mut() {
            node.heard = now;
            node.next_probe = now + self.timing.probe;
            node.is_unreachable = false;
        }
    }

    /// Returns the work that is due.
    pub fn due(&mut self, now: Instant) -> MembersDue {
        let mut due = MembersDue::default();
        let mut left = Vec::new();
        for (id, node) in &mut self.nodes {
            let silence = now.saturating_duration_since(node.heard);
            if silence >= self.timing.lease {
                left.push((*id, LeaveReason::Silent));
            } else if silence >= self.timing.gone && node.is_unreachable {
                left.push((*id, LeaveReason::NoSubscriber));
            } else if now >= node.next_probe {
                node.next_probe = now + self.timing.probe_every;
                due.probes.push(*id);
            }
        }
        due.events = left.into_iter().filter_map(|(id, reason)| self.remove(id, reason)).collect();
        due
    }

    /// Returns the time at which [`due`](Self::due) has work next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let of_node = |node: &Node| node.next_probe.min(node.heard + self.timing.lease);
        self.nodes.values().map(of_node).min()
    }

    fn remove(&mut self, node: NodeId, reason: LeaveReason) -> Option<MemberEvent> {
        self.nodes.remove(&node).map(|_| MemberEvent::Left(node, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(value: u64) -> NodeId {
        NodeId::new(value).expect("it is not zero")
    }

    fn status(name: &str) -> NodeStatus {
        NodeStatus {
            name: name.into(),
            wire: CLUSTER_WIRE,
            capabilities: 0,
            types: 0,
            peers: 0,
            interest: 0,
            all: 0,
            direct: Vec::new(),
        }
    }

    fn members() -> (Members, Instant) {
        (Members::new(node(1), "me", Timing::default()), Instant::now())
    }

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_silent_node_is_probed_and_given_up_at_the_lease() {
        let (mut members, start) = members();
        assert_eq!(members.learn(node(2), status("a"), start), [MemberEvent::Joined(node(2))]);
        assert!(members.learn(node(2), status("a"), start).is_empty());
        assert_eq!(members.due(start + millis(1_999)), MembersDue::default());
        let mut probes = 0;
        let mut now = start;
        let left = loop {
            now = members.deadline().expect("the node is a member").max(now);
            let due = members.due(now);
            probes += due.probes.len();
            if let Some(event) = due.events.first() {
                break event.clone();
            }
        };
        assert_eq!(left, MemberEvent::Left(node(2), LeaveReason::Silent));
        assert_eq!((now - start, probes, members.len()), (CLUSTER_LEASE, 16, 0));
    }

    #[test]
    fn without_a_subscriber_a_node_is_given_up_behind_four_seconds_of_silence() {
        let (mut members, start) = members();
        members.learn(node(2), status("a"), start);
        assert_eq!(members.unreachable(node(2), start + millis(100)), None, "it may connect again");
        members.hear(node(2), start + millis(200));
        assert_eq!(members.unreachable(node(2), start + millis(2_200)), None);
        assert!(members.due(start + millis(4_199)).events.is_empty());
        let left = MemberEvent::Left(node(2), LeaveReason::NoSubscriber);
        assert_eq!(
            members.due(start + millis(4_200)).events.as_slice(),
            std::slice::from_ref(&left)
        );
        members.learn(node(2), status("a"), start);
        assert_eq!(members.unreachable(node(2), start + millis(4_000)), Some(left));
    }

    #[test]
    fn a_reconnect_of_this_node_counts_silence_anew() {
        let (mut members, start) = members();
        members.learn(node(2), status("a"), start);
        assert_eq!(members.unreachable(node(2), start + millis(3_000)), None);
        members.reconnected(start + millis(3_900));
        assert!(members.due(start + millis(7_800)).events.is_empty());
        assert_eq!(members.due(start + millis(13_900)).events.len(), 1);
    }

    #[test]
    fn a_node_that_starts_again_replaces_its_former_self() {
        let (mut members, start) = members();
        members.learn(node(2), status("a"), start);
        members.learn(node(3), status("b"), start);
        let now = start + millis(100);
        assert_eq!(members.learn(node(4), status("a"), now), [MemberEvent::Joined(node(4))]);
        assert_eq!(members.due(now).probes, [node(2)]);
        let replaced = MemberEvent::Left(node(2), LeaveReason::Replaced);
        assert_eq!(members.unreachable(node(2), now + millis(1)), Some(replaced));
        assert_eq!(members.len(), 2);
        // A live node with the same name is reported, once.
        members.learn(node(5), status("b"), now);
        let duplicate = MemberEvent::DuplicateName(node(3), node(5));
        assert_eq!(members.hear(node(3), now + millis(2)), Some(duplicate));
        assert_eq!(members.hear(node(3), now + millis(3)), None);
    }

    #[test]
    fn a_node_with_the_name_of_this_one_is_reported_once() {
        let long = "n".repeat(CLUSTER_NAME_LEN + 1);
        let mut members = Members::new(node(1), &long, Timing::default());
        let start = Instant::now();
        let told = status(&long[1..]);
        assert_eq!(members.learn(node(2), told.clone(), start), [MemberEvent::Joined(node(2))]);
        assert_eq!(members.unreachable(node(2), start), None, "it may connect at this moment");
        let duplicate = MemberEvent::DuplicateName(node(2), node(1));
        assert_eq!(members.learn(node(2), told.clone(), start + millis(1)), [duplicate]);
        assert!(members.learn(node(2), told, start + millis(2)).is_empty());
    }

    #[test]
    fn foreign_versions_and_too_many_nodes_are_no_members() {
        let (mut members, start) = members();
        let newer = NodeStatus { wire: 7..=9, ..status("new") };
        assert_eq!(
            members.learn(node(2), newer, start),
            [MemberEvent::Incompatible(node(2), 7..=9)]
        );
        assert!(members.learn(node(1), status("me"), start).is_empty(), "this node is no other");
        for number in 2..=CLUSTER_MEMBERS as u64 {
            members.learn(node(number), status(&number.to_string()), start);
        }
        assert_eq!(members.len() + 1, CLUSTER_MEMBERS);
        let extra = node(1_000);
        assert_eq!(members.learn(extra, status("x"), start), [MemberEvent::TooMany(extra)]);
        assert_eq!(members.bye(node(2)), Some(MemberEvent::Left(node(2), LeaveReason::Bye)));
        assert_eq!(members.learn(extra, status("x"), start), [MemberEvent::Joined(extra)]);
    }
}
