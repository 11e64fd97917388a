//! [`Calls`]: who waits for which answer until when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use veltix_core::limits::{DETACH_BELOW, FAR_FUTURE};
use veltix_core::{Answer, IdSpace, Message, Pending, RequestId};

use crate::error::RequestError;
use crate::planted::planted;

/// Deadlines kept beyond those of calls in flight before the stale ones are swept out.
const STALE_DEADLINES: usize = 64;

/// The calls in flight of one connection, with their deadlines.
#[derive(Debug)]
pub(crate) struct Calls {
    pending: Pending<Caller>,
    /// Deadlines, earliest first. One whose call is over is stale, until it is swept or due.
    deadlines: BinaryHeap<Reverse<(Instant, u16)>>,
    /// How many calls were made: the number of the next.
    made: u64,
    /// The connection is over: nothing may wait any more.
    ended: bool,
    /// The connection's task does not read on unless there are calls, and there were none when it
    /// looked.
    first_is_news: bool,
    /// More than one call was in flight since there was none.
    is_crowd: bool,
}

/// A call that was registered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) call: CallId,
    /// The connection's task must look at the calls for it.
    pub(crate) is_news: bool,
    /// No other call is in flight, and it is not the first of many that follow each other: those
    /// who were answered together are likely to ask again together.
    pub(crate) is_alone: bool,
}

/// A call as its future knows it. The id alone does not say enough: it may mean another call by
/// the time that the future of an answered one is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallId {
    pub(crate) id: RequestId,
    number: u64,
}

/// Who waits for an answer.
#[derive(Debug)]
pub(crate) struct Caller {
    number: u64,
    /// The code of the question.
    code: u16,
    sink: ReplySink,
    deadline: Instant,
    /// The codes that the answer must have to count at all, see [`IdSpace::must_check_type`].
    must_be: Option<Expected>,
}

/// An answer on its way to a survey, with its place there.
pub(crate) type SurveyAnswer = (usize, Result<Message, CallFailed>);

/// Where an answer goes.
#[derive(Debug)]
pub(crate) enum ReplySink {
    /// To a call of its own.
    Alone(oneshot::Sender<Result<Message, CallFailed>>),
    /// To a survey of many, with the place of this call there.
    Survey { index: usize, answers: mpsc::UnboundedSender<SurveyAnswer> },
}

/// The codes that an answer may have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    One(u16),
    /// None listed means any.
    OneOf(&'static [u16]),
}

impl Expected {
    pub(crate) fn allows(self, code: u16) -> bool {
        match self {
            Self::One(expected) => code == expected,
            Self::OneOf(codes) => codes.is_empty() || codes.contains(&code),
        }
    }

    /// The code of a reply, unless it may have any.
    pub(crate) const fn first(self) -> Option<u16> {
        match self {
            Self::One(code) => Some(code),
            Self::OneOf(codes) => codes.first().copied(),
        }
    }
}

/// Why a call ended without an answer, as the connection tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallFailed {
    Timeout,
    ConnectionLost,
    Congested,
}

/// A call that is over, and how; told outside the lock of the calls, since telling wakes tasks.
#[derive(Debug)]
#[must_use = "the caller is to be told"]
pub(crate) struct CompletedCall {
    caller: Caller,
    result: Result<Message, CallFailed>,
}

impl CompletedCall {
    /// The code of the question.
    pub(crate) const fn code(&self) -> u16 {
        self.caller.code
    }

    /// Tells the caller. One that is gone has given up its id in its drop, or is about to.
    pub(crate) fn complete(self) {
        match self.caller.sink {
            ReplySink::Alone(answer) => drop(answer.send(self.result)),
            ReplySink::Survey { index, answers } => drop(answers.send((index, self.result))),
        }
    }
}

/// What a received message turned out to be.
#[derive(Debug)]
pub(crate) enum Reception {
    /// It is the answer to a call.
    Answer(CompletedCall),
    /// It is the answer to nothing that is in flight.
    Late,
    /// It is not an answer.
    Other(Message),
}

impl Calls {
    pub(crate) fn new(space: IdSpace) -> Self {
        Self {
            pending: Pending::new(space),
            deadlines: BinaryHeap::new(),
            made: 0,
            ended: false,
            first_is_news: false,
            is_crowd: false,
        }
    }

    pub(crate) const fn space(&self) -> IdSpace {
        self.pending.space()
    }

    /// Whether a call waits for its answer, for a task that reads on only then: where none does,
    /// the next one wakes it.
    pub(crate) const fn is_calling(&mut self) -> bool {
        self.first_is_news = self.pending.is_empty();
        !self.first_is_news
    }

    /// How many calls wait for their answer.
    pub(crate) const fn len(&self) -> usize {
        self.pending.len()
    }

    /// Begins a call. It is news for the connection's task if its deadline has become the
    /// [next](Self::next_deadline), or if it is the first in flight while the task [waits for
    /// that](Self::is_calling).
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
        Ok(Begun { is_news: begun.is_news || is_next, ..begun })
    }

    /// Begins a call whose sink watches its deadline: that of a survey, which has one for all.
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
        let was_crowd = std::mem::replace(&mut self.is_crowd, !is_first);
        let is_news = is_first && std::mem::take(&mut self.first_is_news);
        Ok(Begun { call: CallId { id, number }, is_news, is_alone: is_first && !was_crowd })
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
            // The server's own numbering goes through our ids, so this is one of its messages.
            Answer::Late if self.space().must_check_type() => Reception::Other(message),
            Answer::Late => Reception::Late,
            Answer::NotACall => Reception::Other(message),
        }
    }

    /// When to [look](Self::expire) for calls whose time is over. That of a call which is over
    /// already counts too: to look in vain, once in its timeout at most, costs less than to take
    /// each out.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// Ends the calls whose time is over.
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
            // A connection that calls no more holds no memory for it.
            self.deadlines = BinaryHeap::new();
        }
        completed
    }

    fn is_live(&self, deadline: Instant, id: u16) -> bool {
        let caller = self.pending.waiter(RequestId::new(id));
        caller.is_some_and(|caller| caller.deadline == deadline)
    }

    /// Takes back a call that was never sent. Who waited is dropped outside the lock.
    pub(crate) fn take_back(&mut self, call: CallId) -> Option<Caller> {
        self.is_waiting(call).then(|| self.pending.take_back(call.id))?
    }

    /// Gives up a call whose answer may still come. Who waited is dropped outside the lock.
    pub(crate) fn give_up(&mut self, call: CallId) -> Option<Caller> {
        let now = Instant::now().into_std();
        self.is_waiting(call).then(|| self.pending.give_up(call.id, now))?
    }

    fn is_waiting(&self, call: CallId) -> bool {
        self.pending.waiter(call.id).is_some_and(|caller| caller.number == call.number)
    }

    /// Fails every call: so much came before the answers that reading has to stop. The answers
    /// are still on their way, so the ids rest.
    pub(crate) fn fail_congested(&mut self) -> Vec<CompletedCall> {
        self.deadlines.clear();
        // The task reads no further, and has to fail the next one as well.
        self.first_is_news = true;
        let callers = self.pending.give_up_all(Instant::now().into_std());
        failed(callers, CallFailed::Congested)
    }

    /// Fails every call, now and from now on: the connection is over.
    pub(crate) fn end(&mut self) -> Vec<CompletedCall> {
        if planted!("lost_calls_wait") {
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
        (begun.call, begun.is_news)
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_looks_for_the_first_call_and_for_earlier_deadlines() {
        let calls = &mut Calls::new(IdSpace::client());
        let (first, is_news) = begin(calls, REQUEST_TIMEOUT);
        assert!(is_news);
        let due = calls.next_deadline();
        assert!(!begin(calls, REQUEST_TIMEOUT).1 && calls.next_deadline() == due);
        let (earlier, is_news) = begin(calls, REQUEST_TIMEOUT / 2);
        assert!(is_news && calls.next_deadline() < due);
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
    async fn the_first_call_is_news_for_a_task_that_reads_on_only_then() {
        let calls = &mut Calls::new(IdSpace::client());
        let (call, _) = begin(calls, REQUEST_TIMEOUT);
        assert!(calls.is_calling());
        calls.take_back(call);
        let (call, is_news) = begin(calls, REQUEST_TIMEOUT);
        assert!(!is_news, "it has not looked for calls in vain");
        calls.take_back(call);
        assert!(!calls.is_calling());
        assert!(begin(calls, REQUEST_TIMEOUT).1);
        assert!(!begin(calls, REQUEST_TIMEOUT).1, "another is no news");
        assert!(calls.is_calling());
        calls.fail_congested();
        let open =
            calls.begin_open(200, ReplySink::Alone(oneshot::channel().0)).expect("ids are free");
        assert!(open.is_news, "the task has stopped to read, for all it knows for good");
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

    /// The table of calls doubles when it is full by seven eighths, which it is with 28 672 of the
    /// 32 767. The last eighth pays for twice the table, and is 256 bytes each no more.
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
