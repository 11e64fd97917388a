//! The lane of a connection: its handlers, in order and one at a time, and the inbox before them.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use veltix_core::limits::{DETACH_BELOW, FRAME_OVERHEAD, INBOX_BYTES_WHILE_CALLING};
use veltix_core::{Frame, Message, RequestId};

use crate::planted::planted;
use crate::router::{Outcome, PooledFuture, RouteId, poll_caught};
use crate::sync::drop_caught;

/// Where a handler's call came from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// The peer has just come.
    Connect,
    /// A message.
    Message { route: RouteId, code: u16, id: RequestId },
}

impl Origin {
    /// The message's code, or 0.
    pub(super) const fn code(&self) -> u16 {
        match self {
            Self::Connect => 0,
            Self::Message { code, .. } => *code,
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Serial {
    running: Option<(Origin, PooledFuture)>,
    /// Replies that found no room in their peer's outbox: no other handler is started until they
    /// have. So there is at most one for each handler that ran when the first was parked.
    parked: VecDeque<Frame>,
    inbox: VecDeque<(RouteId, Message)>,
    inbox_charge: usize,
}

impl Serial {
    /// Whether a message may be handled at once: nothing runs, nothing waits.
    pub(super) fn is_free(&self) -> bool {
        self.running.is_none() && self.parked.is_empty() && self.inbox.is_empty()
    }

    /// Puts a handler's call that waits into the lane.
    pub(super) fn run(&mut self, origin: Origin, future: PooledFuture) {
        debug_assert!(self.running.is_none(), "handlers run one at a time");
        self.running = Some((origin, future));
    }

    /// The code of what runs.
    pub(super) fn runs(&self) -> Option<u16> {
        self.running.as_ref().map(|(origin, _)| origin.code())
    }

    /// Polls what runs; says how it ended, and gives its box back.
    pub(super) fn poll_running(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(Origin, Outcome, PooledFuture)>> {
        let Some((_, future)) = &mut self.running else { return Poll::Ready(None) };
        let outcome = ready!(poll_caught(future, cx));
        Poll::Ready(self.running.take().map(|(origin, future)| (origin, outcome, future)))
    }

    /// Holds a reply until its peer's outbox has room, behind those that wait already.
    pub(super) fn park(&mut self, reply: Frame) {
        self.parked.push_back(reply);
    }

    /// Holds on to a reply that was taken too early.
    pub(super) fn park_again(&mut self, reply: Frame) {
        self.parked.push_front(reply);
    }

    /// The reply that has waited longest.
    pub(super) fn take_parked(&mut self) -> Option<Frame> {
        let reply = self.parked.pop_front()?;
        if self.parked.is_empty() {
            // An idle connection holds no memory for replies.
            self.parked = VecDeque::new();
        }
        Some(reply)
    }

    /// Lets a message wait. It outlives the read buffer's batch now, so a short body is copied
    /// out of it.
    pub(super) fn wait(&mut self, route: RouteId, message: Message) {
        let message = message.detach_below(DETACH_BELOW);
        self.inbox_charge += charge(&message);
        self.inbox.push_back((route, message));
    }

    /// Whether a reply waits for room.
    pub(super) fn is_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// The route of the message that is next, if nothing is before it.
    pub(super) fn next_route(&self) -> Option<RouteId> {
        if self.running.is_some() || self.is_parked() {
            return None;
        }
        self.inbox.front().map(|(route, _)| *route)
    }

    /// The message that is next, if nothing is before it.
    pub(super) fn next(&mut self) -> Option<(RouteId, Message)> {
        if self.running.is_some() || self.is_parked() {
            return None;
        }
        if planted!("serial_reorders") {
            self.inbox.make_contiguous().reverse();
        }
        let (route, message) = self.inbox.pop_front()?;
        self.inbox_charge -= charge(&message);
        if self.inbox.is_empty() {
            // An idle connection holds no memory for messages.
            self.inbox = VecDeque::new();
        }
        Some((route, message))
    }

    /// What waits for its handler: bytes, where each message counts more than its own.
    #[inline]
    pub(super) const fn inbox_charge(&self) -> usize {
        self.inbox_charge
    }

    /// Whether another message may be read.
    pub(super) fn has_room(&self, messages: usize, bytes: usize) -> bool {
        self.inbox.len() < messages && self.inbox_charge < bytes
    }

    /// Whether another message may be read while a call of ours waits for its answer.
    pub(super) const fn has_room_while_calling(&self) -> bool {
        self.inbox_charge < INBOX_BYTES_WHILE_CALLING
    }

    /// Ends what runs and what waits; says how many handlers and messages that were.
    pub(super) fn cancel(&mut self) -> Cancelled {
        let running = self.running.take();
        let handlers = u64::from(running.is_some());
        let in_handler = matches!(running, Some((Origin::Message { .. }, _)));
        drop_caught(running);
        let messages = self.inbox.len() as u64 + u64::from(in_handler);
        let parked = std::mem::take(&mut self.parked);
        let replies = parked.iter().map(Frame::code).collect();
        self.inbox = VecDeque::new();
        self.inbox_charge = 0;
        if planted!("cancelled_uncounted") {
            return Cancelled::default();
        }
        Cancelled { handlers, messages, replies }
    }
}

/// What [`Serial::cancel`] ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancelled {
    pub(super) handlers: u64,
    /// Messages whose handler ran, or that waited for theirs.
    pub(super) messages: u64,
    /// The codes of replies that had found no room yet.
    pub(super) replies: Vec<u16>,
}

fn charge(message: &Message) -> usize {
    message.body().len() + FRAME_OVERHEAD
}
