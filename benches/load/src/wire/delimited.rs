//! A length of four bytes, then a payload: what `LengthDelimitedCodec` has by default.

use std::io;
use std::net::TcpStream;

use super::payload::Request;
use super::{Kind, Role, Wire, stream};

/// Length and kind.
const HEADER: usize = 4 + 1;

/// The wire of the hubs on `LengthDelimitedCodec`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delimited;

impl Wire for Delimited {
    fn join(&self, stream: &mut TcpStream, role: Role) -> io::Result<()> {
        match role {
            Role::Quiet => Ok(()),
            // The server reads the first message of a connection after it has listed it.
            Role::Subscriber => stream::exchange(stream, &self.message(Kind::Echo, 0, 64)),
            Role::Tagged => stream::exchange(stream, &frame(&Request::Join.payload(&[]))),
        }
    }

    fn message(&self, kind: Kind, seq: u64, body: usize) -> Vec<u8> {
        frame(&Request::Message(kind).payload(&self.body(seq, body)))
    }

    fn answer_len(&self, _: Kind, body: usize) -> usize {
        HEADER + body
    }

    fn answer_body<'a>(&self, _: Kind, answer: &'a [u8]) -> &'a [u8] {
        &answer[HEADER..]
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio_util::codec::{Decoder, LengthDelimitedCodec};

    use super::super::tests::KINDS;
    use super::*;

    #[test]
    fn the_codec_reads_our_messages_as_one_frame_each() {
        for kind in KINDS {
            for body in [8, 64, 1 << 20] {
                let mut bytes = BytesMut::from(&Delimited.message(kind, 7, body)[..]);
                assert_eq!(bytes.len(), Delimited.answer_len(kind, body));
                assert_eq!(Delimited.answer_body(kind, &bytes), Delimited.body(7, body));
                let frame = LengthDelimitedCodec::new().decode(&mut bytes).expect("a frame");
                let frame = frame.expect("a whole one");
                assert!(bytes.is_empty());
                assert_eq!(Request::of(&frame), Some(Request::Message(kind)));
                assert_eq!(frame[1..], Delimited.body(7, body));
            }
        }
    }
}
