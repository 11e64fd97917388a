//! The only file that knows the layout of a frame.
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
//! All integers are big-endian. PROTOCOL.md says the same at length.

use bytes::{Buf, Bytes, BytesMut};

use crate::delivery::DeliveryClass;
use crate::error::ProtocolError;
use crate::limits::HEADER_LEN;
use crate::message::{Message, RequestId};

const MAGIC: [u8; 2] = *b"VX";

/// Room that a begun frame is given at first; from there its buffer doubles with the bytes that
/// came, so a header that promises 10 MiB and stops costs no more than this.
const FIRST_GROWTH: usize = 16 * 1024;

/// A message ready for the wire: its header, and the body that it shares with whoever else holds
/// it. The checksum is computed once, however many peers the frame goes to.
#[derive(Clone, Debug)]
pub struct Frame {
    header: [u8; HEADER_LEN],
    /// The body has a buffer of its own, which it may share with clones of this frame.
    detached: bool,
    class: DeliveryClass,
    body: Bytes,
}

impl Frame {
    /// The frame of this message under this id.
    ///
    /// A body of 4 GiB or more does not fit the length field. Callers refuse it long before, by
    /// `max_message_size`, which a `u32` always holds.
    #[must_use]
    pub fn new(code: u16, id: RequestId, body: Bytes) -> Self {
        debug_assert!(u32::try_from(body.len()).is_ok(), "the length field has 32 bits");
        let checksum = crc32fast::hash(&body);
        let mut header = [0; HEADER_LEN];
        header[0..2].copy_from_slice(&MAGIC);
        header[3..5].copy_from_slice(&code.to_be_bytes());
        header[5..9].copy_from_slice(&(body.len() as u32).to_be_bytes());
        header[9..13].copy_from_slice(&checksum.to_be_bytes());
        header[13..15].copy_from_slice(&id.value().to_be_bytes());
        Self { header, detached: false, class: DeliveryClass::DEFAULT, body }
    }

    /// The same frame under another id: the id is not covered by the checksum, so an answer or a
    /// call per peer costs two bytes and shares the body.
    #[must_use]
    pub fn with_id(mut self, id: RequestId) -> Self {
        self.header[13..15].copy_from_slice(&id.value().to_be_bytes());
        self
    }

    /// The type code.
    #[must_use]
    pub const fn code(&self) -> u16 {
        u16::from_be_bytes([self.header[3], self.header[4]])
    }

    /// The request id.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        RequestId::new(u16::from_be_bytes([self.header[13], self.header[14]]))
    }

    /// What is done with the frame for a peer whose outbox is full. Nothing of it is in the bytes.
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

    /// The header's bytes.
    #[must_use]
    pub const fn header(&self) -> &[u8; HEADER_LEN] {
        &self.header
    }

    /// The body's bytes.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Gives the body a buffer of its own if it is shorter than `limit`: it may be a slice that
    /// keeps a much larger read buffer alive. It is done once: clones share the new buffer.
    pub fn detach_below(&mut self, limit: usize) {
        if !self.detached && !self.body.is_empty() && self.body.len() < limit {
            self.body = Bytes::copy_from_slice(&self.body);
            self.detached = true;
        }
    }

    /// Bytes on the wire.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a frame is never empty: it has a header")]
    pub const fn len(&self) -> usize {
        HEADER_LEN + self.body.len()
    }

    /// Appends the frame's bytes.
    pub fn write_to(&self, buffer: &mut BytesMut) {
        buffer.extend_from_slice(&self.header);
        buffer.extend_from_slice(&self.body);
    }
}

impl PartialEq for Frame {
    /// By the bytes on the wire.
    fn eq(&self, other: &Self) -> bool {
        self.header == other.header && self.body == other.body
    }
}

impl Eq for Frame {}

impl From<Message> for Frame {
    #[inline]
    fn from(message: Message) -> Self {
        let (code, id, class, body) = message.into_parts();
        let mut frame = Self::new(code, id, body);
        frame.class = class;
        frame
    }
}

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
        let Some(header) = Header::parse(buffer)? else { return Ok(None) };
        let total = header.total();
        if total > self.max_message_size as u64 {
            return Err(ProtocolError::Oversize { total, limit: self.max_message_size });
        }
        let total = total as usize;
        if buffer.len() < total {
            grow(buffer, total);
            return Ok(None);
        }
        buffer.advance(HEADER_LEN);
        let body = match total - HEADER_LEN {
            0 => Bytes::new(),
            length => buffer.split_to(length).freeze(),
        };
        let computed = crc32fast::hash(&body);
        if computed != header.checksum {
            return Err(ProtocolError::ChecksumMismatch { announced: header.checksum, computed });
        }
        self.flagged += u64::from(header.flags != 0);
        Ok(Some(Message::from_parts(header.code, header.id, body)))
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

    /// Accepted frames whose flags byte was not 0.
    #[must_use]
    pub const fn flagged(&self) -> u64 {
        self.flagged
    }
}

/// A received header, taken apart.
struct Header {
    flags: u8,
    code: u16,
    length: u32,
    checksum: u32,
    id: RequestId,
}

impl Header {
    /// The header at the front of these bytes. A wrong magic is seen at the second byte: waiting
    /// for thirteen more from a peer that speaks something else could take for ever.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let Some(&found) = bytes.first_chunk::<2>() else { return Ok(None) };
        if found != MAGIC {
            return Err(ProtocolError::BadMagic { found });
        }
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let [_, _, flags, c0, c1, l0, l1, l2, l3, s0, s1, s2, s3, i0, i1] = *header;
        Ok(Some(Self {
            flags,
            code: u16::from_be_bytes([c0, c1]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
            checksum: u32::from_be_bytes([s0, s1, s2, s3]),
            id: RequestId::new(u16::from_be_bytes([i0, i1])),
        }))
    }

    fn total(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.length)
    }
}

/// Makes room for more of a frame of `total` bytes, doubling: all growth together copies the
/// frame at most once, and memory follows what came, not what was announced.
fn grow(buffer: &mut BytesMut, total: usize) {
    let missing = total - buffer.len();
    let spare = buffer.capacity() - buffer.len();
    if spare == 0 || spare < missing.min(FIRST_GROWTH) {
        buffer.reserve(missing.min(buffer.len().max(FIRST_GROWTH)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(code: u16, id: u16, body: &[u8]) -> BytesMut {
        let mut buffer = BytesMut::new();
        Frame::new(code, RequestId::new(id), Bytes::copy_from_slice(body)).write_to(&mut buffer);
        buffer
    }

    /// Feeds the chunks one after the other and collects what comes out.
    fn decode_all(chunks: &[&[u8]]) -> Result<Vec<Message>, ProtocolError> {
        let mut decoder = FrameDecoder::new(1 << 20);
        let (mut buffer, mut messages) = (BytesMut::new(), Vec::new());
        for chunk in chunks {
            buffer.extend_from_slice(chunk);
            while let Some(message) = decoder.decode(&mut buffer)? {
                messages.push(message);
            }
        }
        decoder.end(&buffer)?;
        Ok(messages)
    }

    #[test]
    fn the_check_string_has_the_known_bytes() {
        let expected = b"\x56\x58\x00\x00\xc8\x00\x00\x00\x09\xcb\xf4\x39\x26\x00\x04123456789";
        assert_eq!(&frame(200, 4, b"123456789")[..], expected);
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

    #[test]
    fn every_split_point_gives_the_same_messages() {
        let mut stream = frame(200, 1, b"first");
        stream.extend_from_slice(&frame(65535, 65535, b""));
        stream.extend_from_slice(&frame(300, 2, &[0x56; 300]));
        let whole = decode_all(&[&stream]).unwrap();
        assert_eq!(whole.len(), 3);
        for first in 0..=stream.len() {
            for second in [first, (first + 7).min(stream.len()), stream.len()] {
                let chunks = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(decode_all(&chunks).unwrap(), whole, "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn bad_bytes_are_told_apart() {
        let good = frame(200, 1, b"body");
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        assert_eq!(
            decode_all(&[b"HT"]),
            Err(ProtocolError::BadMagic { found: *b"HT" }),
            "two bytes are enough"
        );
        assert!(matches!(decode_all(&[&with(1, b'Y')]), Err(ProtocolError::BadMagic { .. })));
        assert!(matches!(
            decode_all(&[&with(15, b'B')]),
            Err(ProtocolError::ChecksumMismatch { .. })
        ));
        assert_eq!(
            decode_all(&[&with(5, 1)]),
            Err(ProtocolError::Oversize { total: 15 + 4 + (1 << 24), limit: 1 << 20 })
        );
        assert_eq!(
            decode_all(&[&good[..17]]),
            Err(ProtocolError::Truncated { received: 17, expected: 19 })
        );
        assert_eq!(decode_all(&[&with(2, 0xff)]).unwrap().len(), 1, "flags are ignored");
    }

    #[test]
    fn the_limit_counts_the_header() {
        let bytes = frame(200, 0, &[0; 85]);
        assert!(FrameDecoder::new(100).decode(&mut bytes.clone()).unwrap().is_some());
        assert_eq!(
            FrameDecoder::new(99).decode(&mut bytes.clone()),
            Err(ProtocolError::Oversize { total: 100, limit: 99 })
        );
    }

    #[test]
    fn a_promised_length_reserves_no_more_than_a_first_step() {
        let mut decoder = FrameDecoder::new(10 << 20);
        let mut buffer = BytesMut::from(&frame(200, 0, &vec![0; 8 << 20])[..16]);
        assert_eq!(decoder.decode(&mut buffer), Ok(None));
        assert!(buffer.capacity() <= 2 * FIRST_GROWTH, "{} bytes", buffer.capacity());
    }

    #[test]
    fn a_large_body_moves_at_most_once_while_it_grows() {
        let bytes = frame(200, 0, &vec![7; 1 << 20]);
        let mut decoder = FrameDecoder::new(10 << 20);
        let mut buffer = BytesMut::new();
        let (mut at, mut moved) = (0, 0);
        while at < bytes.len() {
            let room = buffer.capacity() - buffer.len();
            let take = room.max(64).min(bytes.len() - at);
            let before = buffer.as_ptr();
            buffer.extend_from_slice(&bytes[at..at + take]);
            at += take;
            let message = decoder.decode(&mut buffer).unwrap();
            moved += if buffer.as_ptr() == before { 0 } else { buffer.len() };
            assert_eq!(message.is_some(), at == bytes.len());
        }
        assert!(moved <= bytes.len() + FIRST_GROWTH, "{moved} bytes were copied");
    }

    fn arbitrary_frame() -> impl Strategy<Value = (u16, u16, Vec<u8>)> {
        (any::<u16>(), any::<u16>(), proptest::collection::vec(any::<u8>(), 0..200))
    }

    proptest! {
        #[test]
        fn frames_come_back_as_they_were(
            frames in proptest::collection::vec(arbitrary_frame(), 1..8),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let mut stream = BytesMut::new();
            for (code, id, body) in &frames {
                stream.extend_from_slice(&frame(*code, *id, body));
            }
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
            let messages = decode_all(&chunks).unwrap();
            let back: Vec<_> = messages
                .iter()
                .map(|message| (message.code(), message.id().value(), message.body().to_vec()))
                .collect();
            prop_assert_eq!(back, frames);
        }

        #[test]
        fn mutated_bytes_never_panic(
            (code, id, body) in arbitrary_frame(),
            flips in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
            keep in any::<prop::sample::Index>(),
        ) {
            let mut stream = frame(code, id, &body);
            for (at, bits) in flips {
                let at = at.index(stream.len());
                stream[at] ^= bits;
            }
            stream.truncate(keep.index(stream.len() + 1));
            // A message from mutated bytes has lost nothing but what the checksum does not cover.
            if let Ok(messages) = decode_all(&[&stream]) {
                for message in messages {
                    prop_assert!(message.body().len() <= stream.len());
                }
            }
        }

        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = decode_all(&[&bytes]);
        }

        #[test]
        fn frames_inside_a_body_are_never_seen(inner in arbitrary_frame(), junk in any::<u16>()) {
            let inner = frame(inner.0, inner.1, &inner.2);
            let mut body = junk.to_be_bytes().to_vec();
            body.extend_from_slice(&inner);
            let mut outer = frame(200, 1, &body);
            outer[9] ^= 1;
            let refused = matches!(
                decode_all(&[&outer]),
                Err(ProtocolError::ChecksumMismatch { .. })
            );
            prop_assert!(refused);
        }
    }
}
