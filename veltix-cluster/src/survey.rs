//! [`ClusterSurvey`]: one question to peers of all nodes, and the response of each.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::time::{Sleep, sleep};
use veltix_core::cluster::{NodeId, PeerOutcome, PeerRef};
use veltix_core::limits::{FAR_FUTURE, REQUEST_TIMEOUT};
use veltix_core::{Ask, Frame, Message, Target};
use veltix_tokio::{RequestError, Response, Survey, SurveyStatus};

use crate::cluster::Cluster;
use crate::gathered::Missing;
use crate::node::{Arrived, NodesCall};

/// A question to peers of all nodes. Created by [`ClusterBroadcast::request`](crate::ClusterBroadcast::request).
///
/// It is a stream of the responses as they arrive ([`next`](Self::next)). Awaited as a future, it returns all
/// of them at once, as [`ClusterResponses`]. Each peer responds exactly once. The peers of a node that ends
/// respond with [`Response::Left`]. A node that has not told which peers it has asked is in
/// [`missing`](ClusterResponses::missing).
///
/// Nothing is sent before the first poll.
///
/// # Cancel safety
/// [`next`](Self::next) is cancel safe. Dropping the survey ends it on all nodes.
#[must_use = "a survey is sent when it is polled"]
pub struct ClusterSurvey<Q: Ask + ?Sized = Message> {
    cluster: Cluster,
    here: Survey<Q>,
    here_has_ended: bool,
    elsewhere: Elsewhere,
    timeout: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    replies: usize,
    until: Until,
    missing: Vec<(NodeId, Missing)>,
    given_up: Vec<PeerRef>,
}

/// The part of a survey that concerns other nodes.
enum Elsewhere {
    Unsent { target: Target, except: Vec<PeerRef>, request: Frame },
    Asked(NodesCall),
    Ended,
}

/// The condition under which a survey ends before all peers have responded.
#[derive(Clone, Copy, Debug)]
enum Until {
    All,
    First(usize),
    Quorum(usize),
}

/// The response of a peer to a `Q`.
type ResponseTo<Q> = Response<<Q as Ask>::Reply, <Q as Ask>::Error>;

impl<Q: Ask + ?Sized> ClusterSurvey<Q> {
    pub(crate) fn new(
        cluster: Cluster,
        here: Survey<Q>,
        target: Target,
        except: Vec<PeerRef>,
    ) -> Self {
        let elsewhere = match here.unsent() {
            Some(request) if !target.is_nobody() => {
                Elsewhere::Unsent { target, except, request: request.clone() }
            }
            _ => Elsewhere::Ended,
        };
        Self {
            cluster,
            here,
            here_has_ended: false,
            elsewhere,
            timeout: REQUEST_TIMEOUT,
            deadline: None,
            replies: 0,
            until: Until::All,
            missing: Vec::new(),
            given_up: Vec::new(),
        }
    }

    /// Sets the timeout for the answers, counted from the first poll. Default: 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self.here = self.here.timeout(timeout);
        self
    }

    /// Ends the survey after this number of replies.
    pub fn first(mut self, replies: usize) -> Self {
        self.until = Until::First(replies);
        self
    }

    /// Ends the survey after this number of replies, or as soon as the number cannot be reached any more.
    /// This is known once each node has told which peers it has asked, or is missing.
    pub fn quorum(mut self, replies: usize) -> Self {
        self.until = Until::Quorum(replies);
        self
    }

    /// Returns the number of replies until now.
    #[must_use]
    pub const fn replies(&self) -> usize {
        self.replies
    }

    /// Returns the nodes whose part is missing until now, each with the reason.
    #[must_use]
    pub fn missing(&self) -> &[(NodeId, Missing)] {
        &self.missing
    }

    /// Returns the next response, or `None` if all peers have responded or the survey has ended early.
    ///
    /// # Cancel safety
    /// Cancel safe: no response is lost.
    pub async fn next(&mut self) -> Option<(PeerRef, ResponseTo<Q>)> {
        poll_fn(|cx| self.poll_response(cx)).await
    }

    fn begin(&mut self) {
        let begun = std::mem::replace(&mut self.elsewhere, Elsewhere::Ended);
        let Elsewhere::Unsent { target, except, request } = begun else {
            self.elsewhere = begun;
            return;
        };
        if let Some(node) = self.cluster.joined() {
            let call = node.call_all(&target, &except, &request, self.timeout);
            self.elsewhere = Elsewhere::Asked(call);
            self.deadline = Some(Box::pin(sleep(self.timeout.min(FAR_FUTURE))));
        }
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Option<(PeerRef, ResponseTo<Q>)>> {
        if matches!(self.elsewhere, Elsewhere::Unsent { .. }) && !self.is_over() {
            // The peers of this node are asked first.
            if let Poll::Ready(response) = self.poll_here(cx) {
                self.begin();
                return Poll::Ready(Some(response));
            }
            self.begin();
        }
        loop {
            if self.is_over() {
                self.give_up();
                return Poll::Ready(None);
            }
            if let Poll::Ready(response) = self.poll_here(cx) {
                return Poll::Ready(Some(response));
            }
            if let Poll::Ready(response) = self.poll_elsewhere(cx) {
                return Poll::Ready(Some(response));
            }
            let is_late = self
                .deadline
                .as_mut()
                .is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
            if is_late {
                self.deadline = None;
                if let Elsewhere::Asked(call) = &self.elsewhere {
                    call.time_out();
                }
                continue;
            }
            if self.is_over() {
                continue;
            }
            return Poll::Pending;
        }
    }

    fn poll_here(&mut self, cx: &mut Context<'_>) -> Poll<(PeerRef, ResponseTo<Q>)> {
        if self.here_has_ended {
            return Poll::Pending;
        }
        match Pin::new(&mut self.here).poll_next(cx) {
            Poll::Ready(Some((peer, response))) => {
                let peer = PeerRef { node: self.cluster.node(), peer: peer.id() };
                Poll::Ready((peer, self.count(response)))
            }
            Poll::Ready(None) => {
                self.here_has_ended = true;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_elsewhere(&mut self, cx: &mut Context<'_>) -> Poll<(PeerRef, ResponseTo<Q>)> {
        let Elsewhere::Asked(call) = &self.elsewhere else { return Poll::Pending };
        let polled = call.poll_next(cx);
        self.missing.extend(call.take_missing());
        match polled {
            Poll::Ready(Some((peer, arrived))) => {
                let response = read::<Q>(arrived, self.cluster.hub().max_typed_body());
                Poll::Ready((peer, self.count(response)))
            }
            Poll::Ready(None) => {
                self.elsewhere = Elsewhere::Ended;
                self.deadline = None;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn count(&mut self, response: ResponseTo<Q>) -> ResponseTo<Q> {
        self.replies += usize::from(matches!(response, Response::Reply(_)));
        response
    }

    /// Returns the number of peers that have not responded, or `None` while it is not known.
    fn waiting(&self) -> Option<usize> {
        let here = if self.here_has_ended { 0 } else { self.here.waiting() };
        match &self.elsewhere {
            Elsewhere::Unsent { .. } => None,
            Elsewhere::Asked(call) => Some(here + call.waiting()?),
            Elsewhere::Ended => Some(here),
        }
    }

    fn is_over(&self) -> bool {
        let has_ended = self.here_has_ended && matches!(self.elsewhere, Elsewhere::Ended);
        match self.until {
            _ if has_ended => true,
            Until::All => false,
            Until::First(replies) => self.replies >= replies,
            Until::Quorum(replies) => {
                self.replies >= replies
                    || self.waiting().is_some_and(|waiting| self.replies + waiting < replies)
            }
        }
    }

    /// Ends the survey on all nodes.
    fn give_up(&mut self) {
        if !self.here_has_ended {
            self.here_has_ended = true;
            let node = self.cluster.node();
            let waiting = self.here.roster().filter(|(_, it)| *it == SurveyStatus::Waiting);
            let waiting = waiting.map(|(peer, _)| PeerRef { node, peer: peer.id() });
            self.given_up.extend(waiting);
            self.here.end();
        }
        if let Elsewhere::Asked(call) = std::mem::replace(&mut self.elsewhere, Elsewhere::Ended) {
            self.given_up.extend(call.give_up());
            self.missing.extend(call.take_missing());
        }
    }
}

/// Reads the response of a peer of another node.
fn read<Q: Ask + ?Sized>(arrived: Arrived, limit: usize) -> ResponseTo<Q> {
    match arrived {
        Arrived::Outcome(PeerOutcome::Reply(message)) => match Q::read(message, limit) {
            Ok(reply) => Response::Reply(reply),
            Err(error) => Response::Failed(error.into()),
        },
        Arrived::Outcome(PeerOutcome::TimedOut) => Response::TimedOut,
        Arrived::Outcome(PeerOutcome::Left) | Arrived::NodeGone => Response::Left,
        Arrived::Outcome(PeerOutcome::Full) => Response::Full,
        Arrived::Outcome(PeerOutcome::Congested { limit }) => {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            Response::Failed(RequestError::Congested { limit })
        }
        Arrived::Outcome(PeerOutcome::Failed(reason)) => {
            Response::Failed(RequestError::NotSent { reason })
        }
    }
}

impl<Q: Ask + ?Sized> Stream for ClusterSurvey<Q> {
    type Item = (PeerRef, ResponseTo<Q>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_response(cx)
    }
}

/// No field of the survey is ever pinned.
impl<Q: Ask + ?Sized> Unpin for ClusterSurvey<Q> {}

impl<Q> IntoFuture for ClusterSurvey<Q>
where
    Q: Ask<Reply: Send, Error: Send> + ?Sized + 'static,
{
    type Output = ClusterResponses<Q::Reply, Q::Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut responses = Vec::new();
            while let Some(response) = self.next().await {
                responses.push(response);
            }
            let needed = match self.until {
                Until::All => None,
                Until::First(replies) | Until::Quorum(replies) => Some(replies),
            };
            ClusterResponses {
                responses,
                given_up: std::mem::take(&mut self.given_up),
                missing: std::mem::take(&mut self.missing),
                replies: self.replies,
                needed,
            }
        })
    }
}

impl<Q: Ask + ?Sized> fmt::Debug for ClusterSurvey<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterSurvey")
            .field("replies", &self.replies)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

/// All responses to a [`ClusterSurvey`].
#[derive(Debug)]
#[non_exhaustive]
pub struct ClusterResponses<R = Message, E = Infallible> {
    /// The peers that responded, in the order of their responses.
    pub responses: Vec<(PeerRef, Response<R, E>)>,
    /// The peers that had not responded when the survey ended early.
    pub given_up: Vec<PeerRef>,
    /// The nodes that have not told which peers they have asked, each with the reason.
    pub missing: Vec<(NodeId, Missing)>,
    replies: usize,
    /// `None` if all peers are to reply.
    needed: Option<usize>,
}

impl<R, E> ClusterResponses<R, E> {
    /// Returns whether the number of replies reaches that of [`ClusterSurvey::first`] or
    /// [`ClusterSurvey::quorum`]. Without one of them, returns whether all peers replied and no node is
    /// missing.
    #[must_use]
    pub const fn is_enough(&self) -> bool {
        match self.needed {
            Some(needed) => self.replies >= needed,
            None => self.is_complete() && self.replies == self.responses.len(),
        }
    }

    /// Returns whether each node has told which peers it has asked.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Returns the replies, each with its peer.
    pub fn replies(&self) -> impl Iterator<Item = (PeerRef, &R)> {
        self.responses.iter().filter_map(|(peer, response)| match response {
            Response::Reply(reply) => Some((*peer, reply)),
            _ => None,
        })
    }
}
