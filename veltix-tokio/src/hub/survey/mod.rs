//! [`Survey`]: one question to many peers, and the status of each peer.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::sync::mpsc;
use tokio::time::Sleep;
use veltix_core::limits::{FAR_FUTURE, HEADER_LEN, REQUEST_TIMEOUT};
use veltix_core::{Ask, Frame, Message};

use super::Endpoint;
use super::Event;
use crate::error::RequestError;
use crate::flush;
use crate::memory::share;
use crate::outbox::Push;
use crate::peer::Peer;
use crate::session::{Begun, CallFailed, CallId, ReplySink, SurveyAnswer, SurveyAnswers};

/// A question to many peers. Created by [`Broadcast::request`](crate::Broadcast::request).
///
/// A survey is a stream of the responses as they arrive ([`Survey::next`]), with a
/// [roster](Survey::roster) of the status of each peer. Awaited as a future, it returns all
/// responses at once, as [`Responses`]. Each peer responds exactly once.
///
/// Nothing is sent before the first poll. The first poll sends the question to all peers at once,
/// without waiting. A peer whose outbox is full responds with [`Response::Full`].
///
/// # Cancel safety
/// [`Survey::next`] is cancel safe. Dropping the survey cancels the calls without an answer: late
/// answers are counted and discarded.
#[must_use = "a survey is sent when it is polled"]
pub struct Survey<Q: Ask + ?Sized = Message> {
    endpoint: Arc<Endpoint>,
    /// The frame of the question, until it is sent.
    unsent: Option<Frame>,
    asked: Vec<Asked>,
    /// The code of the question.
    code: u16,
    /// Responses of peers to which the question could not be sent. They are returned first.
    ready: VecDeque<(usize, ResponseTo<Q>)>,
    /// Each peer sends at most one answer, and the sender bounds their bytes.
    answers: mpsc::UnboundedReceiver<SurveyAnswer>,
    sender: Arc<SurveyAnswers>,
    timeout: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    waiting: usize,
    replies: usize,
    until: Until,
    question: PhantomData<fn(&Q)>,
}

/// The call to one peer and its status.
#[derive(Debug)]
struct Asked {
    peer: Peer,
    call: Option<CallId>,
    status: SurveyStatus,
}

/// The condition under which a survey ends before all peers have responded.
#[derive(Clone, Copy, Debug)]
enum Until {
    All,
    First(usize),
    Quorum(usize),
}

/// The status of one peer of a [`Survey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SurveyStatus {
    /// The peer has not responded yet.
    Waiting,
    /// The peer replied.
    Replied,
    /// The timeout passed without a response.
    TimedOut,
    /// The connection ended before the reply.
    Left,
    /// The outbox had no room for the question.
    Full,
    /// The peer answered with an error, or its answer could not be read.
    Failed,
    /// The survey ended early, without the peer's response.
    GivenUp,
}

/// The response of one peer of a [`Survey`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Response<R = Message, E = std::convert::Infallible> {
    /// The peer replied.
    Reply(R),
    /// The timeout passed without a response.
    TimedOut,
    /// The connection ended before the reply.
    Left,
    /// The outbox had no room for the question.
    Full,
    /// The peer answered with the error that the message declares, or its answer is not the reply.
    Failed(RequestError<E>),
}

/// The response of a peer to a `Q`.
type ResponseTo<Q> = Response<<Q as Ask>::Reply, <Q as Ask>::Error>;

impl<R, E> Response<R, E> {
    const fn status(&self) -> SurveyStatus {
        match self {
            Self::Reply(_) => SurveyStatus::Replied,
            Self::TimedOut => SurveyStatus::TimedOut,
            Self::Left => SurveyStatus::Left,
            Self::Full => SurveyStatus::Full,
            Self::Failed(_) => SurveyStatus::Failed,
        }
    }
}

impl<Q: Ask + ?Sized> Survey<Q> {
    pub(crate) fn new(
        endpoint: Arc<Endpoint>,
        frame: Frame,
        peers: impl IntoIterator<Item = Peer>,
    ) -> Self {
        let (sender, answers) = SurveyAnswers::new();
        let entry = |peer| Asked { peer, call: None, status: SurveyStatus::Waiting };
        let asked: Vec<_> = peers.into_iter().map(entry).collect();
        Self {
            endpoint,
            code: frame.code(),
            unsent: Some(frame),
            waiting: asked.len(),
            asked,
            ready: VecDeque::new(),
            answers,
            sender,
            timeout: REQUEST_TIMEOUT,
            deadline: None,
            replies: 0,
            until: Until::All,
            question: PhantomData,
        }
    }

    /// Sets the timeout for the answers, counted from the first poll. Default: 5 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Ends the survey after this number of replies.
    pub const fn first(mut self, replies: usize) -> Self {
        self.until = Until::First(replies);
        self
    }

    /// Ends the survey after this number of replies, or as soon as the number cannot be reached any
    /// more. If the target matches fewer peers than this number, no peer is asked.
    pub const fn quorum(mut self, replies: usize) -> Self {
        self.until = Until::Quorum(replies);
        self
    }

    /// Returns the peers that are asked, each with its current status.
    pub fn roster(&self) -> impl Iterator<Item = (&Peer, SurveyStatus)> {
        self.asked.iter().map(|entry| (&entry.peer, entry.status))
    }

    /// Returns the number of replies until now.
    #[must_use]
    pub const fn replies(&self) -> usize {
        self.replies
    }

    /// Returns the number of peers that have not responded.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns the frame of the question, until it is sent.
    #[cfg(feature = "cluster")]
    #[doc(hidden)]
    #[must_use]
    pub const fn unsent(&self) -> Option<&Frame> {
        self.unsent.as_ref()
    }

    /// Ends the survey.
    #[cfg(feature = "cluster")]
    #[doc(hidden)]
    pub fn end(&mut self) {
        self.give_up();
    }

    /// Returns the next response, or `None` if all peers have responded or the survey has ended
    /// early.
    ///
    /// # Cancel safety
    /// Cancel safe: no response is lost.
    pub async fn next(&mut self) -> Option<(Peer, ResponseTo<Q>)> {
        poll_fn(|cx| self.poll_response(cx)).await
    }

    /// Sends the question to all peers. Each call has an id of its own, and the frames share the
    /// body.
    fn send(&mut self, frame: &Frame) {
        let runtime = self.endpoint.services().runtime();
        let _inside = runtime.enter();
        for (index, entry) in self.asked.iter_mut().enumerate() {
            let sink = ReplySink::Survey { index, answers: Arc::clone(&self.sender) };
            if flush::is_in_plain_handler() {
                let failed = Response::Failed(RequestError::InPlainHandler);
                self.ready.push_back((index, failed));
                continue;
            }
            let session = entry.peer.session();
            let begin = |()| session.calls().lock().begin_open(frame.code(), sink);
            let begun = session.check_size(frame.len() - HEADER_LEN).map_err(RequestError::from);
            let Begun { call, must_wake, .. } = match begun.and_then(begin) {
                Ok(begun) => begun,
                Err(RequestError::Closed) => {
                    self.ready.push_back((index, Response::Left));
                    continue;
                }
                Err(error) => {
                    self.ready.push_back((index, Response::Failed(error.widen())));
                    continue;
                }
            };
            let response = match session.outbox().push(frame.clone().with_id(call.id)) {
                Push::Queued(queued) => {
                    flush::schedule_published(session, queued, frame.len());
                    if must_wake {
                        // The connection's task may have to read on for the answer, beyond the
                        // inbox limit.
                        session.outbox().wake_owner();
                    }
                    entry.call = Some(call);
                    continue;
                }
                Push::Full(_) => Response::Full,
                Push::Closed => Response::Left,
            };
            let caller = session.calls().lock().take_back(call);
            // If the call is missing, the connection has ended in between, and its failure is
            // already in the channel.
            if caller.is_some() {
                self.ready.push_back((index, response));
            }
        }
        // Without a peer, the runtime may not be known yet.
        if !self.asked.is_empty() {
            self.deadline = Some(Box::pin(runtime.sleep(self.timeout.min(FAR_FUTURE))));
        }
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Peer, ResponseTo<Q>)>> {
        if self.is_over() {
            self.give_up();
            return Poll::Ready(None);
        }
        if let Some(mut frame) = self.unsent.take() {
            share(&mut frame, self.asked.len(), self.endpoint.services().memory());
            self.send(&frame);
        }
        if let Some((index, response)) = self.ready.pop_front() {
            return Poll::Ready(Some(self.respond(index, response)));
        }
        // The survey itself holds a sender, so the channel does not close.
        if let Poll::Ready(Some((index, answer))) = self.answers.poll_recv(cx) {
            self.sender.note_read(&answer);
            let response = self.read(answer);
            return Poll::Ready(Some(self.respond(index, response)));
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            self.deadline = None;
            self.time_out();
            if let Some((index, response)) = self.ready.pop_front() {
                return Poll::Ready(Some(self.respond(index, response)));
            }
        }
        Poll::Pending
    }

    /// Cancels the calls whose deadline has passed. A call that cannot be cancelled has already
    /// completed: its answer, or the end of its connection, is in the channel and still counts.
    fn time_out(&mut self) {
        let _inside = self.endpoint.services().runtime().enter();
        for (index, entry) in self.asked.iter_mut().enumerate() {
            let Some(call) = entry.call.take() else { continue };
            let caller = entry.peer.session().calls().lock().give_up(call);
            if caller.is_some() {
                let (peer, code) = (&entry.peer, self.code);
                let event = || Event::RequestTimedOut { peer: peer.clone(), code };
                self.endpoint.events().emit(event);
                self.ready.push_back((index, Response::TimedOut));
            }
        }
    }

    fn is_over(&self) -> bool {
        match self.until {
            _ if self.waiting == 0 => true,
            Until::All => false,
            Until::First(replies) => self.replies >= replies,
            Until::Quorum(replies) => {
                self.replies >= replies || self.replies + self.waiting < replies
            }
        }
    }

    /// Records the response of a peer.
    fn respond(&mut self, index: usize, response: ResponseTo<Q>) -> (Peer, ResponseTo<Q>) {
        let entry = &mut self.asked[index];
        entry.call = None;
        entry.status = response.status();
        self.waiting -= 1;
        self.replies += usize::from(entry.status == SurveyStatus::Replied);
        (entry.peer.clone(), response)
    }

    fn read(&self, answer: Result<Message, CallFailed>) -> ResponseTo<Q> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(CallFailed::Timeout) => return Response::TimedOut,
            Err(CallFailed::ConnectionLost | CallFailed::BothConnecting) => return Response::Left,
            Err(CallFailed::Congested { limit }) => {
                return Response::Failed(RequestError::Congested { limit });
            }
        };
        let limit = self.endpoint.limits().max_typed_body;
        Q::read(answer, limit).map_or_else(|error| Response::Failed(error.into()), Response::Reply)
    }

    /// Cancels the calls without an answer, so that their ids rest.
    fn give_up(&mut self) {
        let _inside = self.endpoint.services().runtime().enter();
        for entry in &mut self.asked {
            if entry.status == SurveyStatus::Waiting {
                entry.status = SurveyStatus::GivenUp;
            }
            if let Some(call) = entry.call.take() {
                let caller = entry.peer.session().calls().lock().give_up(call);
                drop(caller);
            }
        }
    }
}

impl<Q: Ask + ?Sized> Stream for Survey<Q> {
    type Item = (Peer, ResponseTo<Q>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_response(cx)
    }
}

/// No field of the survey is ever pinned.
impl<Q: Ask + ?Sized> Unpin for Survey<Q> {}

impl<Q: Ask + ?Sized> Drop for Survey<Q> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<Q> IntoFuture for Survey<Q>
where
    Q: Ask<Reply: Send, Error: Send> + ?Sized + 'static,
{
    type Output = Responses<Q::Reply, Q::Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut responses = Vec::with_capacity(self.asked.len());
            while let Some(response) = self.next().await {
                responses.push(response);
            }
            let given_up = self.asked.iter().filter(|entry| entry.status == SurveyStatus::GivenUp);
            let given_up = given_up.map(|entry| entry.peer.clone()).collect();
            let needed = match self.until {
                Until::All => self.asked.len(),
                Until::First(replies) | Until::Quorum(replies) => replies,
            };
            Responses { replies: self.replies, needed, responses, given_up }
        })
    }
}

impl<Q: Ask + ?Sized> fmt::Debug for Survey<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Survey")
            .field("asked", &self.asked.len())
            .field("replies", &self.replies)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

/// All responses to a [`Survey`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Responses<R = Message, E = std::convert::Infallible> {
    /// The peers that responded, in the order of their responses.
    pub responses: Vec<(Peer, Response<R, E>)>,
    /// The peers that had not responded when the survey ended early.
    pub given_up: Vec<Peer>,
    replies: usize,
    needed: usize,
}

impl<R, E> Responses<R, E> {
    /// Returns whether the number of replies reaches that of [`Survey::first`] or
    /// [`Survey::quorum`]. Without one of them, returns whether all peers replied.
    #[must_use]
    pub const fn is_enough(&self) -> bool {
        self.replies >= self.needed
    }

    /// Returns the replies, each with its peer.
    pub fn replies(&self) -> impl Iterator<Item = (&Peer, &R)> {
        self.responses.iter().filter_map(|(peer, response)| match response {
            Response::Reply(reply) => Some((peer, reply)),
            _ => None,
        })
    }
}
