//! Questions to the peer: [`Request`] and [`Ping`], and the calls behind them.

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

/// A call: it sends a message and waits for the answer. Created by [`Peer::request`].
///
/// `Q` is the type of the message. With `reply = T` the answer is a `T`, and with `error = E` it
/// may also be [`RequestError::Remote`]. Otherwise the answer is a [`Message`] of any type.
///
/// Nothing is sent before the first poll of the future. The call ends exactly once: with the
/// answer, with a [`RequestError`], or by a drop, which cancels it.
///
/// # Errors
/// [`RequestError`]: no answer before the timeout, a connection that has ended or ends first, an
/// answer that is unexpected or cannot be read, the error with which the peer answers, or a call in a
/// plain handler ([`RequestError::InPlainHandler`]).
///
/// # Cancel safety
/// Dropping the future cancels the call: a late answer is counted and discarded. It is then unknown
/// whether the peer has handled the message.
#[must_use = "a request is sent when it is awaited"]
pub struct Request<Q: ?Sized = Message> {
    call: Call,
    question: PhantomData<fn(&Q)>,
}

impl Peer {
    /// Calls the peer: sends a message and waits for its answer. The timeout is 5 s unless
    /// [`timeout`](Request::timeout) sets another. Errors and cancel safety are described at
    /// [`Request`].
    ///
    /// A handler may call its own peer, since answers bypass the handlers. While such a call is
    /// pending, reading continues beyond the inbox limit, up to 8 MiB.
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

    /// Sets the timeout for the answer, counted from the first poll. The wait for room in the
    /// peer's outbox is included. Default: 5 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = timeout;
        self
    }
}

impl<Q: Ask<Reply = Message, Error = Infallible> + ?Sized> Request<Q> {
    /// Sets the type that the answer must have. Any other type results in
    /// [`RequestError::UnexpectedReply`]. Default: any type is accepted.
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
