//! [`FrameBatch`]: the frames that one read completed; and [`MessageRef`]: one of its messages, which
//! nobody has taken yet. Both stand here because a reference is a view into its batch.

use bytes::{Buf, Bytes};
use serde::de::DeserializeOwned;

use crate::error::BodyError;
use crate::frame::Header;
use crate::message::{Message, RequestId};

/// A frame batch is an iterator over messages that arrived together in verified frames. The
/// messages share one buffer.
///
/// [`FrameDecoder::decode_batch`](crate::FrameDecoder::decode_batch) creates it. The default is
/// empty.
#[derive(Clone, Debug, Default)]
pub struct FrameBatch {
    /// Holds whole frames, each of them verified.
    bytes: Bytes,
    /// Holds the offset of the next frame.
    at: usize,
    /// Is true if `bytes` is already a buffer of its own.
    is_own: bool,
}

impl FrameBatch {
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
    /// [`advance`](FrameBatch::advance) returned.
    #[inline]
    pub(crate) fn body_before(&self, length: usize) -> &[u8] {
        &self.bytes[self.at - length..self.at]
    }

    /// Takes the same bytes out of the batch.
    #[inline]
    pub(crate) fn take_body(&mut self, length: usize) -> Bytes {
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

/// A message reference gives access to a received message whose body still is in the buffer that it
/// was read into.
///
/// A message that nobody takes costs nothing: the buffer is not shared, and no reference count
/// changes. Dropping the reference discards the message.
///
/// ```
/// use veltix::handler::{Context, FromMessage, MessageRef};
/// use veltix::{Rejection, Router};
///
/// /// The number of words of a text. The body is not copied.
/// struct Words(usize);
///
/// impl<S> FromMessage<S> for Words {
///     fn from_message(_: &Context<'_>, _: &S, message: MessageRef<'_>) -> Result<Self, Rejection> {
///         Ok(Self(message.text()?.split_whitespace().count()))
///     }
/// }
///
/// let router: Router = Router::new().fallback(|words: Words| words.0.to_string());
/// ```
#[derive(Debug)]
pub struct MessageRef<'a> {
    code: u16,
    id: RequestId,
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    /// The message is in a frame batch, which has already moved behind it.
    FrameBatch { batch: &'a mut FrameBatch, length: u32, checksum: u32 },
    /// The message has waited outside of a frame batch.
    Message(&'a mut Message),
}

impl<'a> MessageRef<'a> {
    #[inline]
    const fn of_batch(batch: &'a mut FrameBatch, header: &Header) -> Self {
        let Header { code, id, length, checksum, .. } = *header;
        Self { code, id, source: Source::FrameBatch { batch, length, checksum } }
    }

    const fn of_message(message: &'a mut Message) -> Self {
        let (code, id) = (message.code(), message.id());
        Self { code, id, source: Source::Message(message) }
    }

    /// Returns the code of the message's type.
    #[inline]
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Returns the request id.
    #[inline]
    #[must_use]
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Returns the body.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &[u8] {
        match &self.source {
            Source::FrameBatch { batch, length, .. } => batch.body_before(*length as usize),
            Source::Message(message) => message.body(),
        }
    }

    /// Returns the body as text.
    ///
    /// # Errors
    /// Returns [`BodyError::Utf8`] if the body is not UTF-8.
    pub fn text(&self) -> Result<&str, BodyError> {
        Ok(std::str::from_utf8(self.body())?)
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// Returns [`BodyError::Json`] if the body is not JSON, or does not fit the type `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, BodyError> {
        Ok(serde_json::from_slice(self.body())?)
    }

    /// Takes the message. Its body shares the buffer that it was read into: see
    /// [`Message::detach`].
    #[inline]
    #[must_use]
    pub fn into_message(self) -> Message {
        match self.source {
            Source::FrameBatch { batch, length, checksum } => {
                let body = batch.take_body(length as usize);
                Message::received(self.code, self.id, checksum, body)
            }
            Source::Message(message) => {
                let emptied = Message::from_parts(self.code, self.id, Bytes::new());
                std::mem::replace(message, emptied)
            }
        }
    }

    /// Takes the body without the rest of the message.
    #[inline]
    #[must_use]
    pub fn into_body(self) -> Bytes {
        self.into_message().into_body()
    }
}

impl FrameBatch {
    /// Returns a reference to the next message. Its body stays in the batch, so that the caller can
    /// decide how to handle the message before it takes the body.
    #[inline]
    pub fn next_ref(&mut self) -> Option<MessageRef<'_>> {
        let header = self.advance()?;
        Some(MessageRef::of_batch(self, &header))
    }
}

impl Iterator for FrameBatch {
    type Item = Message;

    #[inline]
    fn next(&mut self) -> Option<Message> {
        self.next_ref().map(MessageRef::into_message)
    }
}

impl Message {
    /// Returns a reference to this message. If the message is taken through it, an empty body is
    /// left behind.
    #[must_use]
    pub const fn by_ref(&mut self) -> MessageRef<'_> {
        MessageRef::of_message(self)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::delivery::OverflowPolicy;
    use crate::frame::Frame;
    use crate::{FrameDecoder, MessageType};

    const SAY: MessageType = MessageType::new(200, "say", "");

    #[test]
    fn a_look_takes_nothing() {
        let mut buffer = BytesMut::new();
        for body in ["one", "", "\"three\""] {
            Frame::from(Message::from_text(SAY, body)).write_to(&mut buffer);
        }
        let mut batch = FrameDecoder::new(100).decode_batch(&mut buffer).unwrap().unwrap();
        assert_eq!(batch.next_ref().unwrap().text().unwrap(), "one");
        assert_eq!(batch.next_ref().unwrap().body(), b"");
        let last = batch.next_ref().unwrap();
        assert_eq!(last.json::<String>().unwrap(), "three");
        let address = last.body().as_ptr();
        assert_eq!(last.into_body().as_ptr(), address, "it is where it was");
        assert!(batch.is_empty() && batch.next_ref().is_none());
    }

    #[test]
    fn a_message_that_waited_arrives_as_it_was() {
        let mut message = Message::from_text(SAY, "late").on_full(OverflowPolicy::DropNewest);
        let class = message.delivery_class().clone();
        let reference = message.by_ref();
        assert_eq!((reference.code(), reference.body()), (200, &b"late"[..]));
        let taken = reference.into_message();
        assert_eq!((taken.text().unwrap(), taken.delivery_class()), ("late", &class));
        assert!(message.body().is_empty());
    }

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
        let mut batch = FrameDecoder::new(100).decode_batch(&mut buffer).unwrap().unwrap();
        let taken = batch.next().unwrap();
        assert!(block.contains(&(taken.body().as_ptr() as usize)));
        batch.detach_below(20);
        assert!(block.contains(&(batch.bytes.as_ptr() as usize)), "it is not below the limit");
        batch.detach_below(21);
        let own = batch.bytes.as_ptr();
        batch.detach_below(21);
        assert_eq!(batch.bytes.as_ptr(), own, "it is copied once");
        let waits = batch.next().unwrap();
        assert_eq!(&waits.body()[..], b"waits");
        assert!(!block.contains(&(waits.body().as_ptr() as usize)));
        assert!(batch.is_empty());
    }
}
