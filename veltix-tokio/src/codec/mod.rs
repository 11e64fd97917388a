//! Frames for `tokio_util::codec`: a thin adapter over the core, public for whoever wants the
//! wire without the rest.

pub(crate) mod read_buffer;

use std::io;

use bytes::BytesMut;
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};
use veltix_core::limits::{HEADER_LEN, MAX_MESSAGE_SIZE};
use veltix_core::{EncodeError, Frame, FrameBatch, FrameDecoder, Message, ProtocolError};

/// Decodes and encodes [`Message`]s. It knows nothing of handshakes: put it behind one.
#[derive(Clone, Debug)]
pub struct VeltixCodec {
    decoder: FrameDecoder,
    max_message_size: usize,
}

impl VeltixCodec {
    /// A codec that accepts and makes frames up to this size in bytes, header included.
    #[must_use]
    pub const fn new(max_message_size: usize) -> Self {
        Self { decoder: FrameDecoder::new(max_message_size), max_message_size }
    }

    /// A decoder of all that came together, for a connection's own reading.
    ///
    /// A buffer may grow to `room` bytes for a begun frame, and beyond it when that is
    /// [allowed](FrameBatchDecoder::allow), for this frame.
    pub(crate) const fn batches(max_message_size: usize, room: usize) -> FrameBatchDecoder {
        FrameBatchDecoder {
            frames: FrameDecoder::new(max_message_size),
            room,
            allowed: room,
            wanted: 0,
        }
    }
}

impl Default for VeltixCodec {
    /// A codec for frames of up to 10 MiB.
    fn default() -> Self {
        Self::new(MAX_MESSAGE_SIZE)
    }
}

impl Decoder for VeltixCodec {
    type Item = Message;
    type Error = CodecError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, CodecError> {
        Ok(self.decoder.decode(buffer)?)
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, CodecError> {
        match self.decoder.decode(buffer)? {
            Some(message) => Ok(Some(message)),
            None => Ok(self.decoder.end(buffer).map(|()| None)?),
        }
    }
}

impl Encoder<Message> for VeltixCodec {
    type Error = CodecError;

    fn encode(&mut self, message: Message, buffer: &mut BytesMut) -> Result<(), CodecError> {
        let frame = Frame::from(message);
        if frame.len() > self.max_message_size {
            let total = frame.len() as u64;
            return Err(ProtocolError::Oversize { total, limit: self.max_message_size }.into());
        }
        frame.write_to(buffer);
        Ok(())
    }
}

/// As [`VeltixCodec`], but it gives what one read brought at once. `FramedRead` and the buffer have
/// their costs for each item, and a read brings hundreds of small messages.
///
/// An empty batch says that the frame that has begun needs more room than is allowed.
#[derive(Debug)]
pub(crate) struct FrameBatchDecoder {
    frames: FrameDecoder,
    /// How large a buffer may always become.
    room: usize,
    /// How large it may become for the frame that has begun.
    allowed: usize,
    /// What it would have become.
    wanted: usize,
}

impl FrameBatchDecoder {
    /// Lets the buffer grow to this many bytes, until the frame that has begun is whole.
    pub(crate) const fn allow(&mut self, room: usize) {
        if self.allowed < room {
            self.allowed = room;
        }
    }

    /// How large the buffer would have to be, after an empty batch.
    pub(crate) const fn wanted(&self) -> usize {
        self.wanted
    }

    /// Whether a begun frame that its buffer has no room for may have what it needs next.
    #[cold]
    fn may_grow(&mut self, buffer: &BytesMut) -> bool {
        self.wanted = self.frames.room(buffer);
        self.wanted <= self.allowed
    }

    /// Bytes of the frame that these bytes begin, `None` when there is nothing: see
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
            // One that is over the limit is refused below.
            let total = usize::try_from(total).unwrap_or(usize::MAX);
            if total > buffer.capacity() {
                if !self.may_grow(buffer) {
                    return Ok(Some(FrameBatch::default()));
                }
                read_buffer::lend_large(buffer, total);
            } else if total <= buffer.len() {
                // It is whole, and the memory that was counted for it given back: the next one asks again.
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

/// Refuses a message that would be over the limit on the wire.
pub(crate) fn within(message: Message, limit: usize) -> Result<Message, EncodeError> {
    check_size(message.body().len(), limit)?;
    Ok(message)
}

/// Refuses a body whose message would be over the limit on the wire.
pub(crate) const fn check_size(body: usize, limit: usize) -> Result<(), EncodeError> {
    let size = HEADER_LEN + body;
    if size > limit { Err(EncodeError::TooLarge { size, limit }) } else { Ok(()) }
}

/// Why a framed stream ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes are not frames.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The stream failed.
    #[error("the stream failed")]
    Io(#[from] io::Error),
}
