//! The frames of message-io's `FramedTcp`: the length of the payload as a varint (seven bits a byte,
//! the lowest first), then the payload.

use std::io;
use std::net::TcpStream;

use super::payload::Request;
use super::{Kind, Role, Wire, stream};

/// The wire of the hub on message-io.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageIo;

impl Wire for MessageIo {
    fn join(&self, stream: &mut TcpStream, role: Role) -> io::Result<()> {
        match role {
            Role::Quiet => Ok(()),
            // The one thread of the server lists a connection before it reads from it.
            Role::Subscriber => stream::exchange(stream, &self.message(Kind::Echo, 0, 64)),
            Role::Tagged => stream::exchange(stream, &frame(&Request::Join.payload(&[]))),
        }
    }

    fn message(&self, kind: Kind, seq: u64, body: usize) -> Vec<u8> {
        frame(&Request::Message(kind).payload(&self.body(seq, body)))
    }

    fn answer_len(&self, _: Kind, body: usize) -> usize {
        varint(1 + body).len() + 1 + body
    }

    fn answer_body<'a>(&self, _: Kind, answer: &'a [u8]) -> &'a [u8] {
        let header = answer.iter().take_while(|byte| **byte >= 0x80).count() + 1;
        &answer[header + 1..]
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = varint(payload.len());
    frame.extend_from_slice(payload);
    frame
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use message_io::util::encoding;

    use super::super::tests::KINDS;
    use super::*;

    #[test]
    fn message_io_reads_our_messages_as_one_frame_each() {
        for kind in KINDS {
            for body in [8, 64, 126, 127, 128, 16_384, 1 << 20] {
                let message = MessageIo.message(kind, 7, body);
                assert_eq!(message.len(), MessageIo.answer_len(kind, body));
                assert_eq!(MessageIo.answer_body(kind, &message), MessageIo.body(7, body));
                let mut frames = Vec::new();
                let mut decoder = encoding::Decoder::default();
                decoder.decode(&message, |frame| frames.push(frame.to_vec()));
                assert_eq!(frames, [Request::Message(kind).payload(&MessageIo.body(7, body))]);
                assert_eq!(decoder.stored_size(), 0);
            }
        }
    }
}
