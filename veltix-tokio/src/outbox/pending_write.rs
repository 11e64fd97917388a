//! One write for many frames: small ones are copied together, large bodies are gathered.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use veltix_core::Frame;
use veltix_core::limits::{COPY_BELOW, HEADER_LEN, WRITE_BYTES, WRITE_SLICES};

use super::queue::{Queue, Written};
use super::shared_batch::SharedBatch;
use crate::planted::planted;
use crate::transport::StreamWriter;

thread_local! {
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch::new()) };
}

/// What a flusher holds while it writes.
pub(super) struct PendingWrite {
    pub(super) queue: Queue,
    /// A finished run behind the queue, until the first write: whatever that leaves of it is
    /// queued.
    pub(super) batch: Option<Arc<SharedBatch>>,
    pub(super) writer: Box<dyn StreamWriter>,
    /// What the stream took since it was last settled.
    pub(super) written: Written,
}

impl PendingWrite {
    pub(super) fn new(writer: Box<dyn StreamWriter>, batch: Option<Arc<SharedBatch>>) -> Self {
        let queue = Queue::default();
        Self { queue, batch, writer, written: Written::default() }
    }
}

/// What a write is put together in: the thread's, taken out while it is used.
#[derive(Default)]
pub(super) struct Scratch {
    /// Where small frames are copied together.
    copies: Vec<u8>,
    pieces: Vec<Piece>,
}

/// A slice of the write to come.
enum Piece {
    /// Bytes that were copied.
    Copies(Range<usize>),
    /// The body of a frame, from an offset on.
    Body { frame: usize, from: usize },
    /// The bytes of the run, which is behind all frames.
    SharedBatch,
}

impl Scratch {
    const fn new() -> Self {
        Self { copies: Vec::new(), pieces: Vec::new() }
    }

    pub(super) fn with<R>(use_it: impl FnOnce(&mut Self) -> R) -> R {
        let mut scratch = SCRATCH.take();
        let result = use_it(&mut scratch);
        SCRATCH.set(scratch);
        result
    }

    /// Makes one write of as many frames as fit it, and takes those off that the stream took.
    ///
    /// # Errors
    /// The stream's error; a stream that takes nothing is `WouldBlock`.
    pub(super) fn write(&mut self, pending: &mut PendingWrite) -> io::Result<()> {
        let mut offered = self.gather(pending.queue.frames(), pending.queue.head_written);
        if let Some(batch) = pending.batch.as_deref().and_then(SharedBatch::whole) {
            offered = offered.map(|bytes| bytes + batch.bytes.len());
            let has_room = self.pieces.len() < WRITE_SLICES;
            if has_room && offered.is_some_and(|bytes| bytes <= WRITE_BYTES) {
                self.pieces.push(Piece::SharedBatch);
            } else {
                pending.queue_batch();
                offered = self.gather(pending.queue.frames(), pending.queue.head_written);
            }
        }
        let queue = &pending.queue;
        let batch = pending
            .batch
            .as_deref()
            .and_then(SharedBatch::whole)
            .map_or(&[][..], |batch| &batch.bytes);
        let slice = |piece: &Piece| {
            IoSlice::new(match piece {
                Piece::Copies(range) => &self.copies[range.clone()],
                Piece::Body { frame, from } => &queue.frames()[*frame].body()[*from..],
                Piece::SharedBatch => batch,
            })
        };
        let written = match &self.pieces[..] {
            // As almost always: the others need an array to be made.
            [one] => pending.writer.try_write_vectored(&[slice(one)])?,
            pieces => {
                let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
                slices.iter_mut().zip(pieces).for_each(|(to, piece)| *to = slice(piece));
                pending.writer.try_write_vectored(&slices[..pieces.len()])?
            }
        };
        if written == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let of_run = if offered == Some(written) { pending.finish_batch() } else { 0 };
        pending.queue_batch();
        pending.advance(written - of_run);
        Ok(())
    }

    /// Puts the pieces of one write together. Says how many bytes they have, if every frame has
    /// found a place.
    fn gather(&mut self, frames: &VecDeque<Frame>, head_written: usize) -> Option<usize> {
        let Self { copies, pieces } = self;
        copies.clear();
        pieces.clear();
        let mut total = 0;
        let mut copied_from = 0;
        let mut skip = head_written;
        let mut all = true;
        for (index, frame) in frames.iter().enumerate() {
            // A body may need a piece of its own, and what is copied before it another.
            if total >= WRITE_BYTES || pieces.len() + 2 > WRITE_SLICES {
                all = false;
                break;
            }
            copies.extend_from_slice(&frame.header()[skip.min(HEADER_LEN)..]);
            let from = skip.saturating_sub(HEADER_LEN);
            let body = &frame.body()[from..];
            if body.len() < COPY_BELOW {
                copies.extend_from_slice(body);
            } else {
                if copied_from < copies.len() {
                    pieces.push(Piece::Copies(copied_from..copies.len()));
                    copied_from = copies.len();
                }
                pieces.push(Piece::Body { frame: index, from });
            }
            total += frame.len() - skip;
            skip = 0;
        }
        if copied_from < copies.len() {
            pieces.push(Piece::Copies(copied_from..copies.len()));
        }
        all.then_some(total)
    }
}

impl PendingWrite {
    /// Queues the frames of the run behind the others.
    #[inline]
    pub(super) fn queue_batch(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.queue_frames(&batch);
        }
    }

    #[cold]
    fn queue_frames(&mut self, batch: &SharedBatch) {
        for frame in batch.whole().iter().flat_map(|batch| &batch.frames) {
            self.queue.push(frame.clone());
        }
    }

    /// Takes off the run, which the stream took whole; says how many bytes that was.
    #[inline]
    fn finish_batch(&mut self) -> usize {
        let Some(batch) = self.batch.take() else { return 0 };
        let Some(batch) = batch.whole() else { return 0 };
        // Nothing was taken before it.
        self.written = batch.written();
        batch.bytes.len()
    }

    /// Takes off what the stream took.
    pub(super) fn advance(&mut self, written: usize) {
        let written_now = self.queue.advance(written);
        self.written.add(written_now);
        // Counted by now: a body that panics as it goes has been written all the same.
        self.queue.drop_first(written_now.frames);
        if planted!("partial_write_repeated") {
            self.queue.head_written = 0;
        }
    }
}
