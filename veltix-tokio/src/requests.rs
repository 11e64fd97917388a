//! Calls: who waits for which answer until when, and the future that waits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use veltix_core::{
    Answer, EncodeError, Frame, IdSpace, Message, MessageType, PING, PONG, Pending, RequestId,
    ToMessage,
};

use crate::batch;
use crate::error::RequestError;
use crate::limits::{DETACH_BELOW, FAR_FUTURE, INBOX_BYTES_WHILE_CALLING, REQUEST_TIMEOUT};
use crate::outbox::Push;
use crate::peer::Peer;
use crate::planted::planted;
use crate::waiters::Place;

/// Deadlines kept beyond those of calls in flight before the stale ones are swept out.
const STALE_DEADLINES: usize = 64;

/// The calls in flight of one connection, with their deadlines.
#[derive(Debug)]
pub(crate) struct Calls {
    pending: Pending<Caller>,
    /// Deadlines, earliest first. One whose call is over is stale and skipped.
    deadlines: BinaryHeap<Reverse<(Instant, u16)>>,
    /// How many calls were made: the number of the next.
    made: u64,
    /// The connection is over: nothing may wait any more.
    ended: bool,
}

/// A call as its future knows it. The id alone does not say enough: it may mean another call by
/// the time that the future of an answered one is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CallId {
    id: RequestId,
    number: u64,
}

/// Who waits for an answer.
#[derive(Debug)]
struct Caller {
    number: u64,
    answer: oneshot::Sender<Result<Message, CallFailed>>,
    deadline: Instant,
    /// The code that the answer must have to count at all, see [`IdSpace::must_check_type`].
    must_be: Option<u16>,
}

/// Why a call ended without an answer, as the connection tells it.
#[derive(Clone, Copy, Debug)]
enum CallFailed {
    Timeout,
    ConnectionLost,
    Congested,
}

/// A call that is over, and how; told outside the lock of the calls, since telling wakes tasks.
#[derive(Debug)]
#[must_use = "the caller is to be told"]
pub(crate) struct Over {
    caller: Caller,
    result: Result<Message, CallFailed>,
}

impl Over {
    /// Tells the caller. One that is gone has given up its id in its drop, or is about to.
    pub(crate) fn tell(self) {
        let _ = self.caller.answer.send(self.result);
    }
}

/// What a received message turned out to be.
#[derive(Debug)]
pub(crate) enum Reception {
    /// It is the answer to a call.
    Answer(Over),
    /// It is the answer to nothing that is in flight.
    Late,
    /// It is not an answer.
    Other(Message),
}

impl Calls {
    pub(crate) fn new(space: IdSpace) -> Self {
        Self { pending: Pending::new(space), deadlines: BinaryHeap::new(), made: 0, ended: false }
    }

    pub(crate) const fn space(&self) -> IdSpace {
        self.pending.space()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    fn begin(
        &mut self,
        answer: oneshot::Sender<Result<Message, CallFailed>>,
        deadline: Instant,
        must_be: Option<u16>,
    ) -> Result<CallId, RequestError> {
        if self.ended {
            return Err(RequestError::Closed);
        }
        self.made += 1;
        let number = self.made;
        let caller = Caller { number, answer, deadline, must_be };
        let id = self.pending.begin(caller, Instant::now().into_std())?;
        if self.deadlines.len() >= 2 * self.pending.len() + STALE_DEADLINES {
            self.sweep();
        }
        self.deadlines.push(Reverse((deadline, id.value())));
        Ok(CallId { id, number })
    }

    /// Drops the deadlines of calls that are over, so that they are never more than those in
    /// flight by a constant factor.
    fn sweep(&mut self) {
        let mut deadlines = std::mem::take(&mut self.deadlines);
        deadlines.retain(|Reverse((deadline, id))| self.is_live(*deadline, *id));
        self.deadlines = deadlines;
    }

    /// Gives an answer to the call that it belongs to, if it belongs to one.
    pub(crate) fn receive(&mut self, mut message: Message) -> Reception {
        if planted!("late_reply_accepted")
            && let Some(Reverse((_, id))) = self.deadlines.peek()
        {
            message = message.with_id(RequestId::new(*id));
        }
        if let Some(Caller { must_be: Some(code), .. }) = self.pending.waiter(message.id())
            && *code != message.code()
        {
            return Reception::Other(message);
        }
        match self.pending.answer(message.id()) {
            Answer::Call(caller) => {
                // The answer moves to another task, so it outlives the read buffer's batch.
                let message = message.detach_below(DETACH_BELOW);
                Reception::Answer(Over { caller, result: Ok(message) })
            }
            // The server's own numbering goes through our ids, so this is one of its messages.
            Answer::Late if self.space().must_check_type() => Reception::Other(message),
            Answer::Late => Reception::Late,
            Answer::NotACall => Reception::Other(message),
        }
    }

    /// When the next call's time is over.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        while let Some(&Reverse((deadline, id))) = self.deadlines.peek() {
            if self.is_live(deadline, id) {
                return Some(deadline);
            }
            self.deadlines.pop();
        }
        None
    }

    /// Ends the calls whose time is over.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Over> {
        let mut over = Vec::new();
        while let Some(&Reverse((deadline, id))) = self.deadlines.peek() {
            let live = self.is_live(deadline, id);
            if live && deadline > now {
                break;
            }
            self.deadlines.pop();
            if live && let Some(caller) = self.pending.give_up(RequestId::new(id), now.into_std()) {
                over.push(Over { caller, result: Err(CallFailed::Timeout) });
            }
        }
        over
    }

    fn is_live(&self, deadline: Instant, id: u16) -> bool {
        let caller = self.pending.waiter(RequestId::new(id));
        caller.is_some_and(|caller| caller.deadline == deadline)
    }

    /// Takes back a call that was never sent. Who waited is dropped outside the lock.
    fn take_back(&mut self, call: CallId) -> Option<Caller> {
        self.is_waiting(call).then(|| self.pending.take_back(call.id))?
    }

    /// Gives up a call whose answer may still come. Who waited is dropped outside the lock.
    fn give_up(&mut self, call: CallId) -> Option<Caller> {
        let now = Instant::now().into_std();
        self.is_waiting(call).then(|| self.pending.give_up(call.id, now))?
    }

    fn is_waiting(&self, call: CallId) -> bool {
        self.pending.waiter(call.id).is_some_and(|caller| caller.number == call.number)
    }

    /// Fails every call: so much came before the answers that reading has to stop. The answers
    /// are still on their way, so the ids rest.
    pub(crate) fn fail_congested(&mut self) -> Vec<Over> {
        self.deadlines.clear();
        let callers = self.pending.give_up_all(Instant::now().into_std());
        failed(callers, CallFailed::Congested)
    }

    /// Fails every call, now and from now on: the connection is over.
    pub(crate) fn end(&mut self) -> Vec<Over> {
        if planted!("lost_calls_wait") {
            return Vec::new();
        }
        self.ended = true;
        self.deadlines = BinaryHeap::new();
        failed(self.pending.end(), CallFailed::ConnectionLost)
    }
}

fn failed(callers: Vec<Caller>, failure: CallFailed) -> Vec<Over> {
    callers.into_iter().map(|caller| Over { caller, result: Err(failure) }).collect()
}

/// A call: sends a message and waits for its answer. Made by [`Peer::request`].
///
/// Nothing is sent before the future is first polled. It ends exactly once: with the answer, with
/// a [`RequestError`], or by being dropped, which cancels it.
///
/// # Cancel safety
/// Dropping it gives the call up: a late answer is counted and thrown away. Whether the peer has
/// handled the message is unknown then.
#[derive(Debug)]
#[must_use = "a request is sent when it is awaited"]
pub struct Request {
    peer: Peer,
    message: Option<Result<Message, EncodeError>>,
    timeout: Duration,
    expected: Option<u16>,
    place: Place,
    state: State,
}

#[derive(Debug)]
enum State {
    Unsent,
    /// Registered, but the outbox had no room yet.
    WaitingForRoom {
        call: CallId,
        frame: Frame,
        answer: Waiting,
    },
    Sent {
        call: CallId,
        answer: Waiting,
    },
    Over,
}

type Waiting = oneshot::Receiver<Result<Message, CallFailed>>;

impl Request {
    pub(crate) fn new(peer: Peer, message: &(impl ToMessage + ?Sized)) -> Self {
        let message = peer.encode(message);
        Self {
            peer,
            message: Some(message),
            timeout: REQUEST_TIMEOUT,
            expected: None,
            place: Place::default(),
            state: State::Unsent,
        }
    }

    /// How long the answer may take from the first poll on, waiting for room in the peer's outbox
    /// included. Default: 5 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The type that the answer must have; any other is [`RequestError::UnexpectedReply`].
    /// Default: any type is taken.
    pub fn expect(mut self, message_type: impl Into<MessageType>) -> Self {
        self.expected = Some(message_type.into().code());
        self
    }

    /// Registers the call: before its bytes can be sent, so that no answer can be too early.
    fn begin(&mut self, message: Message) -> Result<(), RequestError> {
        let (sender, answer) = oneshot::channel();
        let mut calls = self.peer.calls().lock();
        let must_check = calls.space().must_check_type();
        let must_be = match self.expected {
            None if must_check => return Err(RequestError::TypeNeeded),
            expected => expected.filter(|_| must_check),
        };
        let now = Instant::now();
        let deadline = now + self.timeout.min(FAR_FUTURE);
        let call = calls.begin(sender, deadline, must_be)?;
        let frame = Frame::new(message.code(), call.id, message.into_body());
        self.state = State::WaitingForRoom { call, frame, answer };
        Ok(())
    }

    /// The call's deadline may be the connection's next, so its task must look at it. Inside its
    /// own poll it does so anyway.
    fn let_owner_see_deadline(&self) {
        if !batch::is_inside(&self.peer) {
            self.peer.outbox().wake_owner();
        }
    }

    fn finish(&mut self, result: Result<Message, CallFailed>) -> Result<Message, RequestError> {
        self.state = State::Over;
        let message = result.map_err(|failure| match failure {
            CallFailed::Timeout => RequestError::Timeout { after: self.timeout },
            CallFailed::ConnectionLost => RequestError::ConnectionLost,
            CallFailed::Congested => RequestError::Congested { limit: INBOX_BYTES_WHILE_CALLING },
        })?;
        match self.expected {
            Some(expected) if expected != message.code() => {
                Err(RequestError::UnexpectedReply { code: message.code(), expected })
            }
            _ => Ok(message),
        }
    }
}

impl Future for Request {
    type Output = Result<Message, RequestError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(message) = this.message.take() {
            this.begin(message?)?;
        }
        if let State::WaitingForRoom { .. } = this.state
            && let State::WaitingForRoom { call, frame, mut answer } =
                std::mem::replace(&mut this.state, State::Over)
        {
            let line = (&mut this.place, cx.waker());
            match this.peer.outbox().push_or_wait(frame, Some(line)) {
                Push::Queued(queued) => {
                    this.state = State::Sent { call, answer };
                    batch::queued(&this.peer, queued);
                    this.let_owner_see_deadline();
                }
                Push::Full(frame) => {
                    // Its time may end, or the connection, before there is room.
                    let ended = Pin::new(&mut answer).poll(cx);
                    this.state = State::WaitingForRoom { call, frame, answer };
                    this.let_owner_see_deadline();
                    let result = ready!(ended).unwrap_or(Err(CallFailed::ConnectionLost));
                    return Poll::Ready(this.finish(result));
                }
                Push::Closed => {
                    let caller = this.peer.calls().lock().take_back(call);
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

impl Drop for Request {
    fn drop(&mut self) {
        self.peer.outbox().leave_line(&self.place);
        let caller = match self.state {
            State::Unsent | State::Over => None,
            State::WaitingForRoom { call, .. } => self.peer.calls().lock().take_back(call),
            // The answer may have come already, or the connection may be over: then there is
            // nothing to give up.
            State::Sent { call, .. } => self.peer.calls().lock().give_up(call),
        };
        drop(caller);
    }
}

/// A ping: resolves to the round-trip time. Made by [`Peer::ping`].
///
/// # Cancel safety
/// As [`Request`]'s.
#[derive(Debug)]
#[must_use = "a ping is sent when it is awaited"]
pub struct Ping {
    request: Request,
    sent_at: Option<Instant>,
}

impl Ping {
    pub(crate) fn new(peer: Peer) -> Self {
        let request = Request::new(peer, &Message::empty(PING)).expect(PONG);
        Self { request, sent_at: None }
    }

    /// How long the answer may take. Default: 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout = timeout;
        self
    }
}

impl Future for Ping {
    type Output = Result<Duration, RequestError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let sent_at = *self.sent_at.get_or_insert_with(Instant::now);
        let answer = ready!(Pin::new(&mut self.request).poll(cx));
        Poll::Ready(answer.map(|_| sent_at.elapsed()))
    }
}
