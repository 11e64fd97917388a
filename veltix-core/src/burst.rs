//! [`Burst`]: messages that came together.

use bytes::{Buf, Bytes};

use crate::frame::Header;

/// Messages that came together and are good: an iterator over them. They share one buffer.
///
/// Made by [`FrameDecoder::decode_burst`]; the default has none.
#[derive(Clone, Debug, Default)]
pub struct Burst {
    /// Whole frames, each of them checked.
    bytes: Bytes,
    /// Where the next one begins.
    at: usize,
    /// `bytes` is a buffer of its own already.
    is_own: bool,
}

impl Burst {
    /// The messages of these whole frames, each of which has been checked.
    #[inline]
    pub(crate) const fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0, is_own: false }
    }

    /// Whether no message is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// How many bytes the messages that are left have, with their headers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Gives what is left a buffer of its own if it is shorter than `limit` bytes: when it has to
    /// wait, it should not keep a much larger read buffer. What has its own is not copied again.
    pub fn detach_below(&mut self, limit: usize) {
        let rest = &self.bytes[self.at..];
        if rest.len() < limit && !self.is_own {
            *self = Self { bytes: Bytes::copy_from_slice(rest), at: 0, is_own: true };
        }
    }

    /// The header of the next message, which arrives: the burst stands behind it then.
    #[inline]
    pub(crate) fn advance(&mut self) -> Option<Header> {
        let header = Header::of(self.bytes.get(self.at..)?.first_chunk()?);
        self.at += header.total() as usize;
        Some(header)
    }

    /// The last bytes before the next message: the body of the one that has arrived.
    #[inline]
    pub(crate) fn arrived(&self, length: usize) -> &[u8] {
        &self.bytes[self.at - length..self.at]
    }

    /// The same, taken.
    #[inline]
    pub(crate) fn take_arrived(&mut self, length: usize) -> Bytes {
        let begin = self.at - length;
        if self.at < self.bytes.len() {
            return self.bytes.slice(begin..self.at);
        }
        // The last one has the buffer to itself.
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
