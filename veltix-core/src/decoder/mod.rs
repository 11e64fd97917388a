//! Messages out of a stream of bytes.

use bytes::BytesMut;

use crate::burst::Burst;
use crate::error::ProtocolError;
use crate::frame::{Header, checksum};
use crate::limits::{BATCH_BYTES, BATCH_FRAMES, HEADER_LEN, WORTH_ALL};
use crate::message::Message;

/// Room that a begun frame is given at first; from there its buffer doubles with the bytes that
/// came, so a header that promises 10 MiB and stops costs no more than this.
const FIRST_GROWTH: usize = 16 * 1024;

/// Takes messages off the front of a byte buffer.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use veltix_core::{Frame, FrameDecoder, RequestId};
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
    /// Frames whose flags byte was not 0. No flag is defined, so they are accepted and counted.
    flagged: u64,
}

impl FrameDecoder {
    /// A decoder that accepts frames up to this size, header included.
    #[must_use]
    pub const fn new(max_message_size: usize) -> Self {
        Self { max_message_size, flagged: 0 }
    }

    /// The next message, or `None` until more bytes have come.
    ///
    /// The body is split off the buffer, not copied. A frame over the limit is refused from its
    /// header, before anything is allocated for it; a frame within it makes room as its bytes
    /// come, never for what it merely announces.
    ///
    /// # Errors
    /// The [`ProtocolError`] that ends the connection. After one the buffer's content means
    /// nothing any more.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, ProtocolError> {
        Ok(self.take(buffer, 1)?.and_then(|mut burst| burst.next()))
    }

    /// The whole frames at the front of the buffer, in one piece, or `None` until more bytes have
    /// come: at most 1 024 of them, and no more once they are 64 KiB.
    ///
    /// All of them are checked here, so taking the messages off the burst cannot fail. A bad frame
    /// is told when it is at the front: those before it are a burst of their own.
    ///
    /// # Errors
    /// As [`decode`](FrameDecoder::decode).
    pub fn decode_burst(&mut self, buffer: &mut BytesMut) -> Result<Option<Burst>, ProtocolError> {
        self.take(buffer, BATCH_FRAMES)
    }

    fn take(
        &mut self,
        buffer: &mut BytesMut,
        frames: usize,
    ) -> Result<Option<Burst>, ProtocolError> {
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
        Ok((whole > 0).then(|| Burst::new(buffer.split_to(whole).freeze())))
    }

    /// Looks at the frame that begins here.
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

    /// What the stream's end means with these bytes left over.
    ///
    /// # Errors
    /// [`ProtocolError::Truncated`] when a frame has begun.
    pub fn end(&self, rest: &[u8]) -> Result<(), ProtocolError> {
        match self.begun(rest) {
            None => Ok(()),
            Some(expected) => Err(ProtocolError::Truncated { received: rest.len(), expected }),
        }
    }

    /// Bytes of the frame that these bytes begin: its whole length once the header is there, the
    /// header's before that, `None` when there is nothing.
    #[must_use]
    pub fn begun(&self, rest: &[u8]) -> Option<u64> {
        match Header::parse(rest) {
            _ if rest.is_empty() => None,
            Ok(Some(header)) => Some(header.total()),
            Ok(None) | Err(_) => Some(HEADER_LEN as u64),
        }
    }

    /// The room, in bytes, that the frame that begins this buffer needs next: what
    /// [`decode`](FrameDecoder::decode) would make sure of. It is no more than the buffer's capacity
    /// when nothing is to be made, for a whole frame and for one over the limit too.
    #[must_use]
    pub fn room(&self, buffer: &BytesMut) -> usize {
        match self.begun(buffer) {
            Some(total) if total > buffer.len() as u64 && total <= self.max_message_size as u64 => {
                buffer.len() + growth(buffer, total as usize)
            }
            _ => buffer.len(),
        }
    }

    /// Accepted frames whose flags byte was not 0.
    #[must_use]
    pub const fn flagged(&self) -> u64 {
        self.flagged
    }
}

/// What stands at some place of a stream.
enum Step {
    /// A good frame of this length.
    Whole(usize),
    /// A frame of this length, of which more is to come.
    Begun(usize),
    /// Not even a header.
    Nothing,
}

/// Makes room for more of a frame of `total` bytes: for all of it once a part of it has come, for
/// three times what came before that. So all growth together copies the frame less than once, and
/// memory follows what came, not what was announced.
fn grow(buffer: &mut BytesMut, total: usize) {
    buffer.reserve(growth(buffer, total));
}

/// For how many more bytes it makes room.
fn growth(buffer: &BytesMut, total: usize) -> usize {
    let missing = total - buffer.len();
    let spare = buffer.capacity() - buffer.len();
    if spare > 0 && spare >= missing.min(FIRST_GROWTH) {
        return 0;
    }
    let is_part = buffer.len() >= total / WORTH_ALL;
    let step = if is_part { missing } else { 3 * buffer.len() };
    missing.min(step.max(FIRST_GROWTH))
}

#[cfg(test)]
mod tests;
