//! A peer's outbox: a bounded queue of frames that whoever fills it can also empty.
//!
//! It is the peer's mpsc channel, and our own because Tokio's can neither count bytes, nor drop
//! its oldest, nor be drained by whoever filled it. Its states:
//!
//! ```text
//!  Idle ──push──▶ Queued ──flush──▶ Writing ──all written──▶ Idle
//!                   ▲                  │
//!                   │              WouldBlock
//!               writable               ▼
//!                   └────────────── Blocked          (any) ──close──▶ Closed
//! ```
//!
//! - The push that finds `Idle` makes its caller responsible for a flush; all others only push.
//! - `Writing` belongs to one flusher. It takes the queue and the stream out, so no lock is held
//!   across the system call, and goes on until the queue is empty or the stream is full.
//! - In `Blocked` only the connection's own task may act: it waits until the stream is writable.
//! - The stream is given up in `Closed`, so a handle that outlives its connection holds no
//!   descriptor.
//! - Broadcasts of one batch may stand behind the queue as a [shared batch](shared_batch) that many outboxes share. Nobody
//!   sees the difference: whatever happens to the outbox first queues what it has of the run.
//!
//! What is done with a frame that finds no room is said by its class, see
//! [`DeliveryClass`](veltix_core::DeliveryClass). Nothing is done before the stream was full:
//! - In `Blocked`, a value of a key takes the place of the older one, and what a flush finds
//!   waiting when it meets a full stream is brought to the same: one frame for each key.
//! - A broadcast that finds no room goes before waiting frames that may be dropped: the oldest of
//!   them make room, and where they cannot, its policy decides.
//! - A begun frame is finished, and what was sent to this peer alone is not dropped for others.
//!
//! Accounting, always: `accepted = written + dropped + queued`.

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

/// The outbox of one peer, shared by all who send to it.
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Blocked with far too many pongs; read without the lock by the reader, which pauses then.
    congested: AtomicBool,
    capacity: Capacity,
}

/// What the connection's own task needs to know, read under one lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxStatus {
    /// Something is queued that the task may flush.
    pub(crate) queued: bool,
    /// The stream is full: the task waits for it with [`Outbox::poll_writable`].
    pub(crate) blocked: bool,
    /// Nothing is queued or being written.
    pub(crate) empty: bool,
    /// Why a write failed, which closed the outbox.
    pub(crate) failure: Option<io::ErrorKind>,
    /// Bytes that the stream has taken so far.
    pub(crate) written: u64,
    /// When it last took some.
    pub(crate) written_at: Option<Instant>,
    /// Since when it has taken nothing although something waits.
    pub(crate) stalled_since: Option<Instant>,
    /// A frame has found no room: see [`Outbox::take_overflow`].
    pub(crate) overflowed: bool,
    /// Frames were dropped for others, and the outbox has been empty since: the application is to
    /// be told what [`Outbox::take_dropped`] gives.
    pub(crate) dropped: bool,
}

impl Outbox {
    /// What it drops is counted in `drops` too, and what it holds in `memory`, which the side's
    /// outboxes share.
    pub(crate) fn new(
        writer: Box<dyn StreamWriter>,
        capacity: Capacity,
        drops: Arc<Drops>,
        memory: Arc<Memory>,
    ) -> Self {
        let state = State::new(writer, drops, memory);
        Self { state: Mutex::new(state), congested: AtomicBool::new(false), capacity }
    }

    /// Takes the lock. Whoever looks, or comes, comes behind the run that the outbox is in.
    #[inline]
    fn lock(&self) -> Guard<'_, State> {
        let mut state = self.state.lock();
        if state.batch.is_some() {
            state.leave_batch();
        }
        state
    }

    /// Waits until a full stream takes something again; ready at once when it is not full.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.state.lock().phase != Phase::Blocked {
            return Poll::Ready(());
        }
        // An error shows itself in the write that follows.
        if self.lend(|writer| writer.poll_write_ready(cx)).is_pending() {
            return Poll::Pending;
        }
        let mut state = self.state.lock();
        if state.phase == Phase::Blocked {
            // What came while the stream was full was detached when it came.
            state.queue.mark_detached();
            state.phase = Phase::Queued;
        }
        Poll::Ready(())
    }

    /// Writes all that is queued, then the end of the stream; for the connection's own task, after
    /// [`Outbox::seal`]. Ready also when the stream has failed.
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

    /// Takes the stream out for a call that is not made under the lock, since it may be one of
    /// the system. For the connection's own task, and while no flusher has or will want it.
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

    /// Registers the connection's own task, and tells it how things stand.
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

    /// Gives up the stream and counts what is queued as dropped. What a flusher holds at this
    /// moment is counted when it returns, which [`Outbox::poll_recorded`] waits for.
    pub(crate) fn close(&self, reason: DropReason) {
        let (writer, (queue, waiters)) = {
            let mut state = self.lock();
            self.congested.store(false, Ordering::Relaxed);
            (state.writer.take(), state.close(reason))
        };
        // The descriptor may close here, a system call, and a body may run its owner's code when
        // it goes: outside the lock.
        drop((writer, queue));
        wake_all(waiters);
    }

    /// Accepts nothing more; what is queued is still written.
    pub(crate) fn seal(&self) {
        let waiters = {
            let mut state = self.lock();
            state.sealed = true;
            state.room_waiters.take()
        };
        wake_all(waiters);
    }

    /// Waits until a closed outbox has counted every frame; for the connection's own task.
    pub(crate) fn poll_recorded(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Registers the task first, so that a flusher that returns between the two wakes it.
        self.status(cx.waker());
        let state = self.state.lock();
        if state.phase == Phase::Closed && state.frames == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Whether the stream is full and the outbox more than full, of answers to pings.
    pub(crate) fn is_congested(&self) -> bool {
        self.congested.load(Ordering::Relaxed)
    }

    /// Notes that a frame found no room. The first one since the outbox was empty wakes the
    /// connection's task, which [takes](Outbox::take_overflow) the note.
    pub(crate) fn note_overflow(&self) {
        let owner = {
            let mut state = self.state.lock();
            if std::mem::replace(&mut state.overflowing, true) {
                return;
            }
            state.overflow_noted = true;
            state.owner.clone()
        };
        if let Some(owner) = owner {
            owner.wake();
        }
    }

    /// Returns whether the outbox has begun to overflow since the last call.
    pub(crate) fn take_overflow(&self) -> bool {
        std::mem::take(&mut self.state.lock().overflow_noted)
    }

    /// What was dropped for others and not told yet, by code.
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

    /// Memory that it holds: what is counted for it, and while its stream is full, shared bodies too.
    pub(crate) fn held(&self) -> usize {
        let state = self.state.lock();
        match state.phase {
            Phase::Blocked => state.charge,
            _ => state.holding.bytes(),
        }
    }

    /// Bytes that the stream has taken so far.
    pub(crate) fn written(&self) -> u64 {
        self.state.lock().written
    }

    /// What was accepted, written, dropped and is queued.
    pub(crate) fn sent(&self) -> Sent {
        let state = self.lock();
        Sent { queued: state.frames as u64, ..state.sent }
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
