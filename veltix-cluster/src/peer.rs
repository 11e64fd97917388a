//! [`ClusterPeer`]: a peer of any node.

use std::future::{Future, IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;
use veltix_core::cluster::{AnswerContent, Change, PeerOutcome, PeerRef, Question};
use veltix_core::limits::{CLUSTER_ASK_TIMEOUT, REQUEST_TIMEOUT};
use veltix_core::{Ask, Frame, Message, ToMessage, peers};
use veltix_tokio::{NodeDelivery, RequestError, SendError};

use crate::cluster::Cluster;
use crate::error::NodeError;
use crate::gathered::Missing;
use crate::node::Arrived;

/// A handle of a peer of any node. A clone is cheap, and keeps nothing alive. A peer of this node is reached
/// without the broker.
#[derive(Clone, Debug)]
pub struct ClusterPeer {
    cluster: Cluster,
    peer: PeerRef,
}

impl Cluster {
    /// Returns a handle of a peer of any node, connected or not.
    #[must_use]
    pub fn peer(&self, peer: PeerRef) -> ClusterPeer {
        ClusterPeer { cluster: self.clone(), peer }
    }
}

impl ClusterPeer {
    /// Returns the name of the peer in the cluster.
    #[must_use]
    pub const fn name(&self) -> PeerRef {
        self.peer
    }

    /// Sends a message. It never waits. The result counts the node of the peer: it is queued, dropped, or not
    /// known (`matched` is 0). On that node the overflow policy of the message applies, as for a broadcast.
    ///
    /// # Errors
    /// [`SendError::Closed`] after this server has ended, and [`SendError::Encode`].
    pub fn send(&self, message: &(impl ToMessage + ?Sized)) -> Result<NodeDelivery, SendError> {
        let PeerRef { node, peer } = self.peer;
        let target = peers([peer]);
        if node == self.cluster.node() {
            let delivery = self.cluster.hub().to(target).local().send(message)?;
            return Ok(NodeDelivery::of(delivery.matched, delivery.queued > 0));
        }
        let frame = self.frame(message)?;
        let Some(joined) = self.cluster.joined() else { return Ok(NodeDelivery::default()) };
        Ok(joined.send_to(node, &target, &frame))
    }

    fn frame(&self, message: &(impl ToMessage + ?Sized)) -> Result<Frame, SendError> {
        self.cluster.hub().frame(message)
    }

    /// Calls the peer: sends a message and waits for its answer. Default of the timeout: 5 s.
    pub fn request<Q: Ask + ?Sized>(&self, message: &Q) -> ClusterRequest<Q> {
        let frame = self.frame(message);
        ClusterRequest {
            peer: self.clone(),
            frame,
            timeout: REQUEST_TIMEOUT,
            question: PhantomData,
        }
    }

    /// Closes the connection of the peer, and returns whether it was connected. It takes effect behind the
    /// messages that this node has sent to the peer before.
    ///
    /// # Errors
    /// [`NodeError`] if the node of the peer does not answer within 2 s.
    pub async fn close(&self, reason: &str) -> Result<bool, NodeError> {
        let PeerRef { node, peer } = self.peer;
        let target = peers([peer]);
        if node == self.cluster.node() {
            return Ok(self.cluster.hub().close(target, reason).is_ok_and(|closed| closed > 0));
        }
        let question = Question::Change { target, change: Change::Close(reason.into()) };
        match self.cluster.ask_node(node, question, CLUSTER_ASK_TIMEOUT).await? {
            AnswerContent::Count(closed) => Ok(closed > 0),
            _ => Err(NodeError::Unsupported { node }),
        }
    }
}

/// A call of one peer of any node. Created by [`ClusterPeer::request`].
///
/// # Errors
/// [`RequestError`]. The call ends once: with the answer, with [`RequestError::Timeout`],
/// [`RequestError::ConnectionLost`] or [`RequestError::Closed`] as on one node, with
/// [`RequestError::NodeGone`] if the node of the peer has ended or is not connected to the broker, or with
/// [`RequestError::Offline`] if the broker is away.
///
/// # Cancel safety
/// Dropping the future cancels the call. It is then unknown whether the peer has handled the message.
#[derive(Debug)]
#[must_use = "a request is sent when it is awaited"]
pub struct ClusterRequest<Q: ?Sized = Message> {
    peer: ClusterPeer,
    frame: Result<Frame, SendError>,
    timeout: Duration,
    question: PhantomData<fn(&Q)>,
}

impl<Q: ?Sized> ClusterRequest<Q> {
    /// Sets the timeout for the answer, counted from the first poll. Default: 5 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl<Q> IntoFuture for ClusterRequest<Q>
where
    Q: Ask<Reply: Send, Error: Send> + ?Sized,
{
    type Output = Result<Q::Reply, RequestError<Q::Error>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let limit = self.peer.cluster.hub().max_typed_body();
        let answer = answer(self.peer, self.frame, self.timeout);
        Box::pin(async move {
            let answer = answer.await.map_err(|error| error.map_remote(|never| match never {}))?;
            Q::read(answer, limit).map_err(RequestError::from)
        })
    }
}

async fn answer(
    ClusterPeer { cluster, peer }: ClusterPeer,
    frame: Result<Frame, SendError>,
    limit: Duration,
) -> Result<Message, RequestError> {
    let frame = frame.map_err(|error| match error {
        SendError::Encode(error) => RequestError::Encode(error),
        _ => RequestError::Closed,
    })?;
    if peer.node == cluster.node() {
        let peer = cluster.hub().get(peer.peer).ok_or(RequestError::Closed)?;
        let message = Message::from_parts(frame.code(), frame.id(), frame.body().clone());
        return peer.request(&message).timeout(limit).await;
    }
    let joined = cluster.joined().ok_or(RequestError::NodeGone)?;
    let call = joined.call([peer.node], &peers([peer.peer]), &[], &frame, limit);
    drop(joined);
    let Ok(arrived) = timeout(limit, poll_fn(|cx| call.poll_next(cx))).await else {
        return Err(RequestError::Timeout { after: limit });
    };
    let outcome = match arrived {
        Some((_, Arrived::Outcome(outcome))) => outcome,
        Some((_, Arrived::NodeGone)) => return Err(RequestError::NodeGone),
        // The node has asked nobody.
        None => {
            return Err(match call.take_missing().pop() {
                Some((_, Missing::Gone)) => RequestError::NodeGone,
                Some((_, Missing::Offline)) => RequestError::Offline,
                Some((_, Missing::TimedOut)) => RequestError::Timeout { after: limit },
                Some((_, Missing::Refused(reason))) => RequestError::NotSent { reason },
                Some(_) => RequestError::NotSent { reason: "its release knows no calls".into() },
                None => RequestError::Closed,
            });
        }
    };
    match outcome {
        PeerOutcome::Reply(message) => Ok(message),
        PeerOutcome::TimedOut => Err(RequestError::Timeout { after: limit }),
        PeerOutcome::Left => Err(RequestError::ConnectionLost),
        PeerOutcome::Full => {
            Err(RequestError::NotSent { reason: "the outbox of the peer is full".into() })
        }
        PeerOutcome::Congested { limit } => {
            Err(RequestError::Congested { limit: usize::try_from(limit).unwrap_or(usize::MAX) })
        }
        PeerOutcome::Failed(reason) => Err(RequestError::NotSent { reason }),
    }
}
