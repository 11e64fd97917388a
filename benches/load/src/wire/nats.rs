//! NATS: lines of text, with a payload behind `PUB` and `MSG`. The server has no echo. The closest
//! request is a ping, which is answered in its turn and without a body.

use std::io::{self, Write};
use std::time::Duration;

use super::{Kind, Role, Wire, stream};
use crate::socket::Socket;

/// The sender of a message does not receive it, as with all servers here.
const CONNECT: &str =
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false,\"headers\":false}\r\n";
const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"PONG\r\n";

/// A subject, and the number of the subscription to it.
const ALL: (&str, u8) = ("all", 1);
const ROOM: (&str, u8) = ("room", 2);
/// A subject without subscribers.
const NOBODY: &str = "nobody";

/// The wire of `nats-server`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nats;

impl Wire for Nats {
    fn join(&self, stream: &mut Socket, role: Role) -> io::Result<()> {
        let greeting = stream::read_through(stream, b"\r\n")?;
        if !greeting.starts_with(b"INFO ") {
            return Err(stream::unexpected(&greeting));
        }
        let subscriptions = match role {
            Role::Quiet => &[][..],
            Role::Subscriber => &[ALL],
            Role::Tagged => &[ALL, ROOM],
        };
        let mut hello = String::from(CONNECT);
        for (subject, number) in subscriptions {
            hello += &format!("SUB {subject} {number}\r\n");
        }
        stream.write_all(hello.as_bytes())?;
        // The server processes a connection's requests in order, so the subscriptions exist when
        // the pong arrives.
        stream.write_all(PING)?;
        stream::expect(stream, PONG)
    }

    fn message(&self, kind: Kind, seq: u64, body: usize) -> Vec<u8> {
        let subject = match kind {
            Kind::Echo => return PING.to_vec(),
            Kind::Sink => NOBODY,
            Kind::Publish => ALL.0,
            Kind::PublishTag => ROOM.0,
        };
        let body = self.body(seq, body);
        let mut message = format!("PUB {subject} {}\r\n", body.len()).into_bytes();
        message.extend_from_slice(&body);
        message.extend_from_slice(b"\r\n");
        message
    }

    fn answer_len(&self, kind: Kind, body: usize) -> usize {
        match kind {
            Kind::Echo => PONG.len(),
            _ => delivery(kind, body).len() + body + 2,
        }
    }

    fn answer_body<'a>(&self, kind: Kind, answer: &'a [u8]) -> &'a [u8] {
        let line = answer.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        match kind {
            Kind::Echo => &answer[line..],
            _ => &answer[line..answer.len() - 2],
        }
    }

    /// The server sends a ping 2 s after a connection was made, and up to a fifth of this later, to
    /// measure the round-trip time. No setting prevents it.
    fn unrest(&self) -> Duration {
        Duration::from_millis(2_500)
    }
}

/// Returns the line in front of a message's body.
fn delivery(kind: Kind, body: usize) -> String {
    let (subject, number) = if kind == Kind::PublishTag { ROOM } else { ALL };
    format!("MSG {subject} {number} {body}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_its_documentation_have_this_shape() {
        let body = Nats.body(7, 11);
        let message = Nats.message(Kind::Publish, 7, 11);
        assert_eq!(message, [b"PUB all 11\r\n", &body[..], b"\r\n"].concat());
        let answer = [b"MSG all 1 11\r\n", &body[..], b"\r\n"].concat();
        assert_eq!(Nats.answer_len(Kind::Publish, 11), answer.len());
        assert_eq!(Nats.answer_body(Kind::Publish, &answer), body);
        let answer = [b"MSG room 2 11\r\n", &body[..], b"\r\n"].concat();
        assert_eq!(Nats.answer_len(Kind::PublishTag, 11), answer.len());
        assert_eq!(Nats.answer_len(Kind::Echo, 11), b"PONG\r\n".len());
        assert_eq!(Nats.answer_body(Kind::Echo, b"PONG\r\n"), b"");
    }
}
