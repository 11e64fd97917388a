//! [`ClusterEvent`] and [`ClusterEventStream`]: what happens between the nodes.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use veltix_core::cluster::{LeaveReason, NodeId};
use veltix_core::limits::CLUSTER_EVENTS;

/// An event between the nodes of a cluster. `Gap`, `Stale`, `Dropped`, `DuplicateName`, `Incompatible` and
/// `TooManyNodes` are summed, and told at most once a second for each node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterEvent {
    /// A node is a member from now on.
    NodeJoined {
        /// The node.
        node: NodeId,
        /// Its name.
        name: Arc<str>,
    },
    /// A node is no member any more.
    NodeLeft {
        /// The node.
        node: NodeId,
        /// The reason.
        reason: LeaveReason,
    },
    /// The broker is away. The node serves its own peers.
    Degraded {
        /// The reason, for people.
        reason: Arc<str>,
    },
    /// The broker is back. It is also the event of the first connection of a node.
    Recovered {
        /// The time for which it was away, or the time since the start of the node.
        after: Duration,
    },
    /// Records of a node are missing: they were lost, or that node has refused them.
    Gap {
        /// The node that has sent them.
        node: NodeId,
        /// Their number.
        missed: u64,
    },
    /// Messages of a node were older than the time to live, and were dropped: a broker that was stopped has
    /// delivered them late.
    Stale {
        /// The node that has sent them.
        node: NodeId,
        /// Their number.
        dropped: u64,
    },
    /// Records of this node for others were dropped, or refused.
    Dropped {
        /// The reason.
        reason: DropReason,
        /// Their number.
        count: u64,
    },
    /// Two live nodes have one name.
    DuplicateName {
        /// The older node, or the other one if this node has the name.
        node: NodeId,
        /// The newer one, or this node.
        other: NodeId,
    },
    /// A node reads no version of the format that this node reads, and is no member.
    Incompatible {
        /// The node.
        node: NodeId,
        /// The versions that it reads.
        wire: RangeInclusive<u8>,
    },
    /// The cluster has as many members as it can have, and the node is none.
    TooManyNodes {
        /// The node.
        node: NodeId,
    },
    /// The reader was too slow, and has missed events.
    Lagged {
        /// Their number.
        missed: u64,
    },
}

/// The reason for which records for other nodes are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The broker was away for longer than the time to live of a message.
    Offline,
    /// The queue was full.
    Full,
    /// The record has waited for longer than its time to live.
    Expired,
    /// The record is larger than the broker takes.
    TooLarge,
    /// The memory budget of the server had no room.
    Memory,
}

/// The events of a cluster, from the moment at which the stream was made. It keeps up to 1 024 of them.
pub struct ClusterEventStream(broadcast::Receiver<ClusterEvent>);

impl ClusterEventStream {
    /// Waits for the next event. Returns `None` once the node has ended, and at once on a server without a
    /// cluster.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<ClusterEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(ClusterEvent::Lagged { missed }),
            Err(RecvError::Closed) => None,
        }
    }
}

impl fmt::Debug for ClusterEventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterEventStream").finish_non_exhaustive()
    }
}

/// The sender of the events, until the end of the node. The node itself may live on: a hub keeps it.
pub(crate) struct ClusterEvents(Mutex<Option<broadcast::Sender<ClusterEvent>>>);

impl ClusterEvents {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Some(broadcast::Sender::new(CLUSTER_EVENTS))))
    }

    pub(crate) fn emit(&self, event: ClusterEvent) {
        if let Some(sender) = &*self.lock() {
            // Nobody may read them.
            let _ = sender.send(event);
        }
    }

    /// Ends the streams behind the events so far.
    pub(crate) fn end(&self) {
        let sender = self.lock().take();
        drop(sender);
    }

    pub(crate) fn subscribe(&self) -> ClusterEventStream {
        let subscribed = self.lock().as_ref().map(broadcast::Sender::subscribe);
        // The sender of the other one is dropped here, so that the stream has ended.
        ClusterEventStream(subscribed.unwrap_or_else(|| broadcast::Sender::new(1).subscribe()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<broadcast::Sender<ClusterEvent>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
