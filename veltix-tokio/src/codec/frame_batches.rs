//! How a connection reads: [`FrameBatchDecoder`], and the pool that lends the buffers it reads into, so that
//! an idle connection holds none.
//!
//! A connection borrows a buffer before it reads and returns it at the end of the same poll, unless
//! a frame was left in it. The pool is per thread: a poll begins and ends on one thread.

use std::cell::{Cell, RefCell};

use bytes::BytesMut;
use tokio_util::codec::Decoder;
use veltix_core::limits::{HEADER_LEN, WORTH_ALL};
use veltix_core::{FrameBatch, FrameDecoder};

use super::CodecError;

/// The number of buffers that a thread keeps: one is in use at a time, and a poll inside a poll is
/// rare.
const KEPT: usize = 2;

/// The part of a buffer from which a begun frame keeps it, as a divisor. A shorter frame moves out
/// of the buffer.
const WORTH_KEEPING: usize = 4;

/// The size of the largest buffer that is kept for the next large frame, one per thread: room for a
/// message of one or two MiB.
const KEPT_LARGE: usize = 2 * 1024 * 1024 + HEADER_LEN;

thread_local! {
    static POOL: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
    static LARGE: Cell<BytesMut> = Cell::new(BytesMut::new());
}

/// Provides `size` bytes of room to read into. The buffer comes from the pool, unless a large part
/// of a begun frame would have to be copied into it.
pub(crate) fn lend(buffer: &mut BytesMut, size: usize) {
    if buffer.len() >= size / WORTH_KEEPING {
        return;
    }
    let mut lent = take(size);
    lent.extend_from_slice(buffer);
    *buffer = lent;
}

/// Returns the buffer to the pool if it is empty, or if its few remaining bytes fit a buffer of
/// their own. A large begun frame keeps its buffer. The buffer of a large frame is kept for the
/// next one.
pub(crate) fn give_back(buffer: &mut BytesMut, size: usize) {
    if buffer.len() >= size / WORTH_KEEPING {
        return;
    }
    let rest = if buffer.is_empty() { BytesMut::new() } else { BytesMut::from(&buffer[..]) };
    let mut lent = std::mem::replace(buffer, rest);
    lent.clear();
    if lent.try_reclaim(2 * size + 1) {
        let kept = LARGE.take();
        let is_better = (kept.capacity()..=KEPT_LARGE).contains(&lent.capacity());
        LARGE.set(if is_better { lent } else { kept });
        return;
    }
    POOL.with_borrow_mut(|pool| {
        if pool.len() < KEPT {
            pool.push(lent);
        }
    });
}

/// Moves a begun frame of `total` bytes, which its buffer has no room for, into the buffer that the
/// last large frame left, if that is long enough. It does so only after the part of the frame has
/// arrived for which the decoder reserves memory for the whole frame: a peer that announces a large
/// frame and stops must not hold the buffer.
pub(crate) fn lend_large(buffer: &mut BytesMut, total: usize) {
    if total <= buffer.capacity() || buffer.len() < total / WORTH_ALL {
        return;
    }
    let mut large = LARGE.take();
    if large.capacity() >= total {
        large.extend_from_slice(buffer);
        *buffer = large;
    } else {
        LARGE.set(large);
    }
}

fn take(size: usize) -> BytesMut {
    POOL.with_borrow_mut(|pool| {
        while let Some(mut lent) = pool.pop() {
            // The buffer is reclaimed only if every message that was split off it has been dropped.
            // Otherwise those messages keep the memory, and a new buffer takes its place.
            if lent.try_reclaim(size) && lent.capacity() <= 2 * size {
                return lent;
            }
        }
        BytesMut::with_capacity(size)
    })
}

/// A decoder that returns all frames of one read as a batch. `FramedRead` and the buffer have a
/// cost per item, and one read brings hundreds of small messages.
///
/// An empty batch means that the begun frame needs more room than is allowed.
#[derive(Debug)]
pub(crate) struct FrameBatchDecoder {
    frames: FrameDecoder,
    /// The size to which a buffer may always grow.
    room: usize,
    /// The size to which the buffer may grow for the begun frame.
    allowed: usize,
    /// The size that the begun frame needs.
    wanted: usize,
}

impl FrameBatchDecoder {
    /// Creates a decoder of frames of up to `max_message_size` bytes.
    ///
    /// A buffer may grow to `room` bytes for a begun frame. For this frame it may grow further
    /// after a call of [`allow`](FrameBatchDecoder::allow).
    pub(crate) const fn new(max_message_size: usize, room: usize) -> Self {
        Self { frames: FrameDecoder::new(max_message_size), room, allowed: room, wanted: 0 }
    }

    /// Allows the buffer to grow to `room` bytes until the begun frame is complete.
    pub(crate) const fn allow(&mut self, room: usize) {
        if self.allowed < room {
            self.allowed = room;
        }
    }

    /// Returns the size that the buffer needs, after an empty batch.
    pub(crate) const fn wanted(&self) -> usize {
        self.wanted
    }

    /// Returns whether the buffer may grow to the size that its begun frame needs next.
    #[cold]
    fn may_grow(&mut self, buffer: &BytesMut) -> bool {
        self.wanted = self.frames.room(buffer);
        self.wanted <= self.allowed
    }

    /// Returns the length of the frame that these bytes begin, or `None` if there are no bytes: see
    /// [`FrameDecoder::begun`].
    pub(crate) fn begun(&self, rest: &[u8]) -> Option<u64> {
        self.frames.begun(rest)
    }
}

impl Decoder for FrameBatchDecoder {
    type Item = FrameBatch;
    type Error = CodecError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<FrameBatch>, CodecError> {
        if let Some(total) = self.begun(buffer) {
            // A frame above the limit is refused below.
            let total = usize::try_from(total).unwrap_or(usize::MAX);
            if total > buffer.capacity() {
                if !self.may_grow(buffer) {
                    return Ok(Some(FrameBatch::default()));
                }
                lend_large(buffer, total);
            } else if total <= buffer.len() {
                // The frame is complete, and its reserved memory was released. The next frame
                // reserves again.
                self.allowed = self.room;
            }
        }
        Ok(self.frames.decode_batch(buffer)?)
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<FrameBatch>, CodecError> {
        match self.frames.decode_batch(buffer)? {
            Some(batch) => Ok(Some(batch)),
            None => Ok(self.frames.end(buffer).map(|()| None)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 1024;

    #[test]
    fn an_empty_buffer_goes_back_and_is_used_again() {
        let mut buffer = BytesMut::new();
        lend(&mut buffer, SIZE);
        buffer.extend_from_slice(b"message");
        let address = buffer.as_ptr();
        drop(buffer.split_to(7).freeze());
        give_back(&mut buffer, SIZE);
        assert_eq!(buffer.capacity(), 0, "an idle connection holds nothing");
        lend(&mut buffer, SIZE);
        assert_eq!((buffer.as_ptr(), buffer.capacity()), (address, SIZE));
    }

    #[test]
    fn a_kept_message_keeps_its_buffer_and_nobody_else_writes_to_it() {
        let mut buffer = BytesMut::new();
        lend(&mut buffer, SIZE);
        buffer.extend_from_slice(b"kept");
        let kept = buffer.split_to(4).freeze();
        give_back(&mut buffer, SIZE);
        lend(&mut buffer, SIZE);
        buffer.extend_from_slice(b"else");
        assert_eq!(&kept[..], b"kept");
    }

    #[test]
    fn the_buffer_of_a_large_frame_is_there_for_the_next_one() {
        let mut buffer = BytesMut::with_capacity(10 * SIZE);
        let address = buffer.as_ptr();
        buffer.extend_from_slice(&[7; 10 * SIZE]);
        drop(buffer.split().freeze());
        give_back(&mut buffer, SIZE);
        give_back(&mut BytesMut::with_capacity(5 * SIZE), SIZE);
        give_back(&mut BytesMut::with_capacity(KEPT_LARGE + 1), SIZE);
        let mut begun = BytesMut::from(&[1; 2 * SIZE][..]);
        lend_large(&mut begun, 10 * SIZE + 1);
        assert_ne!(begun.as_ptr(), address, "it is too short");
        lend_large(&mut begun, 10 * SIZE);
        assert_eq!((begun.as_ptr(), &begun[..]), (address, &[1; 2 * SIZE][..]));
        let mut other = BytesMut::from(&[2; SIZE / 5][..]);
        lend_large(&mut other, SIZE + 1);
        assert_eq!(other.capacity(), SIZE / 5, "there is one");
        begun.clear();
        give_back(&mut begun, SIZE);
        lend_large(&mut other, SIZE + 1);
        assert_eq!((other.as_ptr(), &other[..]), (address, &[2; SIZE / 5][..]));
        give_back(&mut other, SIZE);
        assert_eq!(other.capacity(), SIZE / 5, "so little of a frame has to give it back");
        lend_large(&mut other, SIZE + 1);
        assert_eq!(other.as_ptr(), address);
    }

    #[test]
    fn a_promise_does_not_hold_the_buffer_of_a_large_frame() {
        let mut large = BytesMut::with_capacity(12 * SIZE);
        let address = large.as_ptr();
        give_back(&mut large, SIZE);
        let mut begun = BytesMut::from(&[7; 2 * SIZE - 1][..]);
        lend_large(&mut begun, 12 * SIZE);
        assert_eq!(begun.capacity(), 2 * SIZE - 1, "it would pin more than follows what came");
        begun.extend_from_slice(&[7]);
        lend_large(&mut begun, 12 * SIZE);
        assert_eq!((begun.as_ptr(), begun.len()), (address, 2 * SIZE));
    }

    #[test]
    fn a_large_message_that_is_kept_keeps_its_buffer() {
        let mut buffer = BytesMut::with_capacity(10 * SIZE);
        buffer.extend_from_slice(&[7; 10 * SIZE]);
        let kept = buffer.split().freeze();
        give_back(&mut buffer, SIZE);
        let mut begun = BytesMut::from(&[1; 2 * SIZE][..]);
        lend_large(&mut begun, 10 * SIZE);
        assert_eq!(begun.capacity(), 2 * SIZE);
        assert_eq!(kept, [7; 10 * SIZE][..]);
    }

    #[test]
    fn a_begun_frame_moves_out_of_the_lent_buffer() {
        let mut buffer = BytesMut::new();
        lend(&mut buffer, SIZE);
        buffer.extend_from_slice(b"VX");
        give_back(&mut buffer, SIZE);
        assert_eq!(&buffer[..], b"VX");
        assert!(buffer.capacity() < 64);
        lend(&mut buffer, SIZE);
        assert_eq!(&buffer[..], b"VX");
        assert!(buffer.capacity() >= SIZE);
    }
}
