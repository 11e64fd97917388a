//! WebSocket: the upgrade over HTTP, then binary messages of one frame each, masked on their way to
//! the server.

use std::io::{self, Write};

use super::payload::Request;
use super::{Kind, Role, Wire, stream};
use crate::socket::Socket;

/// The key and its answer are those of the protocol's own example. The answer proves that the
/// server has read the request.
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\n\
    Host: 127.0.0.1\r\n\
    Connection: Upgrade\r\n\
    Upgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
pub(super) const ACCEPTED: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The first byte of a whole binary message.
const BINARY: u8 = 0x82;
/// The first byte of a whole text message.
pub(super) const TEXT: u8 = 0x81;
const MASKED: u8 = 0x80;

/// The wire of the hub on tungstenite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WebSocket;

impl Wire for WebSocket {
    fn join(&self, stream: &mut Socket, role: Role) -> io::Result<()> {
        stream.write_all(UPGRADE)?;
        let answer = stream::read_through(stream, b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&answer);
        if !text.starts_with("HTTP/1.1 101 ") || !text.contains(ACCEPTED) {
            return Err(stream::unexpected(&answer));
        }
        let (request, body) = match role {
            Role::Quiet => return Ok(()),
            // The server reads the first message of a connection after it has listed it.
            Role::Subscriber => (Request::Message(Kind::Echo), &[0; 64][..]),
            Role::Tagged => (Request::Join, &[][..]),
        };
        let payload = request.payload(body);
        stream.write_all(&masked(BINARY, &payload))?;
        let mut answer = header(BINARY, payload.len(), 0);
        answer.extend_from_slice(&payload);
        stream::expect(stream, &answer)
    }

    fn message(&self, kind: Kind, seq: u64, body: usize) -> Vec<u8> {
        masked(BINARY, &Request::Message(kind).payload(&self.body(seq, body)))
    }

    fn answer_len(&self, _: Kind, body: usize) -> usize {
        header(BINARY, 1 + body, 0).len() + 1 + body
    }

    fn answer_body<'a>(&self, _: Kind, answer: &'a [u8]) -> &'a [u8] {
        &payload(answer)[1..]
    }
}

/// Returns the payload of a whole frame of the server.
pub(super) fn payload(frame: &[u8]) -> &[u8] {
    let header = match frame[1] {
        127 => 10,
        126 => 4,
        _ => 2,
    };
    &frame[header..]
}

/// Returns a frame to the server, which begins with this byte. Every key is allowed. With a key of
/// zeros the payload stays the same, and the server has the same work.
pub(super) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len(), MASKED);
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Returns a frame of the server, which begins with this byte.
pub(super) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len(), 0);
    frame.extend_from_slice(payload);
    frame
}

/// Returns the header of a frame without the key.
fn header(first: u8, len: usize, mask: u8) -> Vec<u8> {
    let mut header = vec![first];
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short @ ..126), _) => header.push(mask | short),
        (_, Ok(middle)) => {
            header.push(mask | 126);
            header.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            header.push(mask | 127);
            header.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tokio_tungstenite::tungstenite::protocol::{Message, Role as End, WebSocket as Socket};

    use super::super::tests::KINDS;
    use super::*;

    const BODIES: [usize; 6] = [8, 64, 124, 125, 65_535, 1 << 20];

    #[test]
    fn tungstenite_reads_our_messages() {
        for kind in KINDS {
            for body in BODIES {
                let bytes = Cursor::new(WebSocket.message(kind, 7, body));
                let mut socket = Socket::from_raw_socket(bytes, End::Server, None);
                let payload = Request::Message(kind).payload(&WebSocket.body(7, body));
                assert_eq!(socket.read().expect("a message"), Message::binary(payload));
                let bytes = socket.get_ref();
                assert_eq!(bytes.position() as usize, bytes.get_ref().len());
            }
        }
    }

    #[test]
    fn we_read_what_tungstenite_sends() {
        for kind in KINDS {
            for body in BODIES {
                let mut socket =
                    Socket::from_raw_socket(Cursor::new(Vec::new()), End::Server, None);
                let payload = Request::Message(kind).payload(&WebSocket.body(7, body));
                socket.send(Message::binary(payload)).expect("sent");
                let answer = socket.get_ref().get_ref();
                assert_eq!(answer.len(), WebSocket.answer_len(kind, body));
                assert_eq!(WebSocket.answer_body(kind, answer), WebSocket.body(7, body));
            }
        }
    }
}
