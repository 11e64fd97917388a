//! [`Call`]: a message that asks a question, and the wait for its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;
use veltix_core::limits::REQUEST_TIMEOUT;
use veltix_core::{EncodeError, Frame, Message, ToMessage};

use crate::error::RequestError;
use crate::flush;
use crate::outbox::Push;
use crate::peer::Peer;
use crate::session::{CallFailed, CallId, Expected, Session, set_alarm};
use crate::sync::QueuePosition;

/// A call whose answer is not read yet. Nothing is sent before it is first polled.
#[derive(Debug)]
pub(super) struct Call {
    peer: Peer,
    message: Option<Result<Message, EncodeError>>,
    pub(super) timeout: Duration,
    pub(super) expected: Expected,
    position: QueuePosition,
    state: State,
    /// The connection's task must check its calls because of this one.
    must_wake: bool,
    /// No other call is pending together with it.
    is_alone: bool,
}

#[derive(Debug)]
enum State {
    Unsent,
    /// The call is registered, but the outbox had no room yet.
    WaitingForRoom {
        call: CallId,
        frame: Frame,
        answer: Waiting,
    },
    Sent {
        call: CallId,
        answer: Waiting,
    },
    Ended,
}

type Waiting = oneshot::Receiver<Result<Message, CallFailed>>;

impl Call {
    pub(super) fn new(peer: Peer, message: &(impl ToMessage + ?Sized)) -> Self {
        let message = peer.session().encode(message);
        Self {
            peer,
            message: Some(message),
            timeout: REQUEST_TIMEOUT,
            expected: Expected::OneOf(&[]),
            position: QueuePosition::default(),
            state: State::Unsent,
            must_wake: false,
            is_alone: false,
        }
    }

    pub(super) const fn session(&self) -> &Arc<Session> {
        self.peer.session()
    }

    /// Registers the call. This precedes sending, so that no answer can arrive too early.
    fn begin(&mut self, message: Message) -> Result<(), RequestError> {
        let (sender, answer) = oneshot::channel();
        let session = self.peer.session();
        let _inside = session.services().runtime().enter();
        let mut calls = session.calls().lock();
        let must_check = calls.space().must_check_type();
        if must_check && self.expected.first().is_none() {
            return Err(RequestError::TypeNeeded);
        }
        let must_be = must_check.then_some(self.expected);
        let begun = calls.begin(message.code(), sender, self.timeout, must_be)?;
        let call = begun.call;
        drop(calls);
        (self.must_wake, self.is_alone) = (begun.must_wake, begun.is_alone);
        let frame = Frame::new(message.code(), call.id, message.into_body());
        self.state = State::WaitingForRoom { call, frame, answer };
        if let Some(at) = begun.alarm {
            set_alarm(self.peer.session(), at);
        }
        Ok(())
    }

    /// Lets the connection's task check its calls if this call requires it. Inside its own poll,
    /// the task checks them anyway.
    fn let_owner_see(&mut self) {
        if std::mem::take(&mut self.must_wake) && !flush::is_inside(self.session()) {
            self.session().outbox().wake_owner();
        }
    }

    fn finish(&mut self, result: Result<Message, CallFailed>) -> Result<Message, RequestError> {
        self.state = State::Ended;
        let message = result.map_err(|failure| match failure {
            CallFailed::Timeout => RequestError::Timeout { after: self.timeout },
            CallFailed::BothConnecting => RequestError::BothConnecting,
            CallFailed::ConnectionLost => RequestError::ConnectionLost,
            CallFailed::Congested { limit } => RequestError::Congested { limit },
        })?;
        match self.expected.first() {
            Some(expected) if !self.expected.allows(message.code()) => {
                Err(RequestError::UnexpectedReply { code: message.code(), expected })
            }
            _ => Ok(message),
        }
    }
}

impl Future for Call {
    type Output = Result<Message, RequestError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if flush::is_in_plain_handler() {
            return Poll::Ready(Err(RequestError::InPlainHandler));
        }
        if let Some(message) = this.message.take() {
            this.begin(message?)?;
        }
        if let State::WaitingForRoom { .. } = this.state
            && let State::WaitingForRoom { call, frame, mut answer } =
                std::mem::replace(&mut this.state, State::Ended)
        {
            let waiting = (&mut this.position, cx.waker());
            match this.peer.session().outbox().push_or_wait(frame, Some(waiting)) {
                Push::Queued(queued) => {
                    this.state = State::Sent { call, answer };
                    // Called first, since a flush may wake other tasks, and a waker may panic.
                    this.let_owner_see();
                    if this.is_alone {
                        // No other message would join what the connection's task writes. The flush
                        // scope writes the frame at once, which saves a turn of that task.
                        flush::schedule_alone(this.session(), queued);
                    } else {
                        flush::schedule(this.session(), queued);
                    }
                }
                Push::Full(frame) => {
                    // The deadline may pass, or the connection may end, before there is room.
                    let ended = Pin::new(&mut answer).poll(cx);
                    this.state = State::WaitingForRoom { call, frame, answer };
                    this.let_owner_see();
                    let result = ready!(ended).unwrap_or(Err(CallFailed::ConnectionLost));
                    return Poll::Ready(this.finish(result));
                }
                Push::Closed => {
                    let caller = this.session().calls().lock().take_back(call);
                    drop(caller);
                    return Poll::Ready(Err(RequestError::Closed));
                }
            }
        }
        let State::Sent { answer, .. } = &mut this.state else {
            return Poll::Ready(Err(RequestError::Closed));
        };
        let result = ready!(Pin::new(answer).poll(cx)).unwrap_or(Err(CallFailed::ConnectionLost));
        Poll::Ready(this.finish(result))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.session().outbox().leave_queue(&self.position);
        let _inside = self.session().services().runtime().enter();
        let caller = match self.state {
            State::Unsent | State::Ended => None,
            State::WaitingForRoom { call, .. } => self.session().calls().lock().take_back(call),
            // The answer may have arrived already, or the connection may have ended. Then there is
            // nothing to cancel.
            State::Sent { call, .. } => self.session().calls().lock().give_up(call),
        };
        drop(caller);
    }
}
