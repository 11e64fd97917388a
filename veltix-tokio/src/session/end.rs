//! [`End`]: the request to end a connection, and how the connection ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use crate::close::{CloseReason, Disconnected};
use crate::sync::{Mutex, QueuePosition, Waiters, wake_all};

/// The end of a connection, shared by its handles and its task.
#[derive(Default)]
pub(crate) struct End {
    /// Read by the task at every poll. The reason is behind the lock.
    is_asked: AtomicBool,
    /// This side does not wait for handlers any more, for any reason of the end.
    is_cancelled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The first reason that was given.
    asked: Option<CloseReason>,
    /// How the connection ended. Boxed: most connections are still open.
    outcome: Option<Box<Disconnected>>,
    waiting: Waiters,
}

impl End {
    /// Asks for the end. The first reason counts.
    pub(super) fn ask(&self, reason: CloseReason) {
        let waiting = {
            let mut state = self.state.lock();
            if state.asked.is_some() {
                return;
            }
            state.asked = Some(reason);
            state.waiting.take()
        };
        self.is_asked.store(true, Ordering::Release);
        // Tasks that wait for the outcome wait again.
        wake_all(waiting);
    }

    /// Records that this side closes, as by [`Peer::close`](crate::Peer::close).
    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
    }

    /// Returns whether the connection is ending or has ended.
    pub(crate) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Acquire)
    }

    /// Returns the reason for which the task was asked to end the connection.
    pub(crate) fn asked(&self) -> Option<CloseReason> {
        if self.is_asked() { self.state.lock().asked.clone() } else { None }
    }

    /// Returns whether this side closes. This cancels handlers that an earlier request for the end
    /// let finish.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Records how the connection ended, and wakes the tasks that wait for it.
    pub(crate) fn complete(&self, outcome: Disconnected) {
        let waiting = {
            let mut state = self.state.lock();
            state.asked.get_or_insert_with(|| outcome.reason.clone());
            state.outcome = Some(Box::new(outcome));
            state.waiting.take()
        };
        self.is_asked.store(true, Ordering::Release);
        wake_all(waiting);
    }

    /// Waits until the end was asked for, at this position in the queue.
    pub(crate) fn poll_asked(&self, position: &mut QueuePosition, waker: &Waker) -> Poll<()> {
        let mut state = self.state.lock();
        if state.asked.is_some() {
            return Poll::Ready(());
        }
        state.waiting.wait(position, waker);
        Poll::Pending
    }

    /// Waits for the outcome at this position in the queue.
    pub(crate) fn poll(&self, position: &mut QueuePosition, waker: &Waker) -> Poll<Disconnected> {
        let mut state = self.state.lock();
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(Disconnected::clone(outcome));
        }
        state.waiting.wait(position, waker);
        Poll::Pending
    }

    /// Cancels a wait.
    pub(crate) fn leave_queue(&self, position: &QueuePosition) {
        if position.is_assigned() {
            let waker = self.state.lock().waiting.leave(position);
            drop(waker);
        }
    }
}
