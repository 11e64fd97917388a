//! Protocols that have only a length and a payload.

use std::io;

use super::payload::Request;
use super::{Kind, Role, Wire, stream};
use crate::socket::Socket;

/// How a protocol writes the length of a payload.
pub(super) trait Framing: Send + Sync {
    /// Returns the bytes in front of a payload of this length.
    fn header(&self, payload: usize) -> Vec<u8>;

    fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = self.header(payload.len());
        frame.extend_from_slice(payload);
        frame
    }
}

impl<F: Framing> Wire for F {
    fn join(&self, stream: &mut Socket, role: Role) -> io::Result<()> {
        match role {
            Role::Quiet => Ok(()),
            // The servers read the first message of a connection after they have listed it.
            Role::Subscriber => stream::exchange(stream, &self.message(Kind::Echo, 0, 64)),
            Role::Tagged => stream::exchange(stream, &self.frame(&Request::Join.payload(&[]))),
        }
    }

    fn message(&self, kind: Kind, seq: u64, body: usize) -> Vec<u8> {
        self.frame(&Request::Message(kind).payload(&self.body(seq, body)))
    }

    fn answer_len(&self, _: Kind, body: usize) -> usize {
        let payload = 1 + body;
        self.header(payload).len() + payload
    }

    fn answer_body<'a>(&self, _: Kind, answer: &'a [u8]) -> &'a [u8] {
        let header = (1..answer.len()).find(|header| {
            // An answer is one whole frame.
            self.header(answer.len() - header).len() == *header
        });
        &answer[header.map_or(answer.len(), |header| header + 1)..]
    }
}
