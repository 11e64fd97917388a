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
//!
//! Accounting, always: `accepted = written + dropped + queued`.

mod state;
mod tally;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use tokio::time::Instant;
use veltix_core::Frame;

use crate::limits::{DETACH_BELOW, FRAME_OVERHEAD};
use crate::planted::planted;
use crate::sync::Mutex;
use crate::transport::StreamWriter;
use crate::waiters::Place;

pub(crate) use state::Capacity;
use state::{Flight, Phase, State, charge};
pub(crate) use tally::DropReason;
pub use tally::Sent;
use write::Scratch;

/// Writes of one flush at most; a peer that is fed faster than it is written hands over to its
/// own task then, so that no publisher is held.
const WRITES_PER_FLUSH: usize = 16;

/// What is done with a broadcast for a peer whose outbox has no room. It applies only once the
/// stream has refused to take more; until then whoever fills the outbox empties it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// The peer is disconnected: its stream would have a hole.
    #[default]
    Disconnect,
    /// The frame is dropped.
    DropNewest,
    /// The longest waiting frames are dropped until it fits.
    DropOldest,
}

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
pub(crate) type InLine<'a> = (&'a mut Place, &'a Waker);

/// A frame is queued, and this is what its sender must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the first to queue a frame must see to a flush"]
pub(crate) struct Queued {
    /// The queue was idle: the sender must see to a flush. Otherwise somebody else does.
    pub(crate) first: bool,
    /// Enough is queued for a large write, so a read batch should end here.
    pub(crate) heavy: bool,
    /// The stream is full, so the frame is going to wait.
    pub(crate) waits: bool,
}

/// The outbox of one peer, shared by all who send to it.
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Blocked with far too many pongs; read without the lock by the reader, which pauses then.
    congested: AtomicBool,
    capacity: Capacity,
}

/// What the connection's own task needs to know, read under one lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance {
    /// Something is queued that the task may flush.
    pub(crate) queued: bool,
    /// The stream is full: the task waits for it with [`Outbox::poll_writable`].
    pub(crate) blocked: bool,
    /// Nothing is queued or being written.
    pub(crate) empty: bool,
    /// Why a write failed, which closed the outbox.
    pub(crate) failure: Option<io::ErrorKind>,
    /// Bytes that the stream has taken so far.
    pub(crate) taken: u64,
    /// When it last took some.
    pub(crate) taken_at: Option<Instant>,
    /// Since when it has taken nothing although something waits.
    pub(crate) stalled_since: Option<Instant>,
}

impl Outbox {
    pub(crate) fn new(writer: Box<dyn StreamWriter>, capacity: Capacity) -> Self {
        let state = State::new(writer);
        Self { state: Mutex::new(state), congested: AtomicBool::new(false), capacity }
    }

    /// Queues a frame if there is room. A full outbox that has not met `WouldBlock` is emptied
    /// first, by the caller: no policy may fire only because nobody has written yet.
    pub(crate) fn push(&self, frame: Frame) -> Push {
        self.push_or_wait(frame, None)
    }

    /// As [`Outbox::push`]; whoever stands in line is woken when there may be room for what found
    /// none.
    pub(crate) fn push_or_wait(&self, mut frame: Frame, line: Option<InLine<'_>>) -> Push {
        let mut state = self.state.lock();
        if state.phase == Phase::Blocked {
            // It is going to wait. Its body may run its owner's code when it goes, here and below:
            // outside the lock.
            drop(state);
            frame.detach_below(DETACH_BELOW);
            state = self.state.lock();
        }
        let mut pushed = state.push(frame, self.capacity);
        if let Err(mut frame) = pushed {
            let untried = state.phase == Phase::Queued && !state.is_over();
            if untried && !planted!("policy_before_flush") {
                drop(state);
                self.flush();
                // It may have to wait now.
                frame.detach_below(DETACH_BELOW);
                state = self.state.lock();
            }
            let allowance = state.allowance(self.capacity);
            pushed = state.push(frame, allowance);
        }
        let refused = match pushed {
            Ok(queued) => return Push::Queued(queued),
            Err(frame) => frame,
        };
        if state.is_over() {
            drop(state);
            return Push::Closed;
        }
        state.owner_waits = true;
        if let Some((place, waker)) = line {
            state.room_waiters.wait(place, waker);
        }
        Push::Full(refused)
    }

    /// Queues a frame whether there is room or not: only for the connection's own answers to
    /// pings, whose number is bounded by pausing its reading.
    pub(crate) fn push_beyond(&self, frame: Frame) -> Push {
        let mut state = self.state.lock();
        let pushed = state.push(frame, Capacity { frames: usize::MAX, bytes: usize::MAX });
        // Only here: who waits for room to send is read all the same, or two sides that fill each
        // other's outbox would wait for each other.
        if pushed.is_ok()
            && state.phase == Phase::Blocked
            && !self.capacity.twice().fits(state.frames, state.charge, 0)
        {
            self.congested.store(true, Ordering::Relaxed);
        }
        pushed.map_or(Push::Closed, Push::Queued)
    }

    /// Queues a frame, or does what the policy says.
    pub(crate) fn push_or(&self, frame: Frame, policy: OverflowPolicy) -> Overflow {
        match self.push(frame) {
            Push::Queued(queued) => Overflow::Queued(queued, 0),
            Push::Closed => Overflow::Closed,
            Push::Full(frame) => self.overflow(frame, policy),
        }
    }

    fn overflow(&self, frame: Frame, policy: OverflowPolicy) -> Overflow {
        let mut state = self.state.lock();
        if state.is_over() {
            return Overflow::Closed;
        }
        let allowance = state.allowance(self.capacity);
        if planted!("unbounded_outbox")
            && let Ok(queued) =
                state.push(frame.clone(), Capacity { frames: usize::MAX, bytes: usize::MAX })
        {
            return Overflow::Queued(queued, 0);
        }
        if policy == OverflowPolicy::DropOldest
            && let Some(old) = state.make_room(charge(frame.len()), allowance)
            && let Ok(queued) = state.push(frame, allowance)
        {
            let waiters = self.settle_room(&mut state);
            drop(state);
            waiters.into_iter().for_each(Waker::wake);
            return Overflow::Queued(queued, old.len());
        }
        if policy == OverflowPolicy::Disconnect {
            state.tally.refuse(DropReason::SlowConsumer);
            // Nothing may follow the hole, however long the peer's task takes to end it.
            state.sealed = true;
            let waiters: Vec<_> = state.room_waiters.take().collect();
            drop(state);
            waiters.into_iter().for_each(Waker::wake);
            Overflow::Disconnect
        } else {
            state.tally.refuse(DropReason::Policy);
            Overflow::Refused
        }
    }

    /// Writes what is queued, as far as the stream takes it. Does nothing when another flusher is
    /// at it or the stream is full.
    pub(crate) fn flush(&self) {
        let Some(flight) = self.state.lock().take_off() else { return };
        let (owner, waiters) = Scratch::with(|scratch| self.fly(flight, scratch));
        owner.into_iter().chain(waiters).for_each(Waker::wake);
    }

    /// Writes until the queue is empty, the stream is full, or the peer's own task should go on.
    /// Says who must be woken then: the task, and those who wait for room if there is some.
    fn fly(&self, mut flight: Flight, scratch: &mut Scratch) -> (Option<Waker>, Vec<Waker>) {
        let mut writes = 0;
        loop {
            writes += 1;
            // A stream that panics has failed; whoever publishes to it must not go down with it.
            let result = catch_unwind(AssertUnwindSafe(|| scratch.write(&mut flight)))
                .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
            let failure = result.err().map(|error| error.kind());
            let mut state = self.state.lock();
            state.settle(&mut flight);
            // What was pushed meanwhile follows what is left in our hands.
            flight.frames.append(&mut state.queue);
            while failure == Some(io::ErrorKind::WouldBlock) && !flight.is_detached() {
                // Outside the lock: a body may run its owner's code when it goes.
                drop(state);
                flight.detach();
                state = self.state.lock();
                flight.frames.append(&mut state.queue);
            }
            let phase = match failure {
                _ if state.phase == Phase::Closed => return (state.abandon(&flight), Vec::new()),
                None if flight.frames.is_empty() => Phase::Idle,
                Some(io::ErrorKind::WouldBlock) => Phase::Blocked,
                None | Some(io::ErrorKind::Interrupted) if writes < WRITES_PER_FLUSH => continue,
                None | Some(io::ErrorKind::Interrupted) => Phase::Queued,
                Some(kind) => {
                    state.failure = Some(kind);
                    let (_, waiters) = state.close(DropReason::Disconnected);
                    self.congested.store(false, Ordering::Relaxed);
                    return (state.abandon(&flight), waiters);
                }
            };
            let owner = state.land(flight, phase);
            return (owner, self.settle_room(&mut state));
        }
    }

    /// If there is room, ends the congestion and gives those who wait for it.
    fn settle_room(&self, state: &mut State) -> Vec<Waker> {
        if self.capacity.fits(state.frames, state.charge, FRAME_OVERHEAD) {
            self.congested.store(false, Ordering::Relaxed);
            state.room_waiters.take().collect()
        } else {
            Vec::new()
        }
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
            state.detached = state.queue.len();
            state.phase = Phase::Queued;
        }
        Poll::Ready(())
    }

    /// Writes all that is queued, then the end of the stream; for the connection's own task, after
    /// [`Outbox::seal`]. Ready also when the stream has failed.
    pub(crate) fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.glance(cx.waker()).blocked {
            ready!(self.poll_writable(cx));
        }
        self.flush();
        let glance = self.glance(cx.waker());
        if glance.failure.is_some() || glance.empty {
            return self.lend(|writer| writer.poll_shutdown(cx)).map(|_| ());
        }
        // In every other state a flusher, or the stream, wakes this task.
        if glance.queued {
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
    pub(crate) fn glance(&self, owner: &Waker) -> Glance {
        let mut state = self.state.lock();
        match &state.owner {
            Some(known) if known.will_wake(owner) => {}
            _ => state.owner = Some(owner.clone()),
        }
        state.owner_waits = state.phase == Phase::Writing;
        Glance {
            queued: state.phase == Phase::Queued,
            blocked: state.phase == Phase::Blocked,
            empty: state.frames == 0,
            failure: state.failure,
            taken: state.taken,
            taken_at: state.taken_at,
            stalled_since: state.stalled_since,
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
    /// moment is counted when it returns, which [`Outbox::poll_settled`] waits for.
    pub(crate) fn close(&self, reason: DropReason) {
        let (writer, (queue, waiters)) = {
            let mut state = self.state.lock();
            self.congested.store(false, Ordering::Relaxed);
            (state.writer.take(), state.close(reason))
        };
        // The descriptor may close here, a system call, and a body may run its owner's code when
        // it goes: outside the lock.
        drop((writer, queue));
        waiters.into_iter().for_each(Waker::wake);
    }

    /// Accepts nothing more; what is queued is still written.
    pub(crate) fn seal(&self) {
        let waiters = {
            let mut state = self.state.lock();
            state.sealed = true;
            state.room_waiters.take()
        };
        waiters.into_iter().for_each(Waker::wake);
    }

    /// Waits until a closed outbox has counted every frame; for the connection's own task.
    pub(crate) fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Registers the task first, so that a flusher that returns between the two wakes it.
        self.glance(cx.waker());
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

    /// Counts a frame that was taken on and finds the connection over.
    pub(crate) fn refuse(&self, reason: DropReason) {
        self.state.lock().tally.refuse(reason);
    }

    /// Whether this is the first frame that found no room since there was some: the application
    /// is told once, and the counters say how often.
    pub(crate) fn begins_overflow(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().overflowing, true)
    }

    /// Gives up a wait for room.
    pub(crate) fn leave_line(&self, place: &Place) {
        if place.is_taken() {
            let waker = self.state.lock().room_waiters.leave(place);
            drop(waker);
        }
    }

    /// Bytes that the stream has taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.state.lock().taken
    }

    /// What was accepted, written, dropped and is queued.
    pub(crate) fn sent(&self) -> Sent {
        let state = self.state.lock();
        state.tally.sent(state.frames as u64)
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Outbox")
            .field("phase", &state.phase)
            .field("frames", &state.frames)
            .field("charge", &state.charge)
            .finish_non_exhaustive()
    }
}

/// What [`Outbox::push_or`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The frame is queued, and so many older ones were dropped for it.
    Queued(Queued, usize),
    /// The frame is dropped.
    Refused,
    /// The frame is dropped and the peer is to be disconnected.
    Disconnect,
    /// The connection is over.
    Closed,
}
