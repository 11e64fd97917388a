//! [`Handlers`]: the running handlers of a connection, and the messages that wait for theirs.

mod concurrent;
mod future_pool;
mod thread;

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use veltix_core::limits::{DETACH_BELOW, FRAME_OVERHEAD, INBOX_BYTES_WHILE_CALLING};
use veltix_core::{Frame, Message, RequestId};

use concurrent::Concurrent;
use future_pool::FuturePool;
pub(crate) use thread::{HandlerThread, News, ThreadEnd};

use crate::router::{Outcome, PooledFuture, RouteId, Routes, poll_caught};
use crate::session::Services;
use crate::sync::drop_caught;

/// The reason for which a handler was called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// The peer has just connected.
    Connect,
    /// A message.
    Message { route: RouteId, code: u16, id: RequestId },
}

impl Origin {
    /// Returns the message's code, or 0.
    pub(crate) const fn code(&self) -> u16 {
        match self {
            Self::Connect => 0,
            Self::Message { code, .. } => *code,
        }
    }
}

/// A handler that has ended, with its outcome and its future, which can be used again.
pub(crate) type EndedCall = (Origin, Outcome, PooledFuture);

/// The handlers of a connection.
#[derive(Default)]
pub(crate) struct Handlers {
    serial: Serial,
    /// Calls of routes that gave up order.
    concurrent: Concurrent,
    pool: FuturePool,
    /// The number of turns, again from 0 after 255.
    turns: u8,
}

/// Handlers in order and one at a time, with the inbox before them.
#[derive(Default)]
struct Serial {
    /// True if a message has to wait: a handler runs, or a reply or a message waits. It repeats the state
    /// of the other fields, since it is read for every message.
    is_busy: bool,
    running: Running,
    /// Replies that found no room in the peer's outbox: no other handler is started until they
    /// have. So there is at most one for each handler that ran when the first was parked.
    parked: VecDeque<Frame>,
    inbox: VecDeque<(RouteId, Message)>,
    /// Bytes of the inbox, each message with its overhead.
    inbox_charge: usize,
}

/// The serial handler that runs. The thread of `SocketCore::Threading` stands here as well: then nothing
/// is ever handled in place, and the common case pays for no further question.
#[derive(Default)]
enum Running {
    #[default]
    Nothing,
    Call(Origin, PooledFuture),
    Thread(Box<HandlerThread>),
}

/// Work that was cancelled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancelled {
    pub(crate) handlers: u64,
    /// Messages whose handler ran, or that waited for theirs.
    pub(crate) messages: u64,
    /// The codes of replies that had found no room yet.
    pub(crate) replies: Vec<u16>,
}

impl Serial {
    /// Records whether a message has to wait. Each function that changes the state calls it at its end.
    fn note(&mut self) {
        self.is_busy = self.must_wait();
    }

    fn must_wait(&self) -> bool {
        let Self { running, parked, inbox, .. } = self;
        !matches!(running, Running::Nothing) || !parked.is_empty() || !inbox.is_empty()
    }
}

impl Handlers {
    /// Returns whether a message may be handled at once: no serial handler runs, and nothing waits.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        debug_assert_eq!(self.serial.is_busy, self.serial.must_wait(), "it was noted");
        !self.serial.is_busy
    }

    /// Returns whether no handler runs and no message waits.
    pub(crate) fn is_empty(&self) -> bool {
        match self.thread() {
            Some(thread) => thread.is_idle() && !self.is_parked(),
            None => self.is_free() && self.concurrent.is_empty(),
        }
    }

    /// Lets all handlers run on this thread.
    pub(crate) fn run_on(&mut self, mut thread: HandlerThread) {
        thread.add_ends(self.take_thread_ends());
        self.serial.running = Running::Thread(Box::new(thread));
        self.serial.note();
    }

    /// Takes the ends of the threads that have run handlers.
    pub(crate) fn take_thread_ends(&mut self) -> Vec<ThreadEnd> {
        match &mut self.serial.running {
            Running::Thread(thread) => thread.take_ends(),
            Running::Nothing | Running::Call(..) => Vec::new(),
        }
    }

    /// Returns the thread that runs the handlers, if they have one.
    pub(crate) fn thread(&self) -> Option<&HandlerThread> {
        if let Running::Thread(thread) = &self.serial.running { Some(thread) } else { None }
    }

    /// Returns whether concurrent calls run.
    #[inline]
    pub(crate) const fn has_concurrent(&self) -> bool {
        !self.concurrent.is_empty()
    }

    /// Returns whether a message of this route may be handled now, as far as other calls of it go.
    #[inline]
    pub(crate) fn has_turn(&self, route: RouteId, routes: &Routes, services: &Services) -> bool {
        self.concurrent.is_empty() || self.concurrent.has_turn(route, routes, services)
    }

    /// Runs a serial handler that waits.
    pub(crate) fn run(&mut self, origin: Origin, future: PooledFuture) {
        debug_assert!(matches!(self.serial.running, Running::Nothing), "one handler at a time");
        self.serial.running = Running::Call(origin, future);
        self.serial.note();
    }

    /// Runs a concurrent handler that waits. Its message has `charge` bytes.
    pub(crate) fn run_concurrently(
        &mut self,
        route: RouteId,
        origin: Origin,
        charge: usize,
        future: PooledFuture,
    ) {
        self.concurrent.run(route, origin, charge, future);
    }

    /// Returns the code of the running serial handler's message.
    pub(crate) fn running_code(&self) -> Option<u16> {
        if let Running::Call(origin, _) = &self.serial.running { Some(origin.code()) } else { None }
    }

    /// Returns the codes of the concurrent calls.
    pub(crate) fn concurrent_codes(&self) -> impl Iterator<Item = u16> {
        self.concurrent.codes()
    }

    /// Polls the running serial handler.
    pub(crate) fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<Option<EndedCall>> {
        let Running::Call(_, future) = &mut self.serial.running else { return Poll::Ready(None) };
        let outcome = ready!(poll_caught(future, cx));
        let running = std::mem::take(&mut self.serial.running);
        self.serial.note();
        Poll::Ready(match running {
            Running::Call(origin, future) => Some((origin, outcome, future)),
            Running::Nothing | Running::Thread(_) => None,
        })
    }

    /// Polls the concurrent calls; returns the next one that has ended.
    pub(crate) fn poll_concurrent(&mut self, cx: &mut Context<'_>) -> Poll<EndedCall> {
        self.concurrent.poll_ended(cx)
    }

    /// Returns whether a reply waits for room.
    pub(crate) fn is_parked(&self) -> bool {
        !self.serial.parked.is_empty()
    }

    /// Holds a reply until the peer's outbox has room, behind the replies that wait already.
    pub(crate) fn park(&mut self, reply: Frame) {
        self.serial.parked.push_back(reply);
        self.serial.note();
    }

    /// Holds a reply that was taken too early.
    pub(crate) fn park_again(&mut self, reply: Frame) {
        self.serial.parked.push_front(reply);
        self.serial.note();
    }

    /// Returns the reply that has waited longest.
    pub(crate) fn take_parked(&mut self) -> Option<Frame> {
        let reply = self.serial.parked.pop_front()?;
        if self.serial.parked.is_empty() {
            // An idle connection holds no memory for replies.
            self.serial.parked = VecDeque::new();
        }
        self.serial.note();
        Some(reply)
    }

    /// Queues a message in the inbox. It outlives the read buffer's batch, so a short body is copied
    /// out of it.
    pub(crate) fn wait(&mut self, route: RouteId, message: Message) {
        let message = message.detach_below(DETACH_BELOW);
        if let Some(thread) = self.thread() {
            return thread.wait(route, message);
        }
        self.serial.inbox_charge += charge(&message);
        self.serial.inbox.push_back((route, message));
        self.serial.note();
    }

    /// Returns the route of the next message in the inbox, if nothing is before it.
    pub(crate) fn next_route(&self) -> Option<RouteId> {
        if !matches!(self.serial.running, Running::Nothing) || self.is_parked() {
            return None;
        }
        self.serial.inbox.front().map(|(route, _)| *route)
    }

    /// Takes the next message of the inbox, if nothing is before it.
    pub(crate) fn next(&mut self) -> Option<(RouteId, Message)> {
        self.next_route()?;
        let serial = &mut self.serial;
        if fault!("serial_reorders") {
            serial.inbox.make_contiguous().reverse();
        }
        let (route, message) = serial.inbox.pop_front()?;
        serial.inbox_charge -= charge(&message);
        if serial.inbox.is_empty() {
            // An idle connection holds no memory for messages.
            serial.inbox = VecDeque::new();
        }
        serial.note();
        Some((route, message))
    }

    /// Returns the bytes of the inbox, each message with its overhead.
    #[inline]
    pub(crate) fn inbox_charge(&self) -> usize {
        self.thread().map_or(self.serial.inbox_charge, HandlerThread::charge)
    }

    /// Returns whether the inbox has room for another message.
    pub(crate) fn has_room(&self, messages: usize, bytes: usize) -> bool {
        match self.thread() {
            Some(thread) => thread.has_room(messages, bytes),
            None => self.serial.inbox.len() < messages && self.serial.inbox_charge < bytes,
        }
    }

    /// Returns whether the inbox has room while a call of this side waits for its answer.
    pub(crate) fn has_room_while_calling(&self) -> bool {
        self.has_room(usize::MAX, INBOX_BYTES_WHILE_CALLING)
    }

    /// Returns a pooled future for this route, if there is one.
    #[inline]
    pub(crate) fn take_future(&mut self, route: RouteId, routes: &Routes) -> Option<PooledFuture> {
        self.pool.take(route, routes)
    }

    /// Keeps the future of a handler that ended at its first poll.
    #[inline]
    pub(crate) fn keep_future(&mut self, route: RouteId, routes: &Routes, future: PooledFuture) {
        self.pool.keep(route, routes, future);
    }

    /// Keeps the future of a handler that had to wait.
    pub(crate) fn keep_waited_future(
        &mut self,
        origin: Origin,
        routes: &Routes,
        future: PooledFuture,
        outcome: &Outcome,
    ) {
        if let Origin::Message { route, .. } = origin {
            self.pool.keep_waited(route, routes, future, outcome);
        }
    }

    /// Gives the kept future back to its route: an idle connection holds none.
    pub(crate) fn give_back_future(&mut self, routes: &Routes) {
        if !self.pool.is_empty() {
            self.pool.give_back(routes);
        }
    }

    /// Counts a turn; returns its number.
    pub(crate) const fn count_turn(&mut self) -> u8 {
        self.turns = self.turns.wrapping_add(1);
        self.turns
    }

    /// Drops the messages that wait for their handler, and returns their number. Running handlers
    /// continue.
    pub(crate) fn discard_waiting(&mut self) -> u64 {
        if let Some(thread) = self.thread() {
            return thread.discard_waiting();
        }
        self.serial.inbox_charge = 0;
        let discarded = std::mem::take(&mut self.serial.inbox).len() as u64;
        self.serial.note();
        discarded
    }

    /// Cancels all handlers and drops the messages that wait.
    pub(crate) fn cancel(&mut self) -> Cancelled {
        let Serial { running, parked, inbox, .. } = std::mem::take(&mut self.serial);
        let replies = parked.iter().map(Frame::code).collect();
        let concurrent = self.concurrent.cancel();
        let in_handler = matches!(running, Running::Call(Origin::Message { .. }, _));
        let handlers = match running {
            Running::Nothing => concurrent,
            Running::Call(_, future) => {
                drop_caught(future);
                1 + concurrent
            }
            Running::Thread(thread) => {
                let cancelled = thread.cancel();
                self.serial.running = Running::Thread(thread);
                self.serial.note();
                return Cancelled { replies, ..cancelled };
            }
        };
        let messages = inbox.len() as u64 + u64::from(in_handler) + concurrent;
        if fault!("cancelled_uncounted") {
            return Cancelled { handlers: concurrent, messages: concurrent, replies: Vec::new() };
        }
        Cancelled { handlers, messages, replies }
    }
}

/// Returns the bytes of a waiting message, with its overhead.
pub(crate) fn charge(message: &Message) -> usize {
    message.body().len() + FRAME_OVERHEAD
}
