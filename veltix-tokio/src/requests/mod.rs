//! Questions to the other end: [`Request`] and [`Ping`], and the calls that they wait for.

mod call;
mod ping;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use veltix_core::{Ask, Message, MessageType};

use crate::error::RequestError;
use crate::peer::Peer;
use crate::session::Expected;
use call::Call;
pub use ping::Ping;

/// A call: sends a message and waits for its answer. Made by [`Peer::request`].
///
/// `Q` is the type of the message; with `reply = T` it is answered by a `T`, with `error = E` also
/// by [`RequestError::Remote`], and otherwise by a [`Message`] of any type.
///
/// Nothing is sent before the future is first polled. It ends exactly once: with the answer, with
/// a [`RequestError`], or by being dropped, which cancels it.
///
/// # Errors
/// [`RequestError`]: no answer in time, a connection that is over or ends first, an answer that is
/// not what was expected or cannot be read, or what the peer says instead of answering.
///
/// # Cancel safety
/// Dropping it gives the call up: a late answer is counted and thrown away. Whether the peer has
/// handled the message is unknown then.
#[must_use = "a request is sent when it is awaited"]
pub struct Request<Q: ?Sized = Message> {
    call: Call,
    question: PhantomData<fn(&Q)>,
}

impl Peer {
    /// Calls the peer: sends a message and waits for its answer, 5 s unless
    /// [`timeout`](Request::timeout) says otherwise. Errors and cancel safety: see [`Request`].
    ///
    /// A handler may call its own peer: answers bypass the handlers. While such a call is
    /// pending, reading goes on past the inbox limit, up to 8 MiB.
    pub fn request<Q: Ask + ?Sized>(&self, message: &Q) -> Request<Q> {
        Request::new(self.clone(), message)
    }
}

impl<Q: Ask + ?Sized> Request<Q> {
    fn new(peer: Peer, message: &Q) -> Self {
        let mut call = Call::new(peer, message);
        call.expected = Expected::OneOf(Q::ANSWERS);
        Self { call, question: PhantomData }
    }

    /// How long the answer may take from the first poll on, waiting for room in the peer's outbox
    /// included. Default: 5 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = timeout;
        self
    }
}

impl<Q: Ask<Reply = Message, Error = Infallible> + ?Sized> Request<Q> {
    /// The type that the answer must have; any other is [`RequestError::UnexpectedReply`].
    /// Default: any type is taken.
    pub fn expect(mut self, message_type: impl Into<MessageType>) -> Self {
        self.call.expected = Expected::One(message_type.into().code());
        self
    }
}

impl<Q: Ask + ?Sized> Future for Request<Q> {
    type Output = Result<Q::Reply, RequestError<Q::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.call).poll(cx)).map_err(RequestError::widen)?;
        let limit = self.call.session().limits().max_typed_body;
        Poll::Ready(Q::read(answer, limit).map_err(RequestError::from))
    }
}

impl<Q: ?Sized> fmt::Debug for Request<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Request").field(&self.call).finish()
    }
}
