//! [`Burst`]: the frames that one read completed.

use bytes::{Buf, Bytes};

use crate::frame::Header;

/// A frame batch is an iterator over messages that arrived together in verified frames. The
/// messages share one buffer.
///
/// [`FrameDecoder::decode_burst`](crate::FrameDecoder::decode_burst) creates it. The default is
/// empty.
#[derive(Clone, Debug, Default)]
pub struct Burst {
    /// Holds whole frames, each of them verified.
    bytes: Bytes,
    /// Holds the offset of the next frame.
    at: usize,
    /// Is true if `bytes` is already a buffer of its own.
    is_own: bool,
}

impl Burst {
    /// Creates a frame batch from whole frames, each of which has been verified.
    #[inline]
    pub(crate) const fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0, is_own: false }
    }

    /// Returns whether no message is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Returns the number of bytes of the messages that are left, including their headers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Copies the remaining frames into a buffer of their own if they are shorter than `limit`
    /// bytes, so that waiting frames do not keep a much larger read buffer alive. A buffer of its
    /// own is not copied again.
    pub fn detach_below(&mut self, limit: usize) {
        let rest = &self.bytes[self.at..];
        if rest.len() < limit && !self.is_own {
            *self = Self { bytes: Bytes::copy_from_slice(rest), at: 0, is_own: true };
        }
    }

    /// Returns the header of the next frame and moves behind that frame.
    #[inline]
    pub(crate) fn advance(&mut self) -> Option<Header> {
        let header = Header::of(self.bytes.get(self.at..)?.first_chunk()?);
        self.at += header.total() as usize;
        Some(header)
    }

    /// Returns the last `length` bytes before the current position: the body of the frame that
    /// [`advance`](Burst::advance) returned.
    #[inline]
    pub(crate) fn arrived(&self, length: usize) -> &[u8] {
        &self.bytes[self.at - length..self.at]
    }

    /// Takes the same bytes out of the batch.
    #[inline]
    pub(crate) fn take_arrived(&mut self, length: usize) -> Bytes {
        let begin = self.at - length;
        if self.at < self.bytes.len() {
            return self.bytes.slice(begin..self.at);
        }
        // The last body takes the buffer without sharing it.
        let mut bytes = std::mem::take(self).bytes;
        bytes.advance(begin);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::{Frame, FrameDecoder, RequestId};

    fn frame(id: u16, body: &'static str) -> BytesMut {
        let mut buffer = BytesMut::new();
        Frame::new(200, RequestId::new(id), Bytes::from(body)).write_to(&mut buffer);
        buffer
    }

    #[test]
    fn the_rest_of_a_burst_can_have_a_buffer_of_its_own() {
        let mut buffer = frame(1, "taken");
        buffer.extend_from_slice(&frame(2, "waits"));
        let block = buffer.as_ptr() as usize..buffer.as_ptr() as usize + buffer.len();
        let mut burst = FrameDecoder::new(100).decode_burst(&mut buffer).unwrap().unwrap();
        let taken = burst.next().unwrap();
        assert!(block.contains(&(taken.body().as_ptr() as usize)));
        burst.detach_below(20);
        assert!(block.contains(&(burst.bytes.as_ptr() as usize)), "it is not below the limit");
        burst.detach_below(21);
        let own = burst.bytes.as_ptr();
        burst.detach_below(21);
        assert_eq!(burst.bytes.as_ptr(), own, "it is copied once");
        let waits = burst.next().unwrap();
        assert_eq!(&waits.body()[..], b"waits");
        assert!(!block.contains(&(waits.body().as_ptr() as usize)));
        assert!(burst.is_empty());
    }
}
