//! The layout of a frame. No other file knows it. [`FrameDecoder`](crate::FrameDecoder) finds
//! frames in a stream.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | magic `56 58` ("VX") |
//! | 2 | 1 | flags: 0 when sent, ignored when received |
//! | 3 | 2 | type code |
//! | 5 | 4 | payload length, header not counted |
//! | 9 | 4 | CRC-32 of the payload alone |
//! | 13 | 2 | request id |
//!
//! All integers are big-endian. PROTOCOL.md describes the layout in full.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use crc32fast::Hasher;

use crate::delivery::DeliveryClass;
use crate::error::ProtocolError;
#[cfg(test)]
use crate::hostile::looked;
use crate::limits::HEADER_LEN;
use crate::message::{Message, RequestId};

const MAGIC: [u8; 2] = *b"VX";

/// Describes the buffer that holds the body's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Buffer {
    /// The buffer is unknown: the body may be a slice that keeps a much larger read buffer alive.
    Any,
    /// The body has its own buffer, which clones of the frame may share.
    Own,
    /// The creator of the buffer counts its memory, once for all clones of the frame.
    Counted,
}

/// A frame is a message ready for the wire: its header and its shared body. The checksum is
/// computed once, even if the frame goes to many peers.
#[derive(Clone, Debug)]
pub struct Frame {
    header: [u8; HEADER_LEN],
    buffer: Buffer,
    class: DeliveryClass,
    body: Bytes,
}

impl Frame {
    /// Creates the frame of a message with this code, id and body.
    ///
    /// A body of 4 GiB or more does not fit the length field. Callers refuse such a body earlier by
    /// `max_message_size`, which always fits a `u32`.
    #[must_use]
    pub fn new(code: u16, id: RequestId, body: Bytes) -> Self {
        let checksum = checksum(&body);
        Self::with_checksum(code, id, checksum, body)
    }

    #[inline]
    fn with_checksum(code: u16, id: RequestId, checksum: u32, body: Bytes) -> Self {
        debug_assert!(u32::try_from(body.len()).is_ok(), "the length field has 32 bits");
        let mut header = [0; HEADER_LEN];
        header[0..2].copy_from_slice(&MAGIC);
        header[3..5].copy_from_slice(&code.to_be_bytes());
        header[5..9].copy_from_slice(&(body.len() as u32).to_be_bytes());
        header[9..13].copy_from_slice(&checksum.to_be_bytes());
        header[13..15].copy_from_slice(&id.value().to_be_bytes());
        Self { header, buffer: Buffer::Any, class: DeliveryClass::DEFAULT, body }
    }

    /// Creates the frame of a message under another code and id, for an answer or a call.
    ///
    /// The checksum of a received message is known, so forwarding it does not compute the checksum
    /// again.
    // A call of it costs 30 instructions for each reply.
    #[inline(always)]
    #[must_use]
    pub fn of(message: Message, code: u16, id: RequestId) -> Self {
        let checksum = match message.checksum() {
            Some(known) => known.get(),
            None => checksum(message.body()),
        };
        let (class, body) = message.into_class_and_body();
        let mut frame = Self::with_checksum(code, id, checksum, body);
        frame.class = class;
        frame
    }

    /// Returns the same frame with another id. The checksum does not cover the id, so an answer or
    /// a call per peer costs two bytes and shares the body.
    #[inline]
    #[must_use]
    pub fn with_id(mut self, id: RequestId) -> Self {
        self.header[13..15].copy_from_slice(&id.value().to_be_bytes());
        self
    }

    /// Returns the type code.
    #[must_use]
    pub const fn code(&self) -> u16 {
        u16::from_be_bytes([self.header[3], self.header[4]])
    }

    /// Returns the request id.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        RequestId::new(u16::from_be_bytes([self.header[13], self.header[14]]))
    }

    /// Returns the class that decides how the frame is treated if a peer's outbox is full. The
    /// class is not part of the bytes.
    #[inline]
    #[must_use]
    pub const fn class(&self) -> &DeliveryClass {
        &self.class
    }

    /// Sets the class.
    #[inline]
    pub fn set_class(&mut self, class: DeliveryClass) {
        self.class = class;
    }

    /// Returns the bytes of the header.
    #[must_use]
    pub const fn header(&self) -> &[u8; HEADER_LEN] {
        &self.header
    }

    /// Returns the bytes of the body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Copies the body into a buffer of its own if it is shorter than `limit` bytes, because it may
    /// be a slice that keeps a much larger read buffer alive. The copy is made once: later clones
    /// share the new buffer.
    pub fn detach_below(&mut self, limit: usize) {
        if self.buffer == Buffer::Any && !self.body.is_empty() && self.body.len() < limit {
            self.body = Bytes::copy_from_slice(&self.body);
            self.buffer = Buffer::Own;
        }
    }

    /// Moves the body into the buffer that `counted` returns for the same bytes. That buffer counts
    /// its memory once for all clones of this frame.
    pub fn share(&mut self, counted: impl FnOnce(Bytes) -> Bytes) {
        let length = self.body.len();
        self.body = counted(std::mem::take(&mut self.body));
        debug_assert_eq!(self.body.len(), length, "the bytes are the same");
        self.buffer = Buffer::Counted;
    }

    /// Returns the length of the body in bytes if its memory is [counted elsewhere](Frame::share),
    /// and 0 otherwise.
    #[inline]
    #[must_use]
    pub const fn shared_len(&self) -> usize {
        if matches!(self.buffer, Buffer::Counted) { self.body.len() } else { 0 }
    }

    /// Returns the length of the frame on the wire, in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a frame is never empty: it has a header")]
    pub const fn len(&self) -> usize {
        HEADER_LEN + self.body.len()
    }

    /// Appends the bytes of the frame to the buffer.
    pub fn write_to(&self, buffer: &mut BytesMut) {
        buffer.extend_from_slice(&self.header);
        buffer.extend_from_slice(&self.body);
    }
}

impl PartialEq for Frame {
    /// Compares the bytes on the wire.
    fn eq(&self, other: &Self) -> bool {
        self.header == other.header && self.body == other.body
    }
}

impl Eq for Frame {}

impl From<Message> for Frame {
    #[inline]
    fn from(message: Message) -> Self {
        let (code, id) = (message.code(), message.id());
        Self::of(message, code, id)
    }
}

/// Holds the parsed header of a received frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) flags: u8,
    pub(crate) code: u16,
    pub(crate) length: u32,
    pub(crate) checksum: u32,
    pub(crate) id: RequestId,
}

impl Header {
    /// Parses the header at the front of these bytes. A wrong magic is an error from the second
    /// byte on: a peer that speaks another protocol may never send the other thirteen bytes.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let Some(&found) = bytes.first_chunk::<2>() else { return Ok(None) };
        #[cfg(test)]
        looked::at(found.len());
        if found != MAGIC {
            return Err(ProtocolError::BadMagic { found });
        }
        Ok(bytes.first_chunk().map(Self::of))
    }

    /// Parses a header whose magic is known to be right.
    #[inline]
    pub(crate) fn of(bytes: &[u8; HEADER_LEN]) -> Self {
        #[cfg(test)]
        looked::at(HEADER_LEN);
        let [_, _, flags, c0, c1, l0, l1, l2, l3, s0, s1, s2, s3, i0, i1] = *bytes;
        Self {
            flags,
            code: u16::from_be_bytes([c0, c1]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
            checksum: u32::from_be_bytes([s0, s1, s2, s3]),
            id: RequestId::new(u16::from_be_bytes([i0, i1])),
        }
    }

    /// Returns the length of the whole frame in bytes.
    pub(crate) fn total(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.length)
    }
}

/// Computes the CRC-32 of a body.
#[inline]
pub(crate) fn checksum(body: &[u8]) -> u32 {
    // The features of the processor are detected once, not for each body.
    static FRESH: LazyLock<Hasher> = LazyLock::new(Hasher::new);
    #[cfg(test)]
    looked::at(body.len());
    let mut hasher = FRESH.clone();
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_string_has_the_known_bytes() {
        let expected = b"\x56\x58\x00\x00\xc8\x00\x00\x00\x09\xcb\xf4\x39\x26\x00\x04123456789";
        let mut bytes = BytesMut::new();
        Frame::new(200, RequestId::new(4), Bytes::from("123456789")).write_to(&mut bytes);
        assert_eq!(&bytes[..], expected);
    }

    #[test]
    fn a_message_that_is_passed_on_keeps_its_checksum() {
        let body = Bytes::from("as it came");
        let fresh = Frame::new(200, RequestId::new(1), body.clone());
        let known = Message::received(200, RequestId::new(1), checksum(&body), body.clone());
        assert_eq!(Frame::from(known.clone().detach()), fresh);
        let code = Frame::new(300, RequestId::new(1), body.clone());
        assert_eq!(Frame::of(known, 300, RequestId::new(1)), code);
        // The checksum is the one that the decoder verified, and is not computed again.
        let wrong = Message::received(200, RequestId::new(1), 7, body);
        assert_eq!(Frame::from(wrong).header()[9..13], [0, 0, 0, 7]);
    }

    #[test]
    fn a_body_is_detached_once_for_all_clones() {
        let mut one = Frame::new(200, RequestId::new(1), Bytes::from(vec![7; 100]));
        let (before, plain) = (one.body().as_ptr(), one.clone());
        one.detach_below(100);
        assert_eq!(one.body().as_ptr(), before, "it is not below the limit");
        one.detach_below(101);
        let detached = one.body().as_ptr();
        assert_ne!(detached, before);
        let mut clone = one.clone();
        clone.detach_below(101);
        assert_eq!(clone.body().as_ptr(), detached);
        assert_eq!(clone, plain);
    }
}
