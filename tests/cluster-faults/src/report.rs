//! [`Line`]: what a node tells a test. All times are of the clock of [`now`](crate::now).

use serde::{Deserialize, Serialize};

/// A line of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Line {
    /// The node listens.
    Started {
        /// The address for clients.
        addr: String,
        /// The id of the node.
        node: String,
    },
    /// The node does not start.
    Failed {
        /// The reason.
        reason: String,
    },
    /// The answer to the order with this number.
    Answer(u64, serde_json::Value),
    /// An event of the cluster.
    News {
        /// The time.
        at: u64,
        /// The event.
        news: News,
    },
    /// A change of what is watched.
    Watched {
        /// The time.
        at: u64,
        /// The change.
        change: Watched,
    },
    /// The node has ended in order.
    Ended(Ended),
}

/// An event of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the fields of `ClusterEvent`")]
pub enum News {
    Joined { node: String, name: String },
    Left { node: String, reason: String },
    Degraded { reason: String },
    Recovered { after: u64 },
    Gap { node: String, missed: u64 },
    Stale { node: String, dropped: u64 },
    Dropped { reason: String, count: u64 },
    Incompatible { node: String },
    Other(String),
}

/// A change of a watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Watched {
    /// These are all.
    Reset(Vec<String>),
    /// This one has come.
    Entered(String),
    /// This one has gone.
    Left(String),
}

/// The counters of one stream of another node.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[allow(
    missing_docs,
    reason = "they are the fields of `ReceivedRecords`, `SentRecords` and `NodeStats`"
)]
pub struct PeerCounts {
    pub received: u64,
    pub missed: u64,
    pub direct_received: u64,
    pub direct_missed: u64,
    pub stale: u64,
    pub direct: Sent,
}

/// The counters of one stream to others, or those of the messages of an order.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the fields of `SentRecords` and `Delivery`")]
pub struct Sent {
    pub offered: u64,
    pub published: u64,
    pub queued: u64,
    pub dropped: u64,
    pub local_matched: u64,
    pub local_queued: u64,
    pub nodes_matched: u64,
    pub nodes_dropped: u64,
    /// The messages of an order that the queue for other nodes has refused.
    pub refused: u64,
}

/// The state of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// The other nodes: their ids and their names.
    pub others: Vec<(String, String)>,
    /// The reason for which the node has no broker, if it has none.
    pub degraded: Option<String>,
    /// The number of its own peers.
    pub peers: usize,
    /// The counters of the stream to all.
    pub to_all: Sent,
    /// The counters of each other node, by its id.
    pub nodes: Vec<(String, PeerCounts)>,
    /// The bytes that wait for the broker.
    pub queued_bytes: usize,
    /// The batches and records that could not be read.
    pub unreadable: u64,
    /// The bytes of memory of the process.
    pub memory: usize,
}

/// The report of a load.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoadReport {
    /// The sums over all messages.
    pub sent: Sent,
    /// The messages for all peers.
    pub broadcasts: u64,
    /// The number of the first message, and that behind the last one.
    pub numbers: (u64, u64),
    /// The time of a call below which 99 % of the calls are, in microseconds: of each second, and of them the
    /// median. A busy machine makes single seconds slow.
    pub call_p99: u64,
    /// The same of all calls.
    pub call_p99_in_all: u64,
}

/// A count of peers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counted {
    /// The number of peers.
    pub peers: usize,
    /// The nodes without an answer, and the reason of each.
    pub missing: Vec<(String, String)>,
    /// The time of the call, in microseconds.
    pub took: u64,
}

/// A call of one peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// `reply`, or the name of the error.
    pub outcome: String,
    /// The time of the call, in microseconds.
    pub took: u64,
}

/// A survey.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Surveyed {
    /// The peers, the name of the response of each, and its time.
    pub responses: Vec<(String, String, u64)>,
    /// The nodes without a roster, and the reason of each.
    pub missing: Vec<(String, String)>,
    /// The time of the call, in microseconds.
    pub took: u64,
}

/// The end of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the fields of `ClusterShutdown`")]
pub struct Ended {
    /// The time at which the drain had ended.
    pub at: u64,
    pub queued: u64,
    pub accepted: u64,
    pub flushed: u64,
    pub dropped: u64,
}
