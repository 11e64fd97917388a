//! [`VeltixCodec`]: frames for `tokio_util::codec`. It is a thin adapter over the core, and public
//! for applications that need only the wire format.

pub(crate) mod read_buffer;

use std::io;

use bytes::BytesMut;
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};
use veltix_core::limits::{HEADER_LEN, MAX_MESSAGE_SIZE};
use veltix_core::{EncodeError, Frame, FrameBatch, FrameDecoder, Message, ProtocolError};

/// A codec for [`Message`]s. It does not perform the handshake: use it after one.
#[derive(Clone, Debug)]
pub struct VeltixCodec {
    decoder: FrameDecoder,
    max_message_size: usize,
}

impl VeltixCodec {
    /// Creates a codec that accepts and produces frames of up to `max_message_size` bytes, header
    /// included.
    #[must_use]
    pub const fn new(max_message_size: usize) -> Self {
        Self { decoder: FrameDecoder::new(max_message_size), max_message_size }
    }

    /// Creates a decoder that returns all frames of one read together, for a connection's own
    /// reading.
    ///
    /// A buffer may grow to `room` bytes for a begun frame. For this frame it may grow further
    /// after a call of [`allow`](FrameBatchDecoder::allow).
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
    /// Creates a codec for frames of up to 10 MiB.
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
                read_buffer::lend_large(buffer, total);
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

/// Refuses a message whose frame exceeds the limit.
pub(crate) fn within(message: Message, limit: usize) -> Result<Message, EncodeError> {
    check_size(message.body().len(), limit)?;
    Ok(message)
}

/// Refuses a body whose frame exceeds the limit.
pub(crate) const fn check_size(body: usize, limit: usize) -> Result<(), EncodeError> {
    let size = HEADER_LEN + body;
    if size > limit { Err(EncodeError::TooLarge { size, limit }) } else { Ok(()) }
}

/// The reason why a framed stream ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The received bytes are not frames.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The stream failed.
    #[error("the stream failed: check the network, and connect again")]
    Io(#[from] io::Error),
}
