//! One write for many frames: small frames are copied together, large bodies are gathered.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use veltix_core::Frame;
use veltix_core::limits::{COPY_BELOW, HEADER_LEN, WRITE_BYTES, WRITE_SLICES};

use super::queue::{Queue, Written};
use super::shared_batch::SharedBatch;
use crate::transport::StreamWriter;

thread_local! {
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch::new()) };
}

/// The queue and the stream of a flusher while it writes.
pub(super) struct PendingWrite {
    pub(super) queue: Queue,
    /// A finished shared batch behind the queue, until the first write. The frames that this write
    /// does not finish are queued.
    pub(super) batch: Option<Arc<SharedBatch>>,
    pub(super) writer: Box<dyn StreamWriter>,
    /// The bytes and frames that the stream took since they were last recorded.
    pub(super) written: Written,
}

impl PendingWrite {
    pub(super) fn new(writer: Box<dyn StreamWriter>, batch: Option<Arc<SharedBatch>>) -> Self {
        let queue = Queue::default();
        Self { queue, batch, writer, written: Written::default() }
    }
}

/// The buffers in which a write is assembled. They belong to the thread and are taken out while in
/// use.
#[derive(Default)]
pub(super) struct Scratch {
    /// The buffer into which small frames are copied.
    copies: Vec<u8>,
    pieces: Vec<Piece>,
}

/// A slice of the next write.
enum Piece {
    /// Copied bytes.
    Copies(Range<usize>),
    /// The body of a frame, from an offset on.
    Body { frame: usize, from: usize },
    /// The bytes of the shared batch, which follows all frames.
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

    /// Makes one write of as many frames as fit into it, and removes the frames that the stream
    /// took.
    ///
    /// # Errors
    /// Returns the error of the stream. A stream that takes no bytes counts as `WouldBlock`.
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
            // This is the case of nearly all writes. The others need an array.
            [one] => (*pending.writer).try_write_vectored(&[slice(one)])?,
            pieces => {
                let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
                slices.iter_mut().zip(pieces).for_each(|(to, piece)| *to = slice(piece));
                (*pending.writer).try_write_vectored(&slices[..pieces.len()])?
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

    /// Assembles the pieces of one write. Returns their total number of bytes if every frame has
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
            // A body may need a piece of its own, and the bytes copied before it another.
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
    /// Queues the frames of the shared batch behind the others.
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

    /// Removes the shared batch, which the stream took completely, and returns its number of bytes.
    #[inline]
    fn finish_batch(&mut self) -> usize {
        let Some(batch) = self.batch.take() else { return 0 };
        let Some(batch) = batch.whole() else { return 0 };
        // No bytes were taken before the batch.
        self.written = batch.written();
        batch.bytes.len()
    }

    /// Removes the bytes that the stream took.
    pub(super) fn advance(&mut self, written: usize) {
        let written_now = self.queue.advance(written);
        self.written.add(written_now);
        // The frames are counted before they are dropped: a body whose destructor panics has been
        // written all the same.
        self.queue.drop_first(written_now.frames);
        if fault!("partial_write_repeated") {
            self.queue.head_written = 0;
        }
    }
}
