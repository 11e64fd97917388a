//! [`Calls`]: the pending calls of a connection, with their reply sinks and deadlines.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use veltix_core::limits::{DETACH_BELOW, FAR_FUTURE, INBOX_BYTES_WHILE_CALLING};
use veltix_core::{Answer, IdSpace, Message, Pending, RequestId};

use super::answers::{CallFailed, SurveyAnswers};
use crate::error::RequestError;

/// The number of deadlines kept beyond those of pending calls before stale ones are removed.
const STALE_DEADLINES: usize = 64;

/// The pending calls of one connection, with their deadlines.
#[derive(Debug)]
pub(crate) struct Calls {
    pending: Pending<Caller>,
    /// Deadlines, earliest first. The deadline of a completed call is stale until it is removed or
    /// due.
    deadlines: BinaryHeap<Reverse<(Instant, u16)>>,
    /// The number of calls made, which is the number of the latest one.
    made: u64,
    /// The connection has ended, and no call may wait any more.
    ended: bool,
    /// The connection's task continues to read only if there are calls, and there were none at its
    /// last check.
    wake_for_first: bool,
    /// More than one call was pending at some moment since the table was last empty.
    overlapped: bool,
}

/// A call that was registered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) call: CallId,
    /// The connection's task must check the calls because of this one.
    pub(crate) must_wake: bool,
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

    /// Notes that a call of the peer waited for this side's `on_connect` when this one failed.
    pub(crate) fn note_both_connecting(&mut self) {
        self.result = Err(CallFailed::BothConnecting);
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
            deadlines: BinaryHeap::new(),
            made: 0,
            ended: false,
            wake_for_first: false,
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

    /// Begins a call. The connection's task must check it if its deadline has become the
    /// [next](Self::next_deadline), or if it is the first pending call while the task [waits for
    /// one](Self::is_calling).
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
        if self.deadlines.len() >= 2 * self.pending.len() + STALE_DEADLINES {
            self.sweep();
        }
        let is_next = self.next_deadline().is_none_or(|next| deadline < next);
        self.deadlines.push(Reverse((deadline, begun.call.id.value())));
        Ok(Begun { must_wake: begun.must_wake || is_next, ..begun })
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
            is_alone: is_first && !overlapped_before,
        })
    }

    /// Removes the deadlines of completed calls, so that their number stays within a constant
    /// factor of the number of pending calls.
    fn sweep(&mut self) {
        let mut deadlines = std::mem::take(&mut self.deadlines);
        deadlines.retain(|Reverse((deadline, id))| self.is_live(*deadline, *id));
        self.deadlines = deadlines;
    }

    /// Completes the call that the message answers, if there is one.
    pub(crate) fn receive(&mut self, mut message: Message) -> Reception {
        if fault!("late_reply_accepted")
            && let Some(Reverse((_, id))) = self.deadlines.peek()
        {
            message = message.with_id(RequestId::new(*id));
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

    /// Returns the time of the next [check](Self::expire) for calls whose deadline has passed. The
    /// deadline of a completed call counts too: one useless check at most per timeout costs less
    /// than the removal of each deadline.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Ends the calls whose deadline has passed.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<CompletedCall> {
        let mut completed = Vec::new();
        while let Some(&Reverse((deadline, id))) = self.deadlines.peek() {
            let live = self.is_live(deadline, id);
            if live && deadline > now {
                break;
            }
            self.deadlines.pop();
            if live && let Some(caller) = self.pending.give_up(RequestId::new(id), now.into_std()) {
                completed.push(CompletedCall { caller, result: Err(CallFailed::Timeout) });
            }
        }
        if self.deadlines.is_empty() {
            // A connection that makes no more calls holds no memory for them.
            self.deadlines = BinaryHeap::new();
        }
        completed
    }

    fn is_live(&self, deadline: Instant, id: u16) -> bool {
        let caller = self.pending.waiter(RequestId::new(id));
        caller.is_some_and(|caller| caller.deadline == deadline)
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
        self.deadlines.clear();
        // The task reads no further, and has to fail the next call as well.
        self.wake_for_first = true;
        let callers = self.pending.give_up_all(Instant::now().into_std());
        failed(callers, CallFailed::Congested { limit: INBOX_BYTES_WHILE_CALLING })
    }

    /// Fails every call, now and from now on: the connection has ended.
    pub(crate) fn end(&mut self) -> Vec<CompletedCall> {
        if fault!("lost_calls_wait") {
            return Vec::new();
        }
        if self.ended {
            return Vec::new();
        }
        self.ended = true;
        self.deadlines = BinaryHeap::new();
        failed(self.pending.end(), CallFailed::ConnectionLost)
    }
}

fn failed(callers: Vec<Caller>, failure: CallFailed) -> Vec<CompletedCall> {
    callers.into_iter().map(|caller| CompletedCall { caller, result: Err(failure) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use veltix_core::limits::REQUEST_TIMEOUT;

    fn begin(calls: &mut Calls, timeout: Duration) -> (CallId, bool) {
        let begun = calls.begin(200, oneshot::channel().0, timeout, None).expect("ids are free");
        (begun.call, begun.must_wake)
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_looks_for_the_first_call_and_for_earlier_deadlines() {
        let calls = &mut Calls::new(IdSpace::client());
        let (first, must_wake) = begin(calls, REQUEST_TIMEOUT);
        assert!(must_wake);
        let due = calls.next_deadline();
        assert!(!begin(calls, REQUEST_TIMEOUT).1 && calls.next_deadline() == due);
        let (earlier, must_wake) = begin(calls, REQUEST_TIMEOUT / 2);
        assert!(must_wake && calls.next_deadline() < due);
        assert!(!begin(calls, REQUEST_TIMEOUT).1);
        tokio::time::advance(REQUEST_TIMEOUT / 2).await;
        let over = calls.expire(Instant::now());
        assert!(over.len() == 1 && calls.give_up(earlier).is_none() && calls.len() == 3);
        assert_eq!(calls.next_deadline(), due);
        assert!(calls.give_up(first).is_some() && !begin(calls, REQUEST_TIMEOUT).1);
        calls.fail_congested();
        assert!(begin(calls, REQUEST_TIMEOUT).1, "the first again, with a deadline like others");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_call_must_wake_a_task_that_reads_on_only_then() {
        let calls = &mut Calls::new(IdSpace::client());
        let (call, _) = begin(calls, REQUEST_TIMEOUT);
        assert!(calls.is_calling());
        calls.take_back(call);
        let (call, must_wake) = begin(calls, REQUEST_TIMEOUT);
        assert!(!must_wake, "the task has not checked in vain");
        calls.take_back(call);
        assert!(!calls.is_calling());
        assert!(begin(calls, REQUEST_TIMEOUT).1);
        assert!(!begin(calls, REQUEST_TIMEOUT).1, "the second call needs no check");
        assert!(calls.is_calling());
        calls.fail_congested();
        let open =
            calls.begin_open(200, ReplySink::Alone(oneshot::channel().0)).expect("ids are free");
        assert!(open.must_wake, "the task has stopped reading and needs the wake-up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_alone_unless_others_are_there_or_were_there_just_now() {
        let calls = &mut Calls::new(IdSpace::client());
        let mut begin = || calls.begin_open(200, ReplySink::Alone(oneshot::channel().0)).unwrap();
        let first = begin();
        let second = begin();
        assert_eq!((first.is_alone, second.is_alone), (true, false));
        for begun in [first, second] {
            calls.take_back(begun.call).expect("it waits");
        }
        for is_alone in [false, true, true] {
            let begun = calls.begin_open(200, ReplySink::Alone(oneshot::channel().0)).unwrap();
            assert_eq!(begun.is_alone, is_alone);
            calls.take_back(begun.call).expect("it waits");
        }
    }

    /// The table of calls doubles when seven eighths of it are used, which happens at 28 672 of the
    /// 32 767 ids. The last eighth pays for twice the table and therefore exceeds 256 bytes per
    /// call.
    #[test]
    fn r36_a_call_in_flight_costs_at_most_256_bytes() {
        for (calls_made, most) in [(28_672, 256), (32_767, 320)] {
            let mut calls = Calls::new(IdSpace::server());
            let mut answers = Vec::with_capacity(calls_made);
            let held = allocation_counter::measure(|| {
                for _ in 0..calls_made {
                    let (sender, receiver) = oneshot::channel();
                    calls.begin(200, sender, REQUEST_TIMEOUT, None).expect("ids are free");
                    answers.push(receiver);
                }
            });
            let each = held.bytes_current / calls_made as i64;
            println!("row R36: {each} bytes for each of {calls_made} calls");
            assert!(each <= most, "{each} bytes for each of {calls_made} calls");
            let failed = calls.end().len();
            assert_eq!((failed, calls.len(), calls.deadlines.capacity()), (calls_made, 0, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn deadlines_of_calls_that_are_over_are_few_and_go() {
        let calls = &mut Calls::new(IdSpace::client());
        for _ in 0..10 * STALE_DEADLINES {
            let (call, _) = begin(calls, REQUEST_TIMEOUT);
            assert!(calls.take_back(call).is_some());
        }
        assert!((1..=STALE_DEADLINES).contains(&calls.deadlines.len()));
        tokio::time::advance(REQUEST_TIMEOUT).await;
        assert!(calls.expire(Instant::now()).is_empty());
        assert_eq!((calls.next_deadline(), calls.deadlines.capacity()), (None, 0));
    }
}
