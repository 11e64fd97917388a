//! The wire of Veltix, for its server and for the limit.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use veltix_core::limits::HEADER_LEN;
use veltix_core::{ClientHandshake, ClientStep, Frame, RequestId};

use super::{Kind, Role, Wire, numbered};
use crate::socket::Socket;

/// The codes of the messages.
pub(crate) mod code {
    /// The server answers with the same code, id and body.
    pub(crate) const ECHO: u16 = 200;
    /// The server does not answer.
    pub(crate) const SINK: u16 = 201;
    /// The server delivers the message to all others.
    pub(crate) const PUBLISH: u16 = 202;
    /// The server delivers the message to the peers with the tag.
    pub(crate) const PUBLISH_TAG: u16 = 203;
    /// The server gives the tag to the sender and answers with an empty body.
    pub(crate) const JOIN: u16 = 204;
    /// The server selects the peers with the tag again and again and answers with a
    /// [`Selected`](super::Selected). Only our server knows it.
    pub(crate) const SELECT: u16 = 205;
    /// A node of a cluster puts the sender into the room with the number at the beginning of the body,
    /// and answers with the message.
    pub(crate) const JOIN_ROOM: u16 = 206;
    /// A node of a cluster delivers the message to the room with the number at the beginning of the
    /// body.
    pub(crate) const PUBLISH_ROOM: u16 = 207;
}

/// The cost of selecting the peers with the tag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Selected {
    /// The number of these peers.
    pub(crate) peers: f64,
    /// The nanoseconds of listing them once.
    pub(crate) list: f64,
    /// The nanoseconds of counting them once.
    pub(crate) count: f64,
}

impl Selected {
    const LEN: usize = 24;

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        [self.peers, self.list, self.count].into_iter().flat_map(f64::to_be_bytes).collect()
    }

    fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let (values, _) = bytes.as_chunks::<8>();
        let [peers, list, count] = [0, 1, 2].map(|at: usize| f64::from_be_bytes(values[at]));
        Self { peers, list, count }
    }

    /// Asks our server on a connection after its handshake.
    pub(crate) fn ask(stream: &mut Socket) -> io::Result<Self> {
        stream.write_all(&frame(code::SELECT, Vec::new()))?;
        let mut answer = [0; HEADER_LEN + Self::LEN];
        stream.read_exact(&mut answer)?;
        let body = answer.last_chunk().expect("it is longer than that");
        Ok(Self::from_bytes(body))
    }
}

/// Enters the room of this number of a node of a cluster, on a connection after its handshake.
pub(crate) fn join_room(stream: &mut Socket, room: u64) -> io::Result<()> {
    exchange(stream, &frame(code::JOIN_ROOM, numbered(room, 0)))
}

/// Returns a message to the room of this number. A delivery has the same length.
pub(crate) fn to_room(room: u64, body: usize) -> Vec<u8> {
    frame(code::PUBLISH_ROOM, numbered(room, body))
}

/// The id of every message of the generator. It is an id of a call, so that a server answers as to
/// a call.
const ID: RequestId = RequestId::new(1);

/// The wire of Veltix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Veltix {
    json: bool,
    tls: bool,
}

impl Veltix {
    /// Bodies are bytes.
    pub(crate) const fn plain() -> Self {
        Self { json: false, tls: false }
    }

    /// Bodies are bytes, and the connection is over TLS.
    pub(crate) const fn tls() -> Self {
        Self { json: false, tls: true }
    }

    /// Bodies are JSON objects with the fields `seq` and `text`, for typed handlers.
    pub(crate) const fn json() -> Self {
        Self { json: true, tls: false }
    }
}

impl Wire for Veltix {
    fn join(&self, stream: &mut Socket, role: Role) -> io::Result<()> {
        let mut handshake = ClientHandshake::new();
        let mut buffer = BytesMut::new();
        let mut piece = [0; 512];
        loop {
            match handshake.receive(&mut buffer).map_err(io::Error::other)? {
                ClientStep::Wait => match stream.read(&mut piece)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => buffer.extend_from_slice(&piece[..read]),
                },
                ClientStep::Send(bytes) => stream.write_all(&bytes)?,
                ClientStep::Done(_) => break,
            }
        }
        match role {
            Role::Quiet => Ok(()),
            // A handler runs only for a peer that is listed already.
            Role::Subscriber => exchange(stream, &self.message(Kind::Echo, 0, 64)),
            Role::Tagged => exchange(stream, &frame(code::JOIN, Vec::new())),
        }
    }

    fn is_encrypted(&self) -> bool {
        self.tls
    }

    fn message(&self, kind: Kind, seq: u64, body: usize) -> Vec<u8> {
        let code = match kind {
            Kind::Echo => code::ECHO,
            Kind::Sink => code::SINK,
            Kind::Publish => code::PUBLISH,
            Kind::PublishTag => code::PUBLISH_TAG,
        };
        frame(code, self.body(seq, body))
    }

    fn answer_len(&self, _: Kind, body: usize) -> usize {
        HEADER_LEN + body
    }

    fn answer_body<'a>(&self, _: Kind, answer: &'a [u8]) -> &'a [u8] {
        &answer[HEADER_LEN..]
    }

    fn body(&self, seq: u64, len: usize) -> Vec<u8> {
        if !self.json {
            return numbered(seq, len);
        }
        let empty = format!(r#"{{"seq":"{seq:016x}","text":""}}"#);
        let text = "x".repeat(len.saturating_sub(empty.len()));
        format!(r#"{{"seq":"{seq:016x}","text":"{text}"}}"#).into_bytes()
    }
}

fn frame(code: u16, body: Vec<u8>) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    Frame::new(code, ID, Bytes::from(body)).write_to(&mut bytes);
    bytes.into()
}

/// Sends a message whose answer is equal to it, and waits for the answer.
fn exchange(stream: &mut Socket, message: &[u8]) -> io::Result<()> {
    stream.write_all(message)?;
    let mut answer = vec![0; message.len()];
    stream.read_exact(&mut answer)?;
    if answer == message { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_one_frame_of_the_length_that_its_answer_has() {
        for wire in [Veltix::plain(), Veltix::json()] {
            for kind in [Kind::Echo, Kind::Sink, Kind::Publish, Kind::PublishTag] {
                for body in [64, 4096, 1 << 20] {
                    let message = wire.message(kind, u64::MAX, body);
                    assert_eq!(message.len(), wire.answer_len(kind, body));
                    assert_eq!(wire.answer_body(kind, &message), wire.body(u64::MAX, body));
                    let mut bytes = BytesMut::from(&message[..]);
                    let mut decoder = veltix_core::FrameDecoder::new(usize::MAX);
                    assert!(decoder.decode(&mut bytes).expect("a frame").is_some());
                    assert!(bytes.is_empty());
                }
            }
        }
    }

    #[test]
    fn what_was_selected_is_the_same_on_the_other_side() {
        let selected = Selected { peers: 100.0, list: 1234.5, count: 0.25 };
        let bytes = <[u8; Selected::LEN]>::try_from(selected.to_bytes()).expect("its length");
        assert_eq!(Selected::from_bytes(&bytes), selected);
    }

    #[test]
    fn bodies_tell_their_numbers_apart() {
        for wire in [Veltix::plain(), Veltix::json()] {
            assert_ne!(wire.body(1, 64), wire.body(2, 64));
            assert_eq!(wire.body(1, 64).len(), 64);
        }
    }
}
