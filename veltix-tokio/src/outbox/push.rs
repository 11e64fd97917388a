//! The door of an outbox: what becomes of a frame that wants in.

use std::sync::atomic::Ordering;
use std::task::Waker;

use veltix_core::limits::DETACH_BELOW;
use veltix_core::{DeliveryClass, Frame, OverflowPolicy};

use super::queue::{Capacity, Queued};
use super::state::Phase;
use super::{DropReason, Outbox};
use crate::planted::planted;
use crate::sync::{QueuePosition, wake_all};

/// What happened to a frame.
#[derive(Debug)]
pub(crate) enum Push {
    /// It is queued.
    Queued(Queued),
    /// There is no room; nothing was changed.
    Full(Frame),
    /// The connection is over.
    Closed,
}

/// Where somebody waits for room, and who.
pub(crate) type Waiting<'a> = (&'a mut QueuePosition, &'a Waker);

/// What [`Outbox::push_or`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The frame is queued.
    Queued(Queued),
    /// The frame is dropped.
    Refused,
    /// The frame is dropped and the peer is to be disconnected.
    Disconnect,
    /// The connection is over.
    Closed,
}

impl Outbox {
    /// Queues a frame if there is room. A full outbox that has not met `WouldBlock` is emptied
    /// first, by the caller: no policy may fire only because nobody has written yet.
    pub(crate) fn push(&self, frame: Frame) -> Push {
        self.push_or_wait(frame, None)
    }

    /// As [`Outbox::push`]; whoever stands in line is woken when there may be room for what found
    /// none.
    pub(crate) fn push_or_wait(&self, mut frame: Frame, waiting: Option<Waiting<'_>>) -> Push {
        if !frame.class().is_default() && frame.class().key().is_none() {
            // Its sender is told if there is no room, and told once: it is not dropped later.
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

    /// The stream is full, or the outbox, or there is none any more.
    #[cold]
    fn offer_in_need(&self, mut frame: Frame, waiting: Option<Waiting<'_>>) -> Push {
        // A body may run its owner's code when it goes, so what gives way here, and what is copied
        // because it is going to wait, goes outside the lock.
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
            if untried && !planted!("policy_before_flush") {
                drop(state);
                self.flush();
                // It may have to wait now.
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
                let owner = state.record_waiting();
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

    /// Queues a frame whether there is room or not: only for the connection's own answers to
    /// pings, whose number is bounded by pausing its reading.
    pub(crate) fn push_beyond(&self, frame: Frame) -> Push {
        let mut gone = Vec::new();
        let mut state = self.lock();
        let unlimited = Capacity { frames: usize::MAX, bytes: usize::MAX };
        let pushed = state.push(frame, unlimited, &mut gone);
        // Only here: who waits for room to send is read all the same, or two sides that fill each
        // other's outbox would wait for each other.
        if pushed.is_ok()
            && state.phase == Phase::Blocked
            && !self.capacity.twice().fits(state.frames, state.charge, 0)
        {
            self.congested.store(true, Ordering::Relaxed);
        }
        // Over the budget, its caller is the connection's task, which sees to that anyway.
        let owner = state.record_waiting();
        drop(state);
        drop(owner);
        pushed.map_or(Push::Closed, Push::Queued)
    }

    /// Queues a broadcast's frame, or does what its class says, where the default is this.
    pub(crate) fn push_or(&self, mut frame: Frame, default: OverflowPolicy) -> Overflow {
        let policy = frame.class().policy(default);
        if frame.class().is_default() && default != OverflowPolicy::Disconnect {
            frame.set_class(DeliveryClass::DEFAULT.resolve(default));
        }
        match self.offer(frame, None) {
            Push::Queued(queued) => Overflow::Queued(queued),
            Push::Closed => Overflow::Closed,
            // A value of a key was offered the places of others already.
            Push::Full(frame) => self.overflow(frame, policy.unwrap_or(OverflowPolicy::DropNewest)),
        }
    }

    fn overflow(&self, mut frame: Frame, policy: OverflowPolicy) -> Overflow {
        // The stream may have become full since it was offered.
        frame.detach_below(DETACH_BELOW);
        let code = frame.code();
        let mut gone = Vec::new();
        let mut state = self.lock();
        if state.is_over() {
            return Overflow::Closed;
        }
        let mut allowance = state.allowance(self.capacity);
        if planted!("unbounded_outbox") {
            allowance = Capacity { frames: usize::MAX, bytes: usize::MAX };
        }
        let pushed = match policy {
            OverflowPolicy::DropNewest => state.push(frame, allowance, &mut gone),
            _ => state.push_over(frame, allowance, &mut gone),
        };
        let refused = match pushed {
            Ok(queued) => {
                let waiters = self.take_room_waiters(&mut state);
                let owner = state.record_waiting();
                drop(state);
                wake_all(waiters.into_iter().chain(owner));
                return Overflow::Queued(queued);
            }
            Err(frame) => frame,
        };
        let outcome = if policy == OverflowPolicy::Disconnect {
            state.refuse(DropReason::SlowConsumer, code);
            // Nothing may follow the hole, however long the peer's task takes to end it.
            state.sealed = true;
            let waiters: Vec<_> = state.room_waiters.take().collect();
            drop(state);
            wake_all(waiters);
            Overflow::Disconnect
        } else {
            state.refuse(DropReason::Policy, code);
            drop(state);
            Overflow::Refused
        };
        drop(refused);
        outcome
    }

    /// Counts a frame that was taken on and finds the connection over.
    pub(crate) fn refuse(&self, reason: DropReason, code: u16) {
        self.state.lock().refuse(reason, code);
    }
}
