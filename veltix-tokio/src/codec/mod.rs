//! [`VeltixCodec`]: frames for `tokio_util::codec`. It is a thin adapter over the core, and public
//! for applications that need only the wire format.

mod frame_batches;

use std::io;

use bytes::BytesMut;
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};
use veltix_core::limits::MAX_MESSAGE_SIZE;
use veltix_core::{Frame, FrameDecoder, Message, ProtocolError};

pub(crate) use frame_batches::{FrameBatchDecoder, give_back, lend};

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
