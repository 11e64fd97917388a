//! Messages: the code, the request id and the body that travel in one frame; and which ids belong to
//! calls.

use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::delivery::{DeliveryClass, Key, OverflowPolicy};
use crate::error::{BodyError, EncodeError};
use crate::json;
use crate::types::MessageType;

/// Identifies a request, so that its answer can be matched to it: the answering side copies this
/// number.
///
/// `IdSpace` defines which ids belong to calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u16);

impl RequestId {
    /// Creates the id with this number.
    #[must_use]
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// Returns the number.
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

/// Is the first id of a server's half.
pub(crate) const SERVER_HALF: u16 = 0x8000;

/// Is the least number of ids that calls need beside the window of a 2.0.x server. With fewer ids,
/// calls use the whole half and check the type of the answer.
pub(crate) const ENOUGH_CALL_IDS: u16 = 256;

/// The ids of one side consist of one id for messages that expect no answer, and a range of ids for
/// calls.
///
/// A plain message never carries the id of a call, so an answer to it cannot complete a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdSpace {
    plain: u16,
    first_call: u16,
    last_call: u16,
    must_check_type: bool,
}

impl IdSpace {
    /// Returns the ids of a server: 32768 for plain messages, and 32769–65535 for calls.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            plain: SERVER_HALF,
            first_call: SERVER_HALF + 1,
            last_call: u16::MAX,
            must_check_type: false,
        }
    }

    /// Returns the ids of a client: 0 for plain messages, and 1–32767 for calls.
    #[must_use]
    pub const fn client() -> Self {
        Self { plain: 0, first_call: 1, last_call: SERVER_HALF - 1, must_check_type: false }
    }

    /// Returns the ids of a client beside a server that numbers its own messages from 0 to
    /// `window`, as the Python package 2.0.x does.
    ///
    /// Plain messages use `window`, and calls use the ids above it. If the window leaves fewer than
    /// 256 ids, the client keeps its whole half, and [`IdSpace::must_check_type`] returns true.
    #[must_use]
    pub const fn client_beside(window: u16) -> Self {
        if window < SERVER_HALF && SERVER_HALF - 1 - window >= ENOUGH_CALL_IDS {
            Self {
                plain: window,
                first_call: window + 1,
                last_call: SERVER_HALF - 1,
                must_check_type: false,
            }
        } else {
            Self { must_check_type: true, ..Self::client() }
        }
    }

    /// Returns the id of messages that expect no answer.
    #[must_use]
    pub const fn plain(self) -> RequestId {
        RequestId::new(self.plain)
    }

    /// Returns whether the peer's own messages may carry the ids of our calls. If so, an answer
    /// counts only if it has the expected type.
    #[must_use]
    pub const fn must_check_type(self) -> bool {
        self.must_check_type
    }

    /// Returns whether the id belongs to a call of this side.
    #[must_use]
    pub const fn is_call(self, id: RequestId) -> bool {
        self.first_call <= id.value() && id.value() <= self.last_call
    }

    pub(crate) const fn first_call(self) -> u16 {
        self.first_call
    }

    /// Returns the number of calls that can be pending at the same time.
    #[must_use]
    pub const fn capacity(self) -> usize {
        (self.last_call - self.first_call) as usize + 1
    }

    /// Returns the id of the call after the one with this id.
    pub(crate) const fn after(self, id: u16) -> u16 {
        if id >= self.last_call { self.first_call } else { id + 1 }
    }
}

/// A message consists of the code of its type, a request id, and a body.
///
/// A clone is cheap, because it shares the body. The body of a received message is a slice of a
/// larger read buffer: [detach](Message::detach) messages that you keep for a long time.
///
/// Two messages are equal if their code, id and body are equal. The [`DeliveryClass`] does not
/// travel, and is not compared.
#[derive(Clone)]
pub struct Message {
    code: u16,
    id: RequestId,
    /// Holds the CRC-32 of a received body. The decoder has verified it, so forwarding the message
    /// does not compute it again.
    checksum: Option<NonZeroU32>,
    class: DeliveryClass,
    body: Bytes,
}

impl Message {
    /// Creates a message with these bytes as its body.
    pub fn new(message_type: impl Into<MessageType>, body: impl Into<Bytes>) -> Self {
        Self::from_parts(message_type.into().code(), RequestId::default(), body.into())
    }

    /// Creates a message without a body.
    pub fn empty(message_type: impl Into<MessageType>) -> Self {
        Self::new(message_type, Bytes::new())
    }

    /// Creates a message with this text in UTF-8 as its body.
    pub fn from_text(message_type: impl Into<MessageType>, text: impl Into<String>) -> Self {
        Self::new(message_type, text.into())
    }

    /// Creates a message with this value in JSON as its body.
    ///
    /// # Errors
    /// Returns [`EncodeError::Json`] if the value cannot be written as JSON, for example a map
    /// whose keys are not strings. Returns [`EncodeError::NotFinite`], [`EncodeError::SomeIsNull`]
    /// or [`EncodeError::TooDeep`] if a receiver would read another value, or none.
    pub fn from_json<T>(
        message_type: impl Into<MessageType>,
        value: &T,
    ) -> Result<Self, EncodeError>
    where
        T: Serialize + ?Sized,
    {
        Ok(Self::new(message_type, json::write(value)?))
    }

    /// Creates a message with any code and id, including system codes. The decoder uses it.
    #[inline]
    #[must_use]
    pub const fn from_parts(code: u16, id: RequestId, body: Bytes) -> Self {
        Self { code, id, checksum: None, class: DeliveryClass::DEFAULT, body }
    }

    /// Creates a received message whose checksum has been verified.
    #[inline]
    pub(crate) const fn received(code: u16, id: RequestId, checksum: u32, body: Bytes) -> Self {
        let checksum = NonZeroU32::new(checksum);
        Self { code, id, checksum, class: DeliveryClass::DEFAULT, body }
    }

    /// Returns the code of the message's type.
    #[inline]
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Returns the request id. It has no meaning on a message that has not been sent yet, because
    /// sending sets it.
    #[inline]
    #[must_use]
    pub const fn id(&self) -> RequestId {
        self.id
    }

    /// Returns the body.
    #[inline]
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the body by value.
    #[inline]
    #[must_use]
    pub fn into_body(self) -> Bytes {
        self.body
    }

    /// Returns the body as text.
    ///
    /// # Errors
    /// Returns [`BodyError::Utf8`] if the body is not UTF-8.
    pub fn text(&self) -> Result<&str, BodyError> {
        Ok(std::str::from_utf8(&self.body)?)
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// Returns [`BodyError::Json`] if the body is not JSON, or does not fit the type `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, BodyError> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// Returns the same message with its body in a buffer of its own.
    ///
    /// A received body is a slice that keeps a whole read buffer (64 KiB) alive. Detach messages
    /// that you keep after the handler has returned and that are much smaller than that.
    #[must_use]
    pub fn detach(self) -> Self {
        Self { body: Bytes::copy_from_slice(&self.body), ..self }
    }

    /// Returns the same message, [detached](Message::detach) if its body is shorter than `limit`
    /// bytes.
    #[inline]
    #[must_use]
    pub fn detach_below(self, limit: usize) -> Self {
        if self.body.len() < limit { self.detach() } else { self }
    }

    /// Returns the same message with another id.
    #[inline]
    #[must_use]
    pub fn with_id(self, id: RequestId) -> Self {
        Self { id, ..self }
    }

    /// Returns the same message with its own policy for peers whose outbox is full. It replaces the
    /// server's default.
    ///
    /// Only broadcasts follow the policy. A send to one peer reports a full outbox to the sender,
    /// or waits for room, and a message that was sent to one peer is not dropped later to make room
    /// for others. This call replaces an earlier [`latest`](Message::latest).
    ///
    /// ```
    /// use veltix::{Message, MessageType, OverflowPolicy};
    ///
    /// const TYPING: MessageType = MessageType::new(203, "typing", "");
    /// let message = Message::empty(TYPING).on_full(OverflowPolicy::DropNewest);
    /// assert_eq!(message, Message::empty(TYPING), "the policy does not travel");
    /// ```
    #[must_use]
    pub fn on_full(self, policy: OverflowPolicy) -> Self {
        self.with_class(DeliveryClass::of_policy(policy))
    }

    /// Returns the same message as a value of which only the newest per code and key is worth
    /// sending: a position, a price, a cursor.
    ///
    /// While a peer's stream is full, a newer value replaces the older value in that peer's outbox,
    /// even if another sender sent it. So the values of one key arrive in order, all other messages
    /// keep their order, and a slow peer costs one frame per key. The replaced value counts as
    /// dropped, with the reason "superseded".
    ///
    /// If a value replaces no other value and finds no room, the outbox drops waiting droppable
    /// frames, oldest first. If that does not make enough room, a broadcast drops the value, and a
    /// send to one peer reports the full outbox or waits. Such a value never disconnects the peer.
    /// This call replaces an earlier [`on_full`](Message::on_full).
    ///
    /// The rule applies to sends, broadcasts and replies. A value replaces only values with the
    /// same request id, so that no reply replaces the reply to another caller. A request is never
    /// replaced or dropped.
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

    /// Returns the class that decides how the message is treated if a peer's outbox is full.
    #[must_use]
    pub const fn delivery_class(&self) -> &DeliveryClass {
        &self.class
    }

    /// Returns the same message with this class, as set by [`on_full`](Message::on_full) and
    /// [`latest`](Message::latest).
    #[must_use]
    pub fn with_class(self, class: DeliveryClass) -> Self {
        Self { class, ..self }
    }

    /// Returns the body's CRC-32, if it is known.
    pub(crate) const fn checksum(&self) -> Option<NonZeroU32> {
        self.checksum
    }

    #[inline]
    pub(crate) fn into_class_and_body(self) -> (DeliveryClass, Bytes) {
        (self.class, self.body)
    }
}

impl PartialEq for Message {
    /// Compares code, id and body.
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code && self.id == other.id && self.body == other.body
    }
}

impl Eq for Message {}

impl fmt::Debug for Message {
    /// Shows code, id and length, but never the body, which may be large or private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("code", &self.code)
            .field("id", &self.id.0)
            .field("body_len", &self.body.len())
            .finish()
    }
}

/// Makes a type sendable: it knows its message type and encodes its body.
///
/// `#[veltix::message]` implements this trait. A [`Message`] encodes to itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "this cannot be sent",
    note = "put `#[veltix::message]` on the enum, or build a `veltix::Message` with \
            `Message::from_text`, `Message::from_json` or `Message::new`"
)]
pub trait ToMessage {
    /// Encodes the body, which may have up to
    /// [`MAX_TYPED_BODY`](crate::limits::MAX_TYPED_BODY) bytes unless the type has its own limit.
    /// The id of the result is not used, because sending sets it.
    ///
    /// # Errors
    /// Returns the error of the body's encoding, or the reason why no receiver could read the body.
    fn to_message(&self) -> Result<Message, EncodeError>;

    /// Encodes the body like [`to_message`](ToMessage::to_message), with up to `limit` bytes unless
    /// the type has its own limit. Sending calls it with the `max_typed_body` of its side.
    ///
    /// `#[veltix::message]` implements this method. The provided one ignores the limit.
    ///
    /// # Errors
    /// Returns the errors of [`to_message`](ToMessage::to_message).
    #[inline]
    fn to_message_within(&self, limit: usize) -> Result<Message, EncodeError> {
        let _ = limit;
        self.to_message()
    }
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

    fn to_message_within(&self, limit: usize) -> Result<Message, EncodeError> {
        (**self).to_message_within(limit)
    }
}
