//! [`Arrival`]: a received message that its handler has not taken yet.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::burst::Burst;
use crate::error::BodyError;
use crate::frame::Header;
use crate::message::{Message, RequestId};

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
pub struct Arrival<'a> {
    code: u16,
    id: RequestId,
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    /// The message is in a frame batch, which has already moved behind it.
    Burst { burst: &'a mut Burst, length: u32, checksum: u32 },
    /// The message has waited outside of a frame batch.
    Message(&'a mut Message),
}

impl<'a> Arrival<'a> {
    #[inline]
    const fn of_burst(burst: &'a mut Burst, header: &Header) -> Self {
        let Header { code, id, length, checksum, .. } = *header;
        Self { code, id, source: Source::Burst { burst, length, checksum } }
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
            Source::Burst { burst, length, .. } => burst.arrived(*length as usize),
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
            Source::Burst { burst, length, checksum } => {
                let body = burst.take_arrived(length as usize);
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

impl Burst {
    /// Returns a reference to the next message. Its body stays in the batch, so that the caller can
    /// decide how to handle the message before it takes the body.
    #[inline]
    pub fn arrive(&mut self) -> Option<Arrival<'_>> {
        let header = self.advance()?;
        Some(Arrival::of_burst(self, &header))
    }
}

impl Iterator for Burst {
    type Item = Message;

    #[inline]
    fn next(&mut self) -> Option<Message> {
        self.arrive().map(Arrival::into_message)
    }
}

impl Message {
    /// Returns a reference to this message. If the message is taken through it, an empty body is
    /// left behind.
    #[must_use]
    pub const fn arrival(&mut self) -> Arrival<'_> {
        Arrival::of_message(self)
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
        let mut burst = FrameDecoder::new(100).decode_burst(&mut buffer).unwrap().unwrap();
        assert_eq!(burst.arrive().unwrap().text().unwrap(), "one");
        assert_eq!(burst.arrive().unwrap().body(), b"");
        let last = burst.arrive().unwrap();
        assert_eq!(last.json::<String>().unwrap(), "three");
        let address = last.body().as_ptr();
        assert_eq!(last.into_body().as_ptr(), address, "it is where it was");
        assert!(burst.is_empty() && burst.arrive().is_none());
    }

    #[test]
    fn a_message_that_waited_arrives_as_it_was() {
        let mut message = Message::from_text(SAY, "late").on_full(OverflowPolicy::DropNewest);
        let class = message.delivery_class().clone();
        let arrival = message.arrival();
        assert_eq!((arrival.code(), arrival.body()), (200, &b"late"[..]));
        let taken = arrival.into_message();
        assert_eq!((taken.text().unwrap(), taken.delivery_class()), ("late", &class));
        assert!(message.body().is_empty());
    }
}
