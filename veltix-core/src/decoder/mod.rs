//! The decoder, which finds messages in a stream of bytes.

use bytes::BytesMut;

use crate::error::ProtocolError;
use crate::frame::{Header, checksum};
use crate::frame_batch::FrameBatch;
use crate::limits::{BATCH_BYTES, BATCH_FRAMES, HEADER_LEN, WORTH_ALL};
use crate::message::Message;

/// Limits the first growth of the buffer for a begun frame. From there the buffer grows with the
/// bytes that arrived, so a header that announces 10 MiB and stops costs no more than this.
const FIRST_GROWTH: usize = 16 * 1024;

/// A decoder takes messages off the front of a byte buffer.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use veltix::RequestId;
/// use veltix_core::{Frame, FrameDecoder};
///
/// let mut buffer = BytesMut::new();
/// Frame::new(200, RequestId::new(7), Bytes::from("hi")).write_to(&mut buffer);
/// let mut decoder = FrameDecoder::new(1024);
/// let message = decoder.decode(&mut buffer).unwrap().unwrap();
/// assert_eq!((message.code(), message.text().unwrap()), (200, "hi"));
/// assert_eq!(decoder.decode(&mut buffer), Ok(None));
/// ```
#[derive(Clone, Debug)]
pub struct FrameDecoder {
    max_message_size: usize,
    /// Counts accepted frames whose flags byte was not 0. No flag is defined, so such frames are
    /// accepted.
    flagged: u64,
}

impl FrameDecoder {
    /// Creates a decoder that accepts frames of up to `max_message_size` bytes, header included.
    #[must_use]
    pub const fn new(max_message_size: usize) -> Self {
        Self { max_message_size, flagged: 0 }
    }

    /// Returns the next message, or `None` if more bytes are needed.
    ///
    /// The body is split off the buffer, not copied. A frame over the limit is refused by its
    /// header, before memory is allocated for it. For a frame within the limit, memory grows with
    /// the bytes that arrive, not with the length that the header announces.
    ///
    /// # Errors
    /// Returns the [`ProtocolError`] that ends the connection. After an error the content of the
    /// buffer has no meaning.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, ProtocolError> {
        Ok(self.take(buffer, 1)?.and_then(|mut batch| batch.next()))
    }

    /// Returns the whole frames at the front of the buffer as one batch, or `None` if more bytes
    /// are needed. A batch has at most 1 024 frames, and ends with the frame that reaches 64 KiB.
    ///
    /// All frames are verified here, so taking messages from the batch cannot fail. An error is
    /// reported once the bad frame is at the front: the good frames before it form a batch of their
    /// own.
    ///
    /// # Errors
    /// Returns the same errors as [`decode`](FrameDecoder::decode).
    pub fn decode_batch(
        &mut self,
        buffer: &mut BytesMut,
    ) -> Result<Option<FrameBatch>, ProtocolError> {
        self.take(buffer, BATCH_FRAMES)
    }

    fn take(
        &mut self,
        buffer: &mut BytesMut,
        frames: usize,
    ) -> Result<Option<FrameBatch>, ProtocolError> {
        let mut whole = 0;
        for _ in 0..frames {
            match self.check(&buffer[whole..]) {
                Ok(Step::Whole(total)) => whole += total,
                Ok(Step::Begun(total)) if whole == 0 => {
                    grow(buffer, total);
                    return Ok(None);
                }
                Err(error) if whole == 0 => return Err(error),
                Ok(Step::Begun(_) | Step::Nothing) | Err(_) => break,
            }
            if whole >= BATCH_BYTES {
                break;
            }
        }
        Ok((whole > 0).then(|| FrameBatch::new(buffer.split_to(whole).freeze())))
    }

    /// Checks the frame that begins at the front of these bytes.
    #[inline]
    fn check(&mut self, bytes: &[u8]) -> Result<Step, ProtocolError> {
        let Some(header) = Header::parse(bytes)? else { return Ok(Step::Nothing) };
        let total = header.total();
        if total > self.max_message_size as u64 {
            return Err(ProtocolError::Oversize { total, limit: self.max_message_size });
        }
        let total = total as usize;
        let Some(body) = bytes.get(HEADER_LEN..total) else { return Ok(Step::Begun(total)) };
        let computed = checksum(body);
        if computed != header.checksum {
            return Err(ProtocolError::ChecksumMismatch { announced: header.checksum, computed });
        }
        self.flagged += u64::from(header.flags != 0);
        Ok(Step::Whole(total))
    }

    /// Checks whether the stream may end with `rest` as its last bytes.
    ///
    /// # Errors
    /// Returns [`ProtocolError::Truncated`] if `rest` begins a frame.
    pub fn end(&self, rest: &[u8]) -> Result<(), ProtocolError> {
        match self.begun(rest) {
            None => Ok(()),
            Some(expected) => Err(ProtocolError::Truncated { received: rest.len(), expected }),
        }
    }

    /// Returns the length in bytes of the frame that `rest` begins, or `None` if `rest` is empty.
    /// While the header is incomplete, it returns the length of the header.
    #[must_use]
    pub fn begun(&self, rest: &[u8]) -> Option<u64> {
        match Header::parse(rest) {
            _ if rest.is_empty() => None,
            Ok(Some(header)) => Some(header.total()),
            Ok(None) | Err(_) => Some(HEADER_LEN as u64),
        }
    }

    /// Returns the capacity that the buffer needs for the frame at its front, in bytes: the
    /// capacity that [`decode`](FrameDecoder::decode) would reserve. The result is at most the
    /// buffer's capacity if no memory is needed, also for a whole frame and for a frame over the
    /// limit.
    #[must_use]
    pub fn room(&self, buffer: &BytesMut) -> usize {
        match self.begun(buffer) {
            Some(total) if total > buffer.len() as u64 && total <= self.max_message_size as u64 => {
                buffer.len() + growth(buffer, total as usize)
            }
            _ => buffer.len(),
        }
    }

    /// Returns the number of accepted frames whose flags byte was not 0.
    #[must_use]
    pub const fn flagged(&self) -> u64 {
        self.flagged
    }
}

/// Describes the bytes at the front of a stream.
enum Step {
    /// The bytes begin with a verified frame of this length.
    Whole(usize),
    /// The bytes are the beginning of a frame of this length.
    Begun(usize),
    /// The bytes are less than a header.
    Nothing,
}

/// Reserves memory for more of a frame of `total` bytes: for the whole frame once a part of it has
/// arrived, and before that for three times the bytes that arrived. So all growth together copies
/// the frame less than once, and memory follows the received bytes, not the announced length.
fn grow(buffer: &mut BytesMut, total: usize) {
    buffer.reserve(growth(buffer, total));
}

/// Returns the number of bytes to reserve.
fn growth(buffer: &BytesMut, total: usize) -> usize {
    let missing = total - buffer.len();
    let free = buffer.capacity() - buffer.len();
    if free > 0 && free >= missing.min(FIRST_GROWTH) {
        return 0;
    }
    let is_part = buffer.len() >= total / WORTH_ALL;
    let step = if is_part { missing } else { 3 * buffer.len() };
    missing.min(step.max(FIRST_GROWTH))
}

#[cfg(test)]
mod tests;
