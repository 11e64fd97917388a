//! Pushing frames into an outbox, and the decision about a frame that finds no room.

use std::sync::atomic::Ordering;
use std::task::Waker;

use veltix_core::limits::DETACH_BELOW;
use veltix_core::{DeliveryClass, Frame, OverflowPolicy};

use super::queue::{Capacity, Queued};
use super::state::Phase;
use super::{DropReason, Outbox};
use crate::sync::{QueuePosition, wake_all};

/// The outcome of a push.
#[derive(Debug)]
pub(crate) enum Push {
    /// The frame is queued.
    Queued(Queued),
    /// There is no room, and nothing was changed.
    Full(Frame),
    /// The connection has ended.
    Closed,
}

/// The queue position and the waker of a sender that waits for room.
pub(crate) type Waiting<'a> = (&'a mut QueuePosition, &'a Waker);

/// The outcome of [`Outbox::push_or`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The frame is queued.
    Queued(Queued),
    /// The frame is dropped.
    Refused,
    /// The frame is dropped and the peer is to be disconnected.
    Disconnect,
    /// The connection has ended.
    Closed,
}

impl Outbox {
    /// Queues a frame if there is room. If the outbox is full but has not met `WouldBlock`, the
    /// caller flushes it first: no policy may apply only because no flush has happened yet.
    pub(crate) fn push(&self, frame: Frame) -> Push {
        self.push_or_wait(frame, None)
    }

    /// Queues a frame like [`Outbox::push`]. If there is no room, `waiting` is woken when there may
    /// be room again.
    pub(crate) fn push_or_wait(&self, mut frame: Frame, waiting: Option<Waiting<'_>>) -> Push {
        if !frame.class().is_default() && frame.class().key().is_none() {
            // The sender learns at once that there is no room, and only once: an accepted frame is
            // not dropped later.
            frame.set_class(DeliveryClass::DEFAULT);
        }
        self.offer(frame, waiting)
    }

    #[inline]
    fn offer(&self, frame: Frame, waiting: Option<Waiting<'_>>) -> Push {
        let pushed = self.lock().push_at_once(frame, self.capacity);
        match pushed {
            Ok(queued) => Push::Queued(queued),
            Err(frame) => self.offer_in_need(frame, waiting),
        }
    }

    /// Handles the rare cases: the stream is full, or the outbox is full or closed.
    #[cold]
    fn offer_in_need(&self, mut frame: Frame, waiting: Option<Waiting<'_>>) -> Push {
        // The destructor of a body may run code of its owner. So superseded frames, and bodies that
        // are copied because their frame is going to wait, are dropped outside the lock.
        let mut gone = Vec::new();
        let mut state = self.lock();
        if state.phase == Phase::Blocked {
            drop(state);
            frame.detach_below(DETACH_BELOW);
            state = self.lock();
        }
        let mut pushed = state.push(frame, self.capacity, &mut gone);
        if let Err(mut frame) = pushed {
            let untried = state.phase == Phase::Queued && !state.is_over();
            if untried && !fault!("policy_before_flush") {
                drop(state);
                self.flush();
                // The frame may have to wait now.
                frame.detach_below(DETACH_BELOW);
                state = self.lock();
            }
            let allowance = state.allowance(self.capacity);
            pushed = if frame.class().key().is_some() {
                state.push_over(frame, allowance, &mut gone)
            } else {
                state.push(frame, allowance, &mut gone)
            };
        }
        let refused = match pushed {
            Ok(queued) => {
                // A smaller value may have taken the place of a larger one.
                let waiters =
                    if gone.is_empty() { Vec::new() } else { self.take_room_waiters(&mut state) };
                let overflow = if queued.dropped > 0 { state.note_overflow() } else { None };
                let owner = state.record_waiting().or(overflow);
                drop(state);
                wake_all(waiters.into_iter().chain(owner));
                return Push::Queued(queued);
            }
            Err(frame) => frame,
        };
        if state.is_over() {
            drop(state);
            return Push::Closed;
        }
        state.owner_waits = true;
        if let Some((position, waker)) = waiting {
            state.room_waiters.wait(position, waker);
        }
        Push::Full(refused)
    }

    /// Queues a frame whether there is room or not. Only the connection's own pongs use it; pausing
    /// the reader bounds their number.
    pub(crate) fn push_beyond(&self, frame: Frame) -> Push {
        let mut gone = Vec::new();
        let mut state = self.lock();
        let unlimited = Capacity { frames: usize::MAX, bytes: usize::MAX };
        let pushed = state.push(frame, unlimited, &mut gone);
        // Only pongs pause the reader. A peer whose senders wait for room is still read; otherwise
        // two sides that fill each other's outbox would wait for each other.
        if pushed.is_ok()
            && state.phase == Phase::Blocked
            && !self.capacity.twice().fits(state.frames, state.charge, 0)
        {
            self.congested.store(true, Ordering::Relaxed);
        }
        // Above the memory budget the owner would be woken. The caller is that task and checks the
        // budget itself.
        let owner = state.record_waiting();
        drop(state);
        drop(owner);
        pushed.map_or(Push::Closed, Push::Queued)
    }

    /// Queues the frame of a broadcast, or applies the policy of its class; `default` is the policy
    /// of frames without one.
    pub(crate) fn push_or(&self, mut frame: Frame, default: OverflowPolicy) -> Overflow {
        let policy = frame.class().policy(default);
        if frame.class().is_default() && default != OverflowPolicy::Disconnect {
            frame.set_class(DeliveryClass::DEFAULT.resolve(default));
        }
        match self.offer(frame, None) {
            Push::Queued(queued) => Overflow::Queued(queued),
            Push::Closed => Overflow::Closed,
            // A value of a key has already been offered the places of other frames.
            Push::Full(frame) => self.overflow(frame, policy.unwrap_or(OverflowPolicy::DropNewest)),
        }
    }

    fn overflow(&self, mut frame: Frame, policy: OverflowPolicy) -> Overflow {
        // The stream may have become full since the frame was offered.
        frame.detach_below(DETACH_BELOW);
        let code = frame.code();
        let mut gone = Vec::new();
        let mut state = self.lock();
        if state.is_over() {
            return Overflow::Closed;
        }
        let mut allowance = state.allowance(self.capacity);
        if fault!("unbounded_outbox") {
            allowance = Capacity { frames: usize::MAX, bytes: usize::MAX };
        }
        let pushed = match policy {
            OverflowPolicy::DropNewest => state.push(frame, allowance, &mut gone),
            _ => state.push_over(frame, allowance, &mut gone),
        };
        let refused = match pushed {
            Ok(queued) => {
                let waiters = self.take_room_waiters(&mut state);
                let overflow = if queued.dropped > 0 { state.note_overflow() } else { None };
                let owner = state.record_waiting().or(overflow);
                drop(state);
                wake_all(waiters.into_iter().chain(owner));
                return Overflow::Queued(queued);
            }
            Err(frame) => frame,
        };
        let owner = state.note_overflow();
        let outcome = if policy == OverflowPolicy::Disconnect {
            state.refuse(DropReason::SlowConsumer, code);
            // No frame may follow the gap, however long the peer's task takes to end the
            // connection.
            state.sealed = true;
            let waiters: Vec<_> = state.room_waiters.take().collect();
            drop(state);
            wake_all(waiters.into_iter().chain(owner));
            Overflow::Disconnect
        } else {
            state.refuse(DropReason::Policy, code);
            drop(state);
            wake_all(owner);
            Overflow::Refused
        };
        drop(refused);
        outcome
    }

    /// Counts a broadcast's frame that is larger than the peer accepts; returns whether the connection
    /// is open, without which it counts nothing.
    pub(crate) fn refuse_too_large(&self, code: u16) -> bool {
        let mut state = self.lock();
        let is_open = !state.is_over();
        if is_open {
            state.refuse(DropReason::TooLarge, code);
        }
        is_open
    }

    /// Counts a frame that was accepted for a connection that has ended.
    pub(crate) fn refuse(&self, reason: DropReason, code: u16) {
        self.state.lock().refuse(reason, code);
    }
}
