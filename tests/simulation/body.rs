//! The bodies of simulated messages: each has a number of its own.

use bytes::{BufMut, Bytes, BytesMut};
use veltix::{Message, MessageType};

/// From a client, which the server forwards to other clients.
pub(super) const SAY: MessageType = MessageType::new(200, "say", "");
/// From the server to many clients.
pub(super) const NEWS: MessageType = MessageType::new(201, "news", "");
/// From the server to many clients; only the newest message of each key matters.
pub(super) const PRICE: MessageType = MessageType::new(202, "price", "");
/// A call, in both directions.
pub(super) const ASK: MessageType = MessageType::new(203, "ask", "");
/// The answer to a call, with the number of the call.
pub(super) const ANSWER: MessageType = MessageType::new(204, "answer", "");
/// The last message that the server sends in `on_connect`.
pub(super) const WELCOME: MessageType = MessageType::new(205, "welcome", "");

/// The message types with handlers.
pub(super) const HANDLED: [MessageType; 5] = [SAY, NEWS, PRICE, ASK, WELCOME];

/// The bytes before the filling.
const LENGTH: usize = 19;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    /// The number, which no other message has except an answer.
    pub(super) number: u64,
    /// The connection that must not receive the message, if any.
    pub(super) except: u64,
    pub(super) wish: Wish,
    /// The number of filling bytes.
    pub(super) filling: usize,
}

/// The wish for the receiver's handler.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    Nothing,
    /// The handler runs for this many milliseconds.
    Wait(u16),
    /// The handler panics at its end.
    Panic,
    /// The handler tags its peer with this room.
    Room(u16),
    /// The handler calls its own peer.
    AskBack,
    /// The key of a message of which only the newest matters.
    Key(u16),
}

impl Body {
    pub(super) fn message(self, message_type: MessageType) -> Message {
        let (wish, of_wish) = match self.wish {
            Wish::Nothing => (0, 0),
            Wish::Wait(time) => (1, time),
            Wish::Panic => (2, 0),
            Wish::Room(room) => (3, room),
            Wish::AskBack => (4, 0),
            Wish::Key(key) => (5, key),
        };
        let mut bytes = BytesMut::with_capacity(LENGTH + self.filling);
        bytes.put_u64(self.number);
        bytes.put_u64(self.except);
        bytes.put_u8(wish);
        bytes.put_u16(of_wish);
        bytes.put_bytes(self.number as u8, self.filling);
        Message::new(message_type, Bytes::from(bytes))
    }

    /// Decodes a body. Returns `None` if [`Body::message`] did not write it.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (head, filling) = bytes.split_first_chunk::<LENGTH>()?;
        let eight = |at: usize| head[at..at + 8].iter().fold(0, |n, b| n << 8 | u64::from(*b));
        let of_wish = u16::from_be_bytes([head[17], head[18]]);
        let wish = match head[16] {
            0 => Wish::Nothing,
            1 => Wish::Wait(of_wish),
            2 => Wish::Panic,
            3 => Wish::Room(of_wish),
            4 => Wish::AskBack,
            5 => Wish::Key(of_wish),
            _ => return None,
        };
        let number = eight(0);
        let is_whole = filling.iter().all(|byte| *byte == number as u8);
        is_whole.then_some(Self { number, except: eight(8), wish, filling: filling.len() })
    }
}
