//! Socket.IO over a WebSocket, without its earlier transport by requests: text messages of one frame
//! each, an event with one string.

use std::io::{self, Read, Write};

use super::websocket::{ACCEPTED, TEXT, masked, payload, unmasked};
use super::{Kind, Role, Wire, stream};
use crate::socket::Socket;

const UPGRADE: &[u8] = b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
    Host: 127.0.0.1\r\n\
    Connection: Upgrade\r\n\
    Upgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The longest message of the handshake.
const GREETING: usize = 4 * 1024;

/// The event of a request for the tag. The other events are in [`event`].
const JOIN: &str = "j";

/// The wire of the server on Socket.IO (`node/server.js`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketIo;

impl Wire for SocketIo {
    fn join(&self, stream: &mut Socket, role: Role) -> io::Result<()> {
        stream.write_all(UPGRADE)?;
        let answer = stream::read_through(stream, b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&answer);
        if !text.starts_with("HTTP/1.1 101 ") || !text.contains(ACCEPTED) {
            return Err(stream::unexpected(&answer));
        }
        greeting(stream, b"0{")?;
        stream.write_all(&masked(TEXT, b"40"))?;
        greeting(stream, b"40{")?;
        let name = match role {
            Role::Quiet => return Ok(()),
            Role::Subscriber => event(Kind::Echo),
            Role::Tagged => JOIN,
        };
        let packet = packet(name, &self.body(0, 64));
        stream.write_all(&masked(TEXT, &packet))?;
        stream::expect(stream, &unmasked(TEXT, &packet))
    }

    fn message(&self, kind: Kind, seq: u64, body: usize) -> Vec<u8> {
        masked(TEXT, &packet(event(kind), &self.body(seq, body)))
    }

    fn answer_len(&self, kind: Kind, body: usize) -> usize {
        unmasked(TEXT, &packet(event(kind), &self.body(0, body))).len()
    }

    fn answer_body<'a>(&self, kind: Kind, answer: &'a [u8]) -> &'a [u8] {
        let packet = payload(answer);
        let around = self::packet(event(kind), &[]).len() - 2;
        &packet[around..packet.len() - 2]
    }

    /// Returns text: the number as 16 digits, and then the same letter up to the end.
    fn body(&self, seq: u64, len: usize) -> Vec<u8> {
        let mut body = format!("{seq:016x}").into_bytes();
        body.resize(len.max(body.len()), b'x');
        body
    }
}

/// Returns the event of a message.
const fn event(kind: Kind) -> &'static str {
    match kind {
        Kind::Echo => "e",
        Kind::Sink => "s",
        Kind::Publish => "p",
        Kind::PublishTag => "t",
    }
}

/// Returns an event with one string, which needs no escapes.
fn packet(event: &str, body: &[u8]) -> Vec<u8> {
    [format!("42[\"{event}\",\"").as_bytes(), body, b"\"]"].concat()
}

/// Reads a message of the handshake, which must begin with these bytes.
fn greeting(stream: &mut Socket, start: &[u8]) -> io::Result<()> {
    let mut header = [0; 2];
    stream.read_exact(&mut header)?;
    let mut len = usize::from(header[1]);
    if len == 126 {
        let mut long = [0; 2];
        stream.read_exact(&mut long)?;
        len = u16::from_be_bytes(long).into();
    }
    if header[0] != TEXT || len > GREETING {
        return Err(stream::unexpected(&header));
    }
    let mut message = vec![0; len];
    stream.read_exact(&mut message)?;
    if message.starts_with(start) { Ok(()) } else { Err(stream::unexpected(&message)) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::KINDS;
    use super::*;

    #[test]
    fn an_answer_has_the_length_that_is_expected_and_the_body_inside() {
        for kind in KINDS {
            for len in [16, 64, 110, 120, 1_024, 70_000] {
                let body = SocketIo.body(7, len);
                let answer = unmasked(TEXT, &packet(event(kind), &body));
                assert_eq!(answer.len(), SocketIo.answer_len(kind, len));
                assert_eq!(SocketIo.answer_body(kind, &answer), body);
            }
        }
    }

    #[test]
    fn a_message_is_an_event_with_one_string() {
        let message = SocketIo.message(Kind::Publish, 1, 16);
        assert!(message.ends_with(br#"42["p","0000000000000001"]"#), "{message:?}");
    }
}
