//! A message: code, request id and body, as it travels in one frame.

use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::delivery::{DeliveryClass, Key, OverflowPolicy};
use crate::error::{BodyError, EncodeError};
use crate::types::MessageType;

/// The id that ties an answer to its question: a plain number that the answering side copies.
///
/// Which ids mean a call and which do not is said by [`IdSpace`](crate::IdSpace).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u16);

impl RequestId {
    /// The id with this number.
    #[must_use]
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One message: the code of its type, the request id, and the body.
///
/// A clone is cheap: the body is shared, not copied. A body that was received is a slice of a
/// larger read buffer; one that is kept for long should be [detached](Message::detach).
///
/// Messages are equal when code, id and body are: the [`DeliveryClass`] is no part of what arrives.
#[derive(Clone)]
pub struct Message {
    code: u16,
    id: RequestId,
    /// The body's CRC-32, of a message that was received: it was checked then, and whoever passes the
    /// message on need not compute it again.
    checksum: Option<NonZeroU32>,
    class: DeliveryClass,
    body: Bytes,
}

impl Message {
    /// A message with these bytes as its body.
    pub fn new(message_type: impl Into<MessageType>, body: impl Into<Bytes>) -> Self {
        Self::from_parts(message_type.into().code(), RequestId::default(), body.into())
    }

    /// A message without a body.
    pub fn empty(message_type: impl Into<MessageType>) -> Self {
        Self::new(message_type, Bytes::new())
    }

    /// A message whose body is this text in UTF-8.
    pub fn from_text(message_type: impl Into<MessageType>, text: impl Into<String>) -> Self {
        Self::new(message_type, text.into())
    }

    /// A message whose body is this value as JSON.
    ///
    /// # Errors
    /// [`EncodeError::Json`] when the value cannot be written as JSON, for instance a map whose
    /// keys are not strings.
    pub fn from_json<T>(
        message_type: impl Into<MessageType>,
        value: &T,
    ) -> Result<Self, EncodeError>
    where
        T: Serialize + ?Sized,
    {
        Ok(Self::new(message_type, serde_json::to_vec(value)?))
    }

    /// A message of any code and id, system codes included, as the decoder makes them.
    #[inline]
    #[must_use]
    pub const fn from_parts(code: u16, id: RequestId, body: Bytes) -> Self {
        Self { code, id, checksum: None, class: DeliveryClass::DEFAULT, body }
    }

    /// A message off the wire, whose checksum is right.
    #[inline]
    pub(crate) const fn received(code: u16, id: RequestId, checksum: u32, body: Bytes) -> Self {
        let checksum = NonZeroU32::new(checksum);
        Self { code, id, checksum, class: DeliveryClass::DEFAULT, body }
    }

    /// The code of the message's type.
    #[inline]
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The request id. On a message that is yet to be sent it says nothing: sending sets it.
    #[inline]
    #[must_use]
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// The body.
    #[inline]
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body, by value.
    #[inline]
    #[must_use]
    pub fn into_body(self) -> Bytes {
        self.body
    }

    /// The body as text.
    ///
    /// # Errors
    /// [`BodyError::Utf8`] when the body is not UTF-8.
    pub fn text(&self) -> Result<&str, BodyError> {
        Ok(std::str::from_utf8(&self.body)?)
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// [`BodyError::Json`] when the body is not JSON or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, BodyError> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// The same message with a body of its own.
    ///
    /// A received body is a slice that keeps a whole read buffer (64 KiB) alive. Detach what is
    /// kept beyond the handler, when it is much smaller than that.
    #[must_use]
    pub fn detach(self) -> Self {
        Self { body: Bytes::copy_from_slice(&self.body), ..self }
    }

    /// The same message, [detached](Message::detach) if its body is shorter than `limit` bytes.
    #[inline]
    #[must_use]
    pub fn detach_below(self, limit: usize) -> Self {
        if self.body.len() < limit { self.detach() } else { self }
    }

    /// The same message under another id.
    #[inline]
    #[must_use]
    pub fn with_id(self, id: RequestId) -> Self {
        Self { id, ..self }
    }

    /// The same message, with a policy of its own for peers whose outbox is full, in place of the
    /// server's default.
    ///
    /// It is followed by broadcasts. Who sends to one peer is told that there is no room, or waits
    /// for it, and such a message is not dropped for others later. It replaces what
    /// [`latest`](Message::latest) said.
    ///
    /// ```
    /// use veltix::{Message, MessageType, OverflowPolicy};
    ///
    /// const TYPING: MessageType = MessageType::new(203, "typing", "");
    /// let message = Message::empty(TYPING).on_full(OverflowPolicy::DropNewest);
    /// assert_eq!(message, Message::empty(TYPING), "it says nothing on the wire");
    /// ```
    #[must_use]
    pub fn on_full(self, policy: OverflowPolicy) -> Self {
        self.with_class(DeliveryClass::of_policy(policy))
    }

    /// The same message, as a value of which only the newest per code and key is worth sending: a
    /// position, a price, a cursor.
    ///
    /// While a peer's stream is full, a newer value takes the place of the older one that still
    /// waits for that peer, whoever sent either; so the values of one key arrive in their order,
    /// all else keeps its order too, and a slow peer costs one frame for each key. The older one
    /// counts as dropped: superseded. For a value that takes nobody's place and finds no room,
    /// waiting frames that may be dropped are, the oldest before the others; if that does not do,
    /// a broadcast of it is dropped, and who sends it to one peer is told so, or waits. It never
    /// disconnects the peer. It replaces what [`on_full`](Message::on_full) said.
    ///
    /// It holds for sends, broadcasts and replies. A value supersedes only those under the same
    /// request id, so that no reply takes the place of another caller's; a request itself is
    /// never superseded or dropped.
    ///
    /// ```
    /// use veltix::{Message, MessageType};
    ///
    /// const POSITION: MessageType = MessageType::new(210, "position", "");
    /// let (player, x, y) = (7_u64, 3, 4);
    /// let message = Message::from_text(POSITION, format!("{player} {x} {y}")).latest(player);
    /// # drop(message);
    /// ```
    #[must_use]
    pub fn latest(self, key: impl Into<Key>) -> Self {
        self.with_class(DeliveryClass::of_key(key))
    }

    /// What is done with the message for a peer whose outbox is full.
    #[must_use]
    pub const fn delivery_class(&self) -> &DeliveryClass {
        &self.class
    }

    /// The same message with this class: what [`on_full`](Message::on_full) and
    /// [`latest`](Message::latest) say.
    #[must_use]
    pub fn with_class(self, class: DeliveryClass) -> Self {
        Self { class, ..self }
    }

    /// The body's CRC-32, if it is known.
    pub(crate) const fn checksum(&self) -> Option<NonZeroU32> {
        self.checksum
    }

    #[inline]
    pub(crate) fn into_class_and_body(self) -> (DeliveryClass, Bytes) {
        (self.class, self.body)
    }
}

impl PartialEq for Message {
    /// By code, id and body.
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code && self.id == other.id && self.body == other.body
    }
}

impl Eq for Message {}

impl fmt::Debug for Message {
    /// Code, id and length; never the body, which may be large or private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("code", &self.code)
            .field("id", &self.id.0)
            .field("body_len", &self.body.len())
            .finish()
    }
}

/// Something that can be sent: it knows its message type and encodes its body.
///
/// `#[veltix::message]` implements it; [`Message`] is its own encoding.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "this cannot be sent",
    note = "put `#[veltix::message]` on the enum, or build a `veltix::Message` with \
            `Message::from_text`, `Message::from_json` or `Message::new`"
)]
pub trait ToMessage {
    /// Encodes the body. The id of the result is not used: sending sets it.
    ///
    /// # Errors
    /// What the encoding of the body reports.
    fn to_message(&self) -> Result<Message, EncodeError>;
}

impl ToMessage for Message {
    fn to_message(&self) -> Result<Message, EncodeError> {
        Ok(self.clone())
    }
}

impl<T: ToMessage + ?Sized> ToMessage for &T {
    fn to_message(&self) -> Result<Message, EncodeError> {
        (**self).to_message()
    }
}
