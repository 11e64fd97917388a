//! The outbox of a peer: a bounded queue of frames that every sender can also flush.
//!
//! It takes the place of an mpsc channel. Tokio's channel cannot count bytes, cannot drop its
//! oldest entry and cannot be drained by its senders. The states of an outbox:
//!
//! ```text
//!  Idle ──push──▶ Queued ──flush──▶ Writing ──all written──▶ Idle
//!                   ▲                  │
//!                   │              WouldBlock
//!               writable               ▼
//!                   └────────────── Blocked          (any) ──close──▶ Closed
//! ```
//!
//! - The push that finds `Idle` makes its caller responsible for a flush. All other pushes only
//!   enqueue.
//! - `Writing` belongs to one flusher. It takes the queue and the stream out, so that no lock is
//!   held across the system call, and continues until the queue is empty or the stream is full.
//! - In `Blocked` only the connection's own task may act: it waits until the stream is writable.
//! - `Closed` releases the stream, so that a handle that outlives its connection holds no
//!   descriptor.
//! - The broadcasts of one poll may stand behind the queue as a [shared batch](shared_batch) of
//!   many outboxes. No caller sees a difference: before any other operation, the outbox enqueues
//!   the frames that its shared batch has by then.
//!
//! The class of a frame decides which frame is dropped when there is no room, see
//! [`DeliveryClass`](veltix_core::DeliveryClass). No frame is dropped or superseded before the
//! stream was full:
//! - In `Blocked`, a value of a key takes the place of the older value. A flush that meets a full
//!   stream also compacts the waiting frames: one frame remains for each key.
//! - A broadcast that finds no room is preferred to waiting frames that may be dropped: the oldest
//!   of them make room. If they cannot, the broadcast's policy decides.
//! - A begun frame is always finished. A frame that was sent to this peer alone is never dropped
//!   for other frames.
//!
//! The accounting is always exact: `accepted = written + dropped + queued`.

mod drops;
mod flush;
mod join;
mod pending_write;
mod push;
mod queue;
mod sent;
mod shared_batch;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use tokio::time::Instant;

use crate::memory::Memory;
use crate::sync::{Guard, Mutex};
use crate::sync::{QueuePosition, wake_all};
use crate::transport::StreamWriter;

pub use drops::Dropped;
pub(crate) use drops::{DropReason, Drops};
pub(crate) use push::{Overflow, Push};
pub(crate) use queue::{Capacity, Queued, Size, charge};
pub use sent::Sent;
pub(crate) use shared_batch::{Member, SharedBatch};
use state::{Phase, State};

/// The outbox of one peer, shared by all its senders.
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// True if the outbox is blocked and holds too many pongs. The reader reads it without the lock
    /// and pauses while it is true.
    congested: AtomicBool,
    capacity: Capacity,
}

/// The status of an outbox for the connection's own task, read under one lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxStatus {
    /// True if frames are queued that the task may flush.
    pub(crate) queued: bool,
    /// True if the stream is full: the task waits for it with [`Outbox::poll_writable`].
    pub(crate) blocked: bool,
    /// True if no frame is queued or being written.
    pub(crate) empty: bool,
    /// The error of the write that closed the outbox.
    pub(crate) failure: Option<io::ErrorKind>,
    /// The number of bytes that the stream has taken.
    pub(crate) written: u64,
    /// The time at which the stream last took bytes.
    pub(crate) written_at: Option<Instant>,
    /// The time since which the stream has taken no bytes although frames wait.
    pub(crate) stalled_since: Option<Instant>,
    /// True if a frame has found no room: see [`Outbox::take_overflow`].
    pub(crate) overflowed: bool,
    /// True if frames were dropped for other frames and the outbox has been empty since: the task
    /// must report the counts of [`Outbox::take_dropped`] to the application.
    pub(crate) dropped: bool,
}

/// The state of an outbox, as a look shows it that changes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxView {
    pub(crate) sent: Sent,
    /// The memory of the queued frames.
    pub(crate) queued_bytes: usize,
    /// The number of bytes that the stream has taken.
    pub(crate) written_bytes: u64,
    /// True if the stream is full.
    pub(crate) is_blocked: bool,
    /// The time since which the stream takes no bytes although frames wait.
    pub(crate) stalled_since: Option<Instant>,
}

impl Outbox {
    /// Creates an outbox. It also counts its dropped frames in `drops` and its memory in `memory`;
    /// the outboxes of the side share both.
    pub(crate) fn new(
        writer: Box<dyn StreamWriter>,
        capacity: Capacity,
        drops: Arc<Drops>,
        memory: Arc<Memory>,
    ) -> Self {
        let state = State::new(writer, drops, memory);
        Self { state: Mutex::new(state), congested: AtomicBool::new(false), capacity }
    }

    /// Takes the lock. If the outbox is a member of a shared batch, it first leaves the batch, so
    /// that every other operation comes after the frames of the batch.
    #[inline]
    fn lock(&self) -> Guard<'_, State> {
        let mut state = self.state.lock();
        if state.batch.is_some() {
            state.leave_batch();
        }
        state
    }

    /// Waits until a full stream takes bytes again. It is ready at once if the stream is not full.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.state.lock().phase != Phase::Blocked {
            return Poll::Ready(());
        }
        // The write that follows reports an error.
        if self.lend(|writer| writer.poll_write_ready(cx)).is_pending() {
            return Poll::Pending;
        }
        let mut state = self.state.lock();
        if state.phase == Phase::Blocked {
            // Frames that came while the stream was full were detached at that time.
            state.queue.mark_detached();
            state.phase = Phase::Queued;
        }
        Poll::Ready(())
    }

    /// Writes all queued frames and then the end of the stream. The connection's own task calls it
    /// after [`Outbox::seal`]. It is also ready when the stream has failed.
    pub(crate) fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.status(cx.waker()).blocked {
            ready!(self.poll_writable(cx));
        }
        self.flush();
        let status = self.status(cx.waker());
        if status.failure.is_some() || status.empty {
            return self.lend(|writer| writer.poll_shutdown(cx)).map(|_| ());
        }
        // In every other state a flusher, or the stream, wakes this task.
        if status.queued {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Takes the stream out for a call that is not made under the lock, because it may be a system
    /// call. Only the connection's own task uses it, while no flusher has the stream or will need
    /// it.
    fn lend(
        &self,
        call: impl FnOnce(&mut dyn StreamWriter) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        let Some(mut writer) = self.state.lock().writer.take() else { return Poll::Ready(Ok(())) };
        let poll = call(&mut *writer);
        let mut state = self.state.lock();
        if state.phase != Phase::Closed {
            state.writer = Some(writer);
        }
        poll
    }

    /// Registers the waker of the connection's own task and returns the status of the outbox.
    pub(crate) fn status(&self, owner: &Waker) -> OutboxStatus {
        let mut state = self.lock();
        match &state.owner {
            Some(known) if known.will_wake(owner) => {}
            _ => state.owner = Some(owner.clone()),
        }
        state.owner_waits = state.phase == Phase::Writing;
        OutboxStatus {
            queued: state.phase == Phase::Queued,
            blocked: state.phase == Phase::Blocked,
            empty: state.frames == 0,
            failure: state.failure,
            written: state.written,
            written_at: state.written_at,
            stalled_since: state.stalled_since,
            overflowed: state.overflow_noted,
            dropped: state.is_episode_over(),
        }
    }

    /// Wakes the connection's own task.
    pub(crate) fn wake_owner(&self) {
        let waker = self.state.lock().owner.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Releases the stream and counts the queued frames as dropped. Frames of a pending write are
    /// counted when its flusher returns; [`Outbox::poll_recorded`] waits for that.
    pub(crate) fn close(&self, reason: DropReason) {
        let (writer, (queue, waiters)) = {
            let mut state = self.lock();
            self.congested.store(false, Ordering::Relaxed);
            (state.writer.take(), state.close(reason))
        };
        // The descriptor may close here, which is a system call, and the destructor of a body may
        // run code of its owner: both happen outside the lock.
        drop((writer, queue));
        wake_all(waiters);
    }

    /// Stops accepting frames. Queued frames are still written.
    pub(crate) fn seal(&self) {
        let waiters = {
            let mut state = self.lock();
            state.sealed = true;
            state.room_waiters.take()
        };
        wake_all(waiters);
    }

    /// Waits until a closed outbox has counted every frame. Only the connection's own task uses it.
    pub(crate) fn poll_recorded(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Registers the task first, so that a flusher that returns between the two steps wakes it.
        self.status(cx.waker());
        let state = self.state.lock();
        if state.phase == Phase::Closed && state.frames == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Returns whether the stream is full and pongs have filled the outbox beyond its capacity.
    pub(crate) fn is_congested(&self) -> bool {
        self.congested.load(Ordering::Relaxed)
    }

    /// Returns whether the outbox has begun to overflow since the last call.
    pub(crate) fn take_overflow(&self) -> bool {
        std::mem::take(&mut self.state.lock().overflow_noted)
    }

    /// Takes the counts of frames that were dropped for other frames and not reported yet, by code.
    pub(crate) fn take_dropped(&self) -> Vec<Dropped> {
        self.state.lock().take_episode()
    }

    /// Gives up a wait for room.
    pub(crate) fn leave_queue(&self, position: &QueuePosition) {
        if position.is_assigned() {
            let waker = self.state.lock().room_waiters.leave(position);
            drop(waker);
        }
    }

    /// Returns the memory of the outbox: the counted bytes, and while its stream is full, also
    /// shared bodies.
    pub(crate) fn held(&self) -> usize {
        let state = self.state.lock();
        match state.phase {
            Phase::Blocked => state.charge,
            _ => state.holding.bytes(),
        }
    }

    /// Returns the number of bytes that the stream has taken.
    pub(crate) fn written(&self) -> u64 {
        self.state.lock().written
    }

    /// Returns the state of the outbox. An outbox in a shared batch stays there: a reader of metrics must
    /// not make a broadcast push to each peer.
    pub(crate) fn peek(&self) -> OutboxView {
        let state = self.state.lock();
        let batch = state.batch.as_ref().map(|it| it.batch.size()).unwrap_or_default();
        let mut sent = state.sent.with_queued((state.frames + batch.frames) as u64);
        sent.accepted += batch.frames as u64;
        OutboxView {
            sent,
            queued_bytes: state.charge + batch.charge,
            written_bytes: state.written,
            is_blocked: state.phase == Phase::Blocked,
            stalled_since: state.stalled_since,
        }
    }

    /// Returns the counts of accepted, written, dropped and queued frames.
    pub(crate) fn sent(&self) -> Sent {
        let state = self.lock();
        state.sent.with_queued(state.frames as u64)
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Outbox")
            .field("phase", &state.phase)
            .field("frames", &state.frames)
            .field("charge", &state.charge)
            .finish_non_exhaustive()
    }
}
