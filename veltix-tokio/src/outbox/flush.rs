//! Flushing an outbox: the flusher writes until the outbox is empty or the stream is full.

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

/// The maximum number of writes in one flush. Beyond it the flusher hands over to the peer's own
/// task, so that a peer whose outbox fills faster than it is written does not block a publisher.
pub(super) const WRITES_PER_FLUSH: usize = 16;

/// The maximum number of times that one flush compacts newly pushed frames for a full stream. If
/// values arrive faster than that, the peer's own task continues.
pub(super) const COMPACT_ROUNDS: usize = 4;

impl Outbox {
    /// Writes the queued frames as far as the stream takes them. Does nothing if another flusher is
    /// writing or the stream is full.
    pub(crate) fn flush(&self) {
        self.flush_at(Instant::now());
    }

    /// Flushes like [`Outbox::flush`], for a caller that already knows the time.
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

    /// Writes a finished shared batch when the outbox holds nothing else. For most peers of a
    /// broadcast this is the whole flush.
    fn write_batch(
        &self,
        batch: Arc<SharedBatch>,
        mut writer: Box<dyn StreamWriter>,
        now: Instant,
    ) {
        // The batch was checked when it was taken: it is finished.
        let Some(whole) = batch.whole() else { return };
        let result = caught(|| writer.try_write_vectored(&[IoSlice::new(&whole.bytes)]));
        if result.as_ref().is_ok_and(|written| *written == whole.bytes.len()) {
            let mut state = self.state.lock();
            state.record(whole.written(), now);
            if state.phase != Phase::Writing || !state.queue.frames().is_empty() {
                drop(state);
                // The outbox was closed, or more frames were pushed meanwhile.
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

    /// Continues after the first write, if that is already made, and wakes the waiting tasks.
    fn write_on(&self, pending: PendingWrite, first: Option<io::Result<()>>, now: Instant) {
        let mut gone = Vec::new();
        let (owner, waiters) =
            Scratch::with(|scratch| self.write_all(pending, first, now, scratch, &mut gone));
        drop_caught_each(&mut gone);
        wake(owner, waiters);
    }

    /// Writes until the queue is empty, the stream is full, or the peer's own task should continue.
    /// Returns the wakers to be woken: the task, and the senders that wait for room if there is
    /// some. Superseded frames are moved into `gone`, which holds those of one round at most.
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
            // Frames that were pushed meanwhile follow the rest of the pending write.
            pending.queue.append(&mut state.queue);
            if failure.is_none()
                && pending.queue.frames().is_empty()
                && state.phase == Phase::Writing
            {
                let owner = state.finish_empty(pending.writer);
                let waiters = self.take_room_waiters(&mut state);
                // The frames pushed meanwhile are in the other queue by now, but not its memory.
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
                // Outside the lock: this takes time, and the destructor of a body may run code of
                // its owner.
                drop(state);
                drop_caught_each(gone);
                *gone = pending.queue.compact();
                // If a body panics, the next round does the remaining work.
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
                // In the last case other threads push faster than their frames are compacted.
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

    /// If there is room, ends the congestion and returns the wakers of the senders that wait for
    /// room.
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

/// Wakes the tasks that wait for the end of a write: usually none.
#[inline]
fn wake(owner: Option<Waker>, waiters: Vec<Waker>) {
    if owner.is_some() || !waiters.is_empty() {
        wake_all(owner.into_iter().chain(waiters));
    }
}

/// Calls a stream. A stream that panics counts as failed, and its panic must not reach the
/// publisher.
fn caught<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

/// Drops frames one by one. The destructor of a body is code of its owner: if it panics, neither
/// the stream nor the publisher may be lost, and a second panic must not end the process.
fn drop_caught_each(gone: &mut Vec<Frame>) {
    for frame in gone.drain(..) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(frame)));
    }
}
