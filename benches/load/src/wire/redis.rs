//! Redis: a command is a list of strings with their lengths. Its ping returns a body, so it serves
//! as the echo.

use std::io::{self, Write};

use super::{Kind, Role, Wire, stream};
use crate::socket::Socket;

const ALL: &str = "all";
const ROOM: &str = "room";
/// A channel without subscribers.
const NOBODY: &str = "nobody";

/// The wire of `redis-server`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redis;

impl Wire for Redis {
    fn join(&self, stream: &mut Socket, role: Role) -> io::Result<()> {
        let channels = match role {
            // A connection needs no handshake.
            Role::Quiet => return Ok(()),
            Role::Subscriber => &[ALL][..],
            Role::Tagged => &[ALL, ROOM],
        };
        // Only in version 3 of the protocol may a subscriber send all other commands.
        let mut hello = command(&[b"HELLO", b"3"]);
        for channel in channels {
            hello.extend(command(&[b"SUBSCRIBE", channel.as_bytes()]));
        }
        stream.write_all(&hello)?;
        for (number, channel) in channels.iter().enumerate() {
            let length = channel.len();
            let done =
                format!(">3\r\n$9\r\nsubscribe\r\n${length}\r\n{channel}\r\n:{}\r\n", number + 1);
            // The server's answer to `HELLO` precedes the first one.
            stream::read_through(stream, done.as_bytes())?;
        }
        Ok(())
    }

    fn message(&self, kind: Kind, seq: u64, body: usize) -> Vec<u8> {
        let body = self.body(seq, body);
        match kind {
            Kind::Echo => command(&[b"PING", &body]),
            Kind::Sink => command(&[b"PUBLISH", NOBODY.as_bytes(), &body]),
            Kind::Publish => command(&[b"PUBLISH", ALL.as_bytes(), &body]),
            Kind::PublishTag => command(&[b"PUBLISH", ROOM.as_bytes(), &body]),
        }
    }

    fn answer_len(&self, kind: Kind, body: usize) -> usize {
        before(kind, body).len() + body + 2
    }

    fn answer_body<'a>(&self, kind: Kind, answer: &'a [u8]) -> &'a [u8] {
        let lines = if kind == Kind::Echo { 1 } else { 6 };
        let mut ends = answer.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let start = ends.nth(lines - 1).map_or(0, |(at, _)| at + 1);
        &answer[start..answer.len() - 2]
    }

    fn receipt(&self, reached: usize) -> Vec<u8> {
        format!(":{reached}\r\n").into_bytes()
    }
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Returns the bytes in front of the body of an answer or delivery.
fn before(kind: Kind, body: usize) -> String {
    let channel = match kind {
        Kind::Echo => return format!("${body}\r\n"),
        Kind::PublishTag => ROOM,
        Kind::Sink | Kind::Publish => ALL,
    };
    format!(">3\r\n$7\r\nmessage\r\n${}\r\n{channel}\r\n${body}\r\n", channel.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_answers_have_the_lengths_that_they_say() {
        let body = Redis.body(7, 11);
        let message = Redis.message(Kind::Publish, 7, 11);
        let start = b"*3\r\n$7\r\nPUBLISH\r\n$3\r\nall\r\n$11\r\n";
        assert_eq!(message, [&start[..], &body, b"\r\n"].concat());
        for kind in [Kind::Echo, Kind::Publish, Kind::PublishTag] {
            let answer = [before(kind, 11).as_bytes(), &body, b"\r\n"].concat();
            assert_eq!(Redis.answer_len(kind, 11), answer.len());
            assert_eq!(Redis.answer_body(kind, &answer), body);
        }
    }
}
