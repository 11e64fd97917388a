//! The way out of an outbox: whoever flushes it writes until it is empty, or the stream is full.

use std::io::{self, IoSlice};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use tokio::time::Instant;
use veltix_core::Frame;
use veltix_core::limits::FRAME_OVERHEAD;

use super::pending_write::{PendingWrite, Scratch};
use super::shared_batch::SharedBatch;
use super::state::{Phase, State};
use super::{DropReason, Outbox};
use crate::sync::wake_all;
use crate::transport::StreamWriter;

/// Writes of one flush at most; a peer that is fed faster than it is written hands over to its
/// own task then, so that no publisher is held.
pub(super) const WRITES_PER_FLUSH: usize = 16;

/// Looks of one flush at what was pushed while it put the queue in order for a full stream. Under
/// a storm of values, where each look is followed by another, the peer's own task goes on.
pub(super) const COMPACT_ROUNDS: usize = 4;

impl Outbox {
    /// Writes what is queued, as far as the stream takes it. Does nothing when another flusher is
    /// at it or the stream is full.
    pub(crate) fn flush(&self) {
        self.flush_at(Instant::now());
    }

    /// The same, for whoever has just looked at the clock.
    pub(crate) fn flush_at(&self, now: Instant) {
        let mut state = self.state.lock();
        if let Some((batch, writer)) = state.begin_batch_write() {
            drop(state);
            return self.write_batch(batch, writer, now);
        }
        let Some(pending) = state.begin_write() else { return };
        drop(state);
        self.write_on(pending, None, now);
    }

    /// Writes a finished run that is all there is: for most peers of a broadcast, all that there is
    /// to do.
    fn write_batch(
        &self,
        batch: Arc<SharedBatch>,
        mut writer: Box<dyn StreamWriter>,
        now: Instant,
    ) {
        // It was looked at when it was taken: it is finished.
        let Some(whole) = batch.whole() else { return };
        let result = caught(|| writer.try_write_vectored(&[IoSlice::new(&whole.bytes)]));
        if result.as_ref().is_ok_and(|written| *written == whole.bytes.len()) {
            let mut state = self.state.lock();
            state.record(whole.written(), now);
            if state.phase != Phase::Writing || !state.queue.frames().is_empty() {
                drop(state);
                // It was closed, or more was pushed meanwhile.
                return self.write_on(PendingWrite::new(writer, None), Some(Ok(())), now);
            }
            let owner = state.finish_empty(writer);
            let waiters = self.take_room_waiters(&mut state);
            drop(state);
            return wake(owner, waiters);
        }
        let mut pending = PendingWrite::new(writer, Some(batch));
        pending.queue_batch();
        let result = match result {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            Ok(written) => {
                pending.advance(written);
                Ok(())
            }
            Err(error) => Err(error),
        };
        self.write_on(pending, Some(result), now);
    }

    /// Flies on from the first write, if that is made already, and wakes whom it concerns.
    fn write_on(&self, pending: PendingWrite, first: Option<io::Result<()>>, now: Instant) {
        let mut gone = Vec::new();
        let (owner, waiters) =
            Scratch::with(|scratch| self.write_all(pending, first, now, scratch, &mut gone));
        drop_caught_each(&mut gone);
        wake(owner, waiters);
    }

    /// Writes until the queue is empty, the stream is full, or the peer's own task should go on.
    /// Says who must be woken then: the task, and those who wait for room if there is some.
    /// What is superseded on the way is put into `gone`, which takes no more than one round's.
    fn write_all(
        &self,
        mut pending: PendingWrite,
        mut first: Option<io::Result<()>>,
        now: Instant,
        scratch: &mut Scratch,
        gone: &mut Vec<Frame>,
    ) -> (Option<Waker>, Vec<Waker>) {
        let mut writes = 0;
        loop {
            writes += 1;
            let result = first.take().unwrap_or_else(|| caught(|| scratch.write(&mut pending)));
            pending.queue_batch();
            let failure = result.err().map(|error| error.kind());
            let mut state = self.state.lock();
            state.record(std::mem::take(&mut pending.written), now);
            // What was pushed meanwhile follows what is left in our hands.
            pending.queue.append(&mut state.queue);
            if failure.is_none()
                && pending.queue.frames().is_empty()
                && state.phase == Phase::Writing
            {
                let owner = state.finish_empty(pending.writer);
                let waiters = self.take_room_waiters(&mut state);
                // What was pushed meanwhile is in the other queue by now, but not its room.
                let emptied = state.queue.has_room().then(|| std::mem::take(&mut state.queue));
                drop(state);
                pending.queue.recycle();
                if let Some(emptied) = emptied {
                    emptied.recycle();
                }
                return (owner, waiters);
            }
            let is_full = failure == Some(io::ErrorKind::WouldBlock);
            let mut rounds = 0;
            while is_full && !pending.queue.is_compacted() && rounds < COMPACT_ROUNDS {
                rounds += 1;
                // Outside the lock: it takes its time, and a body may run its owner's code when
                // it goes.
                drop(state);
                drop_caught_each(gone);
                *gone = pending.queue.compact();
                // What a body that panics leaves undone is done in the next round.
                let _ = catch_unwind(AssertUnwindSafe(|| pending.queue.detach()));
                state = self.state.lock();
                state.record_dropped(DropReason::Superseded, &*gone);
                pending.queue.append(&mut state.queue);
            }
            if is_full {
                state.stalled_since.get_or_insert_with(Instant::now);
            }
            let phase = match failure {
                _ if state.phase == Phase::Closed => {
                    return (state.cancel_write(&pending), Vec::new());
                }
                Some(io::ErrorKind::WouldBlock) if pending.queue.is_compacted() => Phase::Blocked,
                None | Some(io::ErrorKind::Interrupted) if writes < WRITES_PER_FLUSH => continue,
                // In the last case others push faster than their frames are looked at.
                None | Some(io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                    Phase::Queued
                }
                Some(kind) => {
                    state.failure = Some(kind);
                    let (_, waiters) = state.close(DropReason::Disconnected);
                    self.congested.store(false, Ordering::Relaxed);
                    return (state.cancel_write(&pending), waiters);
                }
            };
            let owner = state.finish_write(pending, phase);
            return (owner, self.take_room_waiters(&mut state));
        }
    }

    /// If there is room, ends the congestion and gives those who wait for it.
    pub(super) fn take_room_waiters(&self, state: &mut State) -> Vec<Waker> {
        if self.capacity.fits(state.frames, state.charge, FRAME_OVERHEAD) {
            self.congested.store(false, Ordering::Relaxed);
            if !state.room_waiters.is_empty() {
                return state.room_waiters.take().collect();
            }
        }
        Vec::new()
    }
}

/// Wakes those whom a landing concerns: mostly nobody.
#[inline]
fn wake(owner: Option<Waker>, waiters: Vec<Waker>) {
    if owner.is_some() || !waiters.is_empty() {
        wake_all(owner.into_iter().chain(waiters));
    }
}

/// Calls a stream. One that panics has failed; whoever publishes to it must not go down with it.
fn caught<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

/// Drops frames. A body that panics as it goes, which is its owner's code, must not take the stream
/// with it, nor whoever publishes; nor may a second one, which would end the process.
fn drop_caught_each(gone: &mut Vec<Frame>) {
    for frame in gone.drain(..) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(frame)));
    }
}
