//! The messages of the clients.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use veltix::MessageType;

/// A message of a load to clients, with a [`Said`] as its body.
pub const SAY: MessageType = MessageType::new(300, "say", "");
/// Brings a client into rooms, one in each line of the body.
pub const JOIN: MessageType = MessageType::new(301, "join", "");
/// Removes a client from all rooms.
pub const LEAVE: MessageType = MessageType::new(302, "leave", "");
/// A question to a client.
pub const ASK: MessageType = MessageType::new(303, "ask", "");

/// Returns the microseconds of the clock that all processes of this machine share.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The head of a message of a load, before its filling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The number of the origin, which the test gave to it.
    pub origin: u16,
    /// Is true for a message to a room, and false for one to all peers.
    pub to_room: bool,
    /// The number of the message, over all messages of its origin.
    pub number: u64,
    /// The time at which it was sent, as of [`now`].
    pub sent: u64,
    /// The length of the whole body.
    pub length: usize,
}

/// The bytes of a head.
const HEAD: usize = 2 + 1 + 8 + 8;

impl Said {
    /// Returns the body, filled up to its length. Each byte of the filling follows from its position.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut body = BytesMut::with_capacity(self.length.max(HEAD));
        body.put_u16(self.origin);
        body.put_u8(u8::from(self.to_room));
        body.put_u64(self.number);
        body.put_u64(self.sent);
        while body.len() + CYCLE.len() <= self.length {
            body.put_slice(&CYCLE);
        }
        body.put_slice(&CYCLE[..self.length.saturating_sub(body.len())]);
        body.freeze()
    }

    /// Reads a body. Returns `None` if it is shorter than a head, or its filling is not the one that was sent.
    #[must_use]
    pub fn decode(mut body: &[u8]) -> Option<Self> {
        let length = body.len();
        if length < HEAD {
            return None;
        }
        let (origin, to_room) = (body.get_u16(), body.get_u8() == 1);
        let (number, sent) = (body.get_u64(), body.get_u64());
        let is_filling = body.chunks(CYCLE.len()).all(|part| *part == CYCLE[..part.len()]);
        is_filling.then_some(Self { origin, to_room, number, sent, length })
    }
}

/// The filling, again and again. Its length has no divisor in common with those of buffers and parts.
const CYCLE: [u8; 251] = {
    let mut cycle = [0; 251];
    let mut at = 0;
    while at < cycle.len() {
        cycle[at] = at as u8;
        at += 1;
    }
    cycle
};
