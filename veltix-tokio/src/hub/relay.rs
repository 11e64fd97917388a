//! The seam of a cluster: [`Relay`] takes the broadcasts of a server to other nodes, and [`Hub::deliver`]
//! brings those of other nodes to the peers of this one.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::yield_now;
use tokio::time::Instant;
use veltix_core::cluster::{InterestUpdate, NodeId, PeerRef, Recipients, Record};
use veltix_core::limits::CLUSTER_TURN;
use veltix_core::{Frame, Member, PeerId, TagStore, Target, TargetError, ToMessage};

use super::broadcast::encode;
use super::shared_batch::finish_shared_batch;
use super::{Broadcast, Hub};
use crate::close::ClusterShutdown;
use crate::error::SendError;
use crate::flush::{FlushList, FlushScope};
use crate::memory::Holding;
use crate::session::{InterestSignal, Services};

/// The result of passing a broadcast on to the other nodes of a cluster, which has at most 64:
/// `matched = queued + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeDelivery {
    /// Nodes on which the target may match a peer.
    pub matched: u16,
    /// Those of the nodes for which the message waits to be sent. A later loss is told by an event of
    /// the receiving node.
    pub queued: u16,
    /// Those of the nodes that do not receive the message: the broker is away, or the queue is full.
    pub dropped: u16,
}

impl NodeDelivery {
    /// Adds the counts of further nodes.
    #[doc(hidden)]
    pub const fn add(&mut self, other: Self) {
        self.matched += other.matched;
        self.queued += other.queued;
        self.dropped += other.dropped;
    }

    /// Creates the result for this number of nodes, all of which have the message queued, or none.
    #[must_use]
    pub const fn of(nodes: usize, queued: bool) -> Self {
        let nodes = nodes as u16;
        if queued {
            Self { matched: nodes, queued: nodes, dropped: 0 }
        } else {
            Self { matched: nodes, queued: 0, dropped: nodes }
        }
    }
}

/// A broadcast for other nodes.
#[doc(hidden)]
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "the cluster makes it")]
pub struct Outgoing {
    pub record: Record,
    pub to: Recipients,
}

/// A broadcast in the queue of a cluster.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "the cluster makes it")]
pub struct Published {
    pub nodes: NodeDelivery,
    /// True if the queue is more than half full, so that the bytes are charged to the peer whose handler
    /// has sent the broadcast.
    pub waits: bool,
}

/// Bytes that a cluster holds, which count in the memory budget of its server.
#[doc(hidden)]
#[derive(Debug)]
pub struct HeldBytes(Holding);

impl HeldBytes {
    /// Sets the number of bytes if the budget has room for the increase, and returns whether it has.
    #[must_use]
    pub fn try_set(&self, bytes: usize) -> bool {
        self.0.try_set(bytes)
    }

    /// Sets the number of bytes after a decrease.
    pub fn set(&self, bytes: usize) {
        self.0.set(bytes);
    }
}

/// The tags that admitted peers hold.
#[doc(hidden)]
pub struct InterestSource {
    services: Arc<Services>,
    signal: Arc<InterestSignal>,
}

impl InterestSource {
    /// Returns the changes since the last call, or `None` if there are none.
    #[must_use]
    pub fn take(&self) -> Option<InterestUpdate> {
        let take = || self.services.tags().read_watch(TagStore::take_interest);
        self.signal.take().then(take)
    }

    /// Waits until there is a change.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn changed(&self) {
        self.signal.changed().await;
    }
}

impl fmt::Debug for InterestSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterestSource").finish_non_exhaustive()
    }
}

/// The cluster of one server.
#[doc(hidden)]
pub trait Relay: Send + Sync + 'static {
    /// Returns the id of this node.
    fn node(&self) -> NodeId;

    /// Returns a broadcast for the other nodes, or `None` if no other node can have a peer that the target
    /// matches. The class of the frame is without this server's default. The excepted peers are those of
    /// other nodes.
    ///
    /// # Errors
    /// [`TargetError`] if the target, or the list of excepted peers, is too large for other nodes.
    fn encode(
        &self,
        target: &Target,
        except: &[PeerRef],
        frame: &Frame,
    ) -> Result<Option<Outgoing>, TargetError>;

    /// Passes a broadcast on to the nodes that it is for. It never waits.
    fn publish(&self, outgoing: Outgoing) -> Published;

    /// Starts the tasks of the cluster on the current runtime, before the first peer.
    fn start(self: Arc<Self>);

    /// Notes that the server begins to drain: the counts of its report begin here.
    fn begin_drain(&self);

    /// Ends the cluster of this server until the deadline, after the server's last peer has gone.
    fn close(
        self: Arc<Self>,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = ClusterShutdown> + Send>>;

    /// Ends the cluster of this server at once.
    fn abort(&self);

    /// Returns this value for a handle of the cluster.
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A cluster that a server joins.
#[doc(hidden)]
pub trait IntoRelay {
    /// Joins the cluster for the server of this hub, whose declared message types have this digest, or 0.
    /// Nothing runs before [`Relay::start`].
    fn join(self, hub: Hub, types: u64) -> Arc<dyn Relay>;
}

/// A message of another node.
#[doc(hidden)]
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "the caller makes it")]
pub struct Foreign {
    pub target: Target,
    /// Peers of this node that do not receive the message.
    pub except: Vec<PeerId>,
    /// The message with its delivery class.
    pub frame: Frame,
}

impl Hub {
    /// Returns the cluster that the server has joined.
    #[doc(hidden)]
    #[must_use]
    pub fn relay(&self) -> Option<Arc<dyn Relay>> {
        self.0.relay().cloned()
    }

    /// Returns the id of this server as a node of its cluster, or as the only node of one.
    #[doc(hidden)]
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.0.node()
    }

    /// Returns the holder of further bytes in the memory budget of the server.
    #[doc(hidden)]
    #[must_use]
    pub fn held_bytes(&self) -> HeldBytes {
        HeldBytes(Holding::new(Arc::clone(self.0.services().memory())))
    }

    /// Encodes a message within the limits of the server.
    ///
    /// # Errors
    /// [`SendError::Closed`] after the server has ended, and [`SendError::Encode`].
    #[doc(hidden)]
    pub fn frame(&self, message: &(impl ToMessage + ?Sized)) -> Result<Frame, SendError> {
        if self.0.drain().has_ended() {
            return Err(SendError::Closed);
        }
        Ok(Frame::from(encode(&self.0, message)?.with_id(self.0.plain_id())))
    }

    /// Returns the size of the largest body of a typed message, in bytes.
    #[doc(hidden)]
    #[must_use]
    pub fn max_typed_body(&self) -> usize {
        self.0.limits().max_typed_body
    }

    /// Begins to track the tags that admitted peers hold.
    #[doc(hidden)]
    #[must_use]
    pub fn track_interest(&self) -> InterestSource {
        let services = Arc::clone(self.0.services());
        let signal = services.tags().track_interest();
        InterestSource { services, signal }
    }

    /// Returns the peers that a target matches with their tags of these names, up to `limit` of them, and
    /// whether there are more.
    ///
    /// # Errors
    /// [`TargetError`] if the target exceeds a limit.
    #[doc(hidden)]
    pub fn members(
        &self,
        target: &Target,
        names: &[Arc<str>],
        limit: usize,
    ) -> Result<(Vec<Member>, bool), TargetError> {
        self.0.services().tags().read(|tags| tags.members(target, names, limit))
    }

    /// Delivers messages of other nodes, in order. They are flushed together, and other tasks run in
    /// between.
    ///
    /// # Cancel safety
    /// If the future is dropped, the rest of the messages is lost.
    #[doc(hidden)]
    pub async fn deliver(&self, messages: impl IntoIterator<Item = Foreign, IntoIter: Send>) {
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let mut flushes = self.queue(&mut messages);
            loop {
                flushes.flush_some();
                if flushes.is_empty() {
                    break;
                }
                yield_now().await;
            }
            if messages.peek().is_some() {
                yield_now().await;
            }
        }
    }

    /// Queues messages for as long as a task may run.
    fn queue(&self, messages: &mut impl Iterator<Item = Foreign>) -> FlushList {
        let (scope, begun) = (FlushScope::enter_without_own(), Instant::now());
        for Foreign { target, except, frame } in messages {
            let frame = frame.with_id(self.0.plain_id());
            let here = Broadcast { endpoint: Arc::clone(&self.0), target, except };
            // A target that one node accepts is within the limits of every node.
            let _ = here.send_here(frame);
            if begun.elapsed() >= CLUSTER_TURN {
                break;
            }
        }
        finish_shared_batch(&scope);
        scope.leave(Instant::now())
    }
}
