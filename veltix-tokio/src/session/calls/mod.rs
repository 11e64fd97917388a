//! [`Calls`]: the pending calls of a connection, with their reply sinks and deadlines.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use veltix_core::limits::{DETACH_BELOW, FAR_FUTURE, INBOX_BYTES_WHILE_CALLING};
use veltix_core::{Answer, IdSpace, Message, Pending, RequestId};

use super::answers::{CallFailed, SurveyAnswers};
use super::timeouts::{Alarm, STALE_DEADLINES, Timeouts};
use crate::error::RequestError;

/// The pending calls of one connection, with their deadlines.
#[derive(Debug)]
pub(crate) struct Calls {
    pending: Pending<Caller>,
    /// `None` for a connection without deadlines, since most make no calls.
    timeouts: Option<Box<Timeouts>>,
    /// The number of calls made, which is the number of the latest one.
    made: u64,
    /// The connection has ended, and no call may wait any more.
    ended: bool,
    /// The connection's task continues to read only if there are calls, and there were none at its
    /// last check.
    wake_for_first: bool,
    /// A call of the peer waits for this side's `on_connect`.
    peer_waits: bool,
    /// More than one call was pending at some moment since the table was last empty.
    overlapped: bool,
}

/// A call that was registered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) call: CallId,
    /// The connection's task must check the calls because of this one.
    pub(crate) must_wake: bool,
    /// The time for which an alarm is to be set.
    pub(crate) alarm: Option<Instant>,
    /// No other call is pending, and this call does not follow a group of calls: callers that were
    /// answered together are likely to call again together.
    pub(crate) is_alone: bool,
}

/// The identity of a call for its future. The id alone is not sufficient: when the future of an
/// answered call is dropped, the id may already belong to another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallId {
    pub(crate) id: RequestId,
    number: u64,
}

/// The sink that waits for an answer.
#[derive(Debug)]
pub(crate) struct Caller {
    number: u64,
    /// The code of the question.
    code: u16,
    sink: ReplySink,
    deadline: Instant,
    /// The codes that the answer must have to count, see [`IdSpace::must_check_type`].
    must_be: Option<Expected>,
}

/// The receiver of an answer.
#[derive(Debug)]
pub(crate) enum ReplySink {
    /// A single call.
    Alone(oneshot::Sender<Result<Message, CallFailed>>),
    /// A survey, with the index of this call in it.
    Survey { index: usize, answers: Arc<SurveyAnswers> },
}

/// The codes that an answer may have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    One(u16),
    /// An empty list allows any code.
    OneOf(&'static [u16]),
}

impl Expected {
    pub(crate) fn allows(self, code: u16) -> bool {
        match self {
            Self::One(expected) => code == expected,
            Self::OneOf(codes) => codes.is_empty() || codes.contains(&code),
        }
    }

    /// Returns the code of a reply, unless any code is allowed.
    pub(crate) const fn first(self) -> Option<u16> {
        match self {
            Self::One(code) => Some(code),
            Self::OneOf(codes) => codes.first().copied(),
        }
    }
}

/// A completed call with its result. It is passed on outside the lock of the calls, since that
/// wakes tasks.
#[derive(Debug)]
#[must_use = "complete it to pass the result to the caller"]
pub(crate) struct CompletedCall {
    caller: Caller,
    result: Result<Message, CallFailed>,
}

impl CompletedCall {
    /// Returns the code of the question.
    pub(crate) const fn code(&self) -> u16 {
        self.caller.code
    }

    /// Passes the result to the reply sink. A sink whose future was dropped has given up its id, or
    /// is about to.
    pub(crate) fn complete(self) {
        match self.caller.sink {
            ReplySink::Alone(answer) => drop(answer.send(self.result)),
            ReplySink::Survey { index, answers } => answers.send(index, self.result),
        }
    }
}

/// The classification of a received message.
#[derive(Debug)]
pub(crate) enum Reception {
    /// The message is the answer to a call.
    Answer(CompletedCall),
    /// The message is an answer, but no pending call matches it.
    Late,
    /// The message is not an answer.
    Other(Message),
}

impl Calls {
    pub(crate) fn new(space: IdSpace) -> Self {
        Self {
            pending: Pending::new(space),
            timeouts: None,
            made: 0,
            ended: false,
            wake_for_first: false,
            peer_waits: false,
            overlapped: false,
        }
    }

    pub(crate) const fn space(&self) -> IdSpace {
        self.pending.space()
    }

    /// Returns whether a call waits for its answer. A task that continues to read only in that case
    /// uses this: if no call waits, the next one wakes the task.
    pub(crate) const fn is_calling(&mut self) -> bool {
        self.wake_for_first = self.pending.is_empty();
        !self.wake_for_first
    }

    /// Returns the number of pending calls.
    pub(crate) const fn len(&self) -> usize {
        self.pending.len()
    }

    /// Begins a call. The connection's task must check it if it is the first pending call while the
    /// task [waits for one](Self::is_calling).
    pub(crate) fn begin(
        &mut self,
        code: u16,
        answer: oneshot::Sender<Result<Message, CallFailed>>,
        timeout: Duration,
        must_be: Option<Expected>,
    ) -> Result<Begun, RequestError> {
        let now = Instant::now();
        let deadline = now + timeout.min(FAR_FUTURE);
        let begun = self.register(code, ReplySink::Alone(answer), now, deadline, must_be)?;
        let timeouts = self.timeouts.get_or_insert_default();
        if timeouts.len() >= 2 * self.pending.len() + STALE_DEADLINES {
            timeouts.sweep(|deadline, id| is_live(&self.pending, deadline, id));
        }
        Ok(Begun { alarm: timeouts.add(deadline, begun.call.id.value()), ..begun })
    }

    /// Begins a call whose sink watches its deadline. A survey has one deadline for all its calls.
    pub(crate) fn begin_open(&mut self, code: u16, sink: ReplySink) -> Result<Begun, RequestError> {
        let now = Instant::now();
        self.register(code, sink, now, now + FAR_FUTURE, None)
    }

    fn register(
        &mut self,
        code: u16,
        sink: ReplySink,
        now: Instant,
        deadline: Instant,
        must_be: Option<Expected>,
    ) -> Result<Begun, RequestError> {
        if self.ended {
            return Err(RequestError::Closed);
        }
        self.made += 1;
        let number = self.made;
        let caller = Caller { number, code, sink, deadline, must_be };
        let id = self.pending.begin(caller, now.into_std())?;
        let is_first = self.len() == 1;
        let overlapped_before = std::mem::replace(&mut self.overlapped, !is_first);
        let must_wake = is_first && std::mem::take(&mut self.wake_for_first);
        Ok(Begun {
            call: CallId { id, number },
            must_wake,
            alarm: None,
            is_alone: is_first && !overlapped_before,
        })
    }

    /// Completes the call that the message answers, if there is one.
    pub(crate) fn receive(&mut self, mut message: Message) -> Reception {
        if fault!("late_reply_accepted")
            && let Some(id) = self.timeouts.as_ref().and_then(|timeouts| timeouts.any())
        {
            message = message.with_id(RequestId::new(id));
        }
        if let Some(Caller { must_be: Some(expected), .. }) = self.pending.waiter(message.id())
            && !expected.allows(message.code())
        {
            return Reception::Other(message);
        }
        match self.pending.answer(message.id()) {
            Answer::Call(caller) => {
                // The answer moves to another task, so it outlives the read buffer's batch.
                let message = message.detach_below(DETACH_BELOW);
                Reception::Answer(CompletedCall { caller, result: Ok(message) })
            }
            // The server's own numbering passes through the ids of this side, so this is one of its
            // messages.
            Answer::Late if self.space().must_check_type() => Reception::Other(message),
            Answer::Late => Reception::Late,
            Answer::NotACall => Reception::Other(message),
        }
    }

    /// Ends the calls whose deadline has passed, after the alarm has rung. Returns them with the time
    /// of the next alarm.
    pub(super) fn expire(&mut self, now: Instant) -> Expired {
        let Some(timeouts) = &mut self.timeouts else { return Expired::default() };
        let failure = failure_beside(self.peer_waits, CallFailed::Timeout);
        let mut expired = Expired { rung: timeouts.take_alarm(), ..Expired::default() };
        while let Some(id) =
            timeouts.take_due(now, |deadline, id| is_live(&self.pending, deadline, id))
        {
            if let Some(caller) = self.pending.give_up(RequestId::new(id), now.into_std()) {
                expired.calls.push(CompletedCall { caller, result: Err(failure) });
            }
        }
        timeouts.note_late(expired.calls.iter().map(CompletedCall::code));
        expired.next = timeouts.next();
        self.release();
        expired
    }

    /// Keeps an alarm that was set. Returns an alarm that is not needed.
    pub(super) fn keep_alarm(&mut self, alarm: Alarm) -> Option<Alarm> {
        if self.ended { Some(alarm) } else { self.timeouts.get_or_insert_default().set(alarm) }
    }

    /// Notes whether a call of the peer waits for this side's `on_connect`.
    pub(crate) const fn note_peer_waits(&mut self, waits: bool) {
        self.peer_waits = waits;
    }

    /// Takes the codes of late calls of which nobody was told.
    pub(super) fn take_late(&mut self) -> Vec<u16> {
        let late = self.timeouts.as_mut().map(|timeouts| timeouts.take_late());
        self.release();
        late.unwrap_or_default()
    }

    /// Releases the memory of a connection that makes no more calls.
    fn release(&mut self) {
        self.timeouts.take_if(|timeouts| timeouts.is_empty());
    }

    /// Takes back a call that was never sent. The caller is returned so that it is dropped outside
    /// the lock.
    pub(crate) fn take_back(&mut self, call: CallId) -> Option<Caller> {
        self.is_waiting(call).then(|| self.pending.take_back(call.id))?
    }

    /// Cancels a call whose answer may still arrive. The caller is returned so that it is dropped
    /// outside the lock.
    pub(crate) fn give_up(&mut self, call: CallId) -> Option<Caller> {
        let now = Instant::now().into_std();
        self.is_waiting(call).then(|| self.pending.give_up(call.id, now))?
    }

    fn is_waiting(&self, call: CallId) -> bool {
        self.pending.waiter(call.id).is_some_and(|caller| caller.number == call.number)
    }

    /// Fails every call: too many bytes precede the answers, and reading has to stop. The
    /// answers are still on their way, so the ids rest.
    pub(crate) fn fail_congested(&mut self) -> Vec<CompletedCall> {
        if let Some(timeouts) = &mut self.timeouts {
            timeouts.clear();
        }
        // The task reads no further, and has to fail the next call as well.
        self.wake_for_first = true;
        let callers = self.pending.give_up_all(Instant::now().into_std());
        failed(callers, CallFailed::Congested { limit: INBOX_BYTES_WHILE_CALLING })
    }

    /// Fails every call, now and from now on: the connection has ended.
    pub(super) fn end(&mut self) -> Expired {
        if self.ended || fault!("lost_calls_wait") {
            return Expired::default();
        }
        self.ended = true;
        let rung = self.timeouts.as_mut().and_then(|timeouts| {
            timeouts.clear();
            timeouts.take_alarm()
        });
        self.release();
        let failure = failure_beside(self.peer_waits, CallFailed::ConnectionLost);
        Expired { calls: failed(self.pending.end(), failure), next: None, rung }
    }
}

/// Calls that have ended since their deadline has passed.
#[derive(Debug, Default)]
pub(super) struct Expired {
    pub(super) calls: Vec<CompletedCall>,
    pub(super) next: Option<Instant>,
    /// The alarm that has rung. It is dropped outside the lock.
    pub(super) rung: Option<Alarm>,
}

/// Returns the failure of a call that has ended, perhaps since the peer waits for this side's `on_connect`.
const fn failure_beside(peer_waits: bool, failure: CallFailed) -> CallFailed {
    if peer_waits { CallFailed::BothConnecting } else { failure }
}

fn is_live(pending: &Pending<Caller>, deadline: Instant, id: u16) -> bool {
    let caller = pending.waiter(RequestId::new(id));
    caller.is_some_and(|caller| caller.deadline == deadline)
}

fn failed(callers: Vec<Caller>, failure: CallFailed) -> Vec<CompletedCall> {
    callers.into_iter().map(|caller| CompletedCall { caller, result: Err(failure) }).collect()
}
