//! What the messages of a simulation say: each has a number of its own.

use bytes::{BufMut, Bytes, BytesMut};
use veltix::{Message, MessageType};

/// From a client, for the server to pass on to others.
pub(super) const SAY: MessageType = MessageType::new(200, "say", "");
/// From the server to many.
pub(super) const NEWS: MessageType = MessageType::new(201, "news", "");
/// The same, of which only the newest of each key counts.
pub(super) const PRICE: MessageType = MessageType::new(202, "price", "");
/// A question, in both directions.
pub(super) const ASK: MessageType = MessageType::new(203, "ask", "");
/// Its answer, with the question's number.
pub(super) const ANSWER: MessageType = MessageType::new(204, "answer", "");
/// The last word of the server's `on_connect`.
pub(super) const WELCOME: MessageType = MessageType::new(205, "welcome", "");

/// The message types with handlers.
pub(super) const HANDLED: [MessageType; 5] = [SAY, NEWS, PRICE, ASK, WELCOME];

/// Bytes in front of the filling.
const LENGTH: usize = 19;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    /// No other message has it, but for an answer.
    pub(super) number: u64,
    /// The connection that must not get it, or none.
    pub(super) except: u64,
    pub(super) wish: Wish,
    /// Bytes that follow.
    pub(super) filling: usize,
}

/// What the receiver's handler is to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    Nothing,
    /// To take so many milliseconds.
    Wait(u16),
    /// To panic, in the end.
    Panic,
    /// To tag its peer with this room.
    Room(u16),
    /// To ask its own peer back.
    AskBack,
    /// The key of what only the newest counts of.
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

    /// `None` when it is not what [`Body::message`] wrote.
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
