//! [`ClusterStats`]: the counters of a node.

use std::time::Duration;

use veltix_core::cluster::NodeId;

use super::receiving::Streams;

/// The counters of a node, from its start on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterStats {
    /// The records for all other nodes.
    pub to_all: SentRecords,
    /// The other nodes: the members, and some that have left.
    pub nodes: Vec<NodeStats>,
    /// The bytes of the records that wait for the broker.
    pub queued_bytes: usize,
    /// The bytes of the records that wait for this node's peers.
    pub waiting_bytes: usize,
    /// The batches and records that could not be read, those of nodes with another version among them.
    pub unreadable: u64,
    /// The records of kinds that this release does not know.
    pub unknown: u64,
}

/// The counters of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// The node.
    pub node: NodeId,
    /// The records for this node alone.
    pub sent: SentRecords,
    /// The records of the node for all nodes.
    pub from_all: ReceivedRecords,
    /// The records of the node for this one alone.
    pub direct: ReceivedRecords,
    /// The messages of the node that were older than their time to live, and were dropped.
    pub stale: u64,
    /// The age of the last batch, beside the fastest one of the last minute.
    pub lag: Duration,
}

impl NodeStats {
    pub(super) fn of((node, streams): (NodeId, &Streams)) -> Self {
        let (from_all, direct) = streams.counts();
        let (stale, lag) = (streams.stale, streams.lag);
        Self { node, sent: SentRecords::default(), from_all, direct, stale, lag }
    }

    /// Returns the counters of a node of which nothing was received.
    pub(super) fn of_sent(node: NodeId, sent: SentRecords) -> Self {
        let (from_all, direct) = (ReceivedRecords::default(), ReceivedRecords::default());
        Self { node, sent, from_all, direct, stale: 0, lag: Duration::ZERO }
    }
}

/// The records of one stream of this node to others:
/// `offered = published + offline + full + expired + too_large + memory + queued`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentRecords {
    /// All records.
    pub offered: u64,
    /// The records that were passed to the broker.
    pub published: u64,
    /// Those of the published for which the broker has told that nobody listens.
    pub undelivered: u64,
    /// The records that wait.
    pub queued: u64,
    /// Refused or dropped, since the broker was away for longer than the time to live.
    pub offline: u64,
    /// Refused, since the queue was full.
    pub full: u64,
    /// Dropped after they had waited for longer than their time to live.
    pub expired: u64,
    /// Dropped, since they are larger than the broker takes.
    pub too_large: u64,
    /// Refused, since the memory budget of the server had no room.
    pub memory: u64,
}

impl SentRecords {
    /// Adds the counts of another stream.
    pub(super) const fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.published += other.published;
        self.undelivered += other.undelivered;
        self.queued += other.queued;
        self.offline += other.offline;
        self.full += other.full;
        self.expired += other.expired;
        self.too_large += other.too_large;
        self.memory += other.memory;
    }

    /// Returns the number of records that were refused or dropped.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.offline + self.full + self.expired + self.too_large + self.memory
    }
}

/// The records of one stream of another node: `offered = received + missed`, from the first one on that
/// this node has received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedRecords {
    /// The records that were received.
    pub received: u64,
    /// The records that are missing: they were lost, their node has refused them, or this one had no room.
    pub missed: u64,
}
