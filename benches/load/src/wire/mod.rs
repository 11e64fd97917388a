//! The protocols of the servers, as a client sees them.

mod delimited;
mod framing;
mod message_io;
mod nats;
mod payload;
mod redis;
mod socket_io;
mod stream;
mod tarpc;
mod veltix;
mod websocket;

use std::io;
use std::time::Duration;

pub(crate) use delimited::Delimited;
pub(crate) use message_io::MessageIo;
pub(crate) use nats::Nats;
pub(crate) use payload::Request;
pub(crate) use redis::Redis;
pub(crate) use socket_io::SocketIo;
pub(crate) use tarpc::{Echo, EchoClient, Tarpc};
pub(crate) use veltix::{Selected, Veltix, code, join_room, to_room};
pub(crate) use websocket::WebSocket;

use crate::socket::Socket;

/// The protocol of one server, as a client sees it. Every message, answer and delivery of one kind
/// and body has a fixed length on the wire, so that the generator only counts bytes.
pub(crate) trait Wire: Send + Sync {
    /// Performs the handshake, and the subscription or the request for a tag, on a connected
    /// blocking stream. Returns when the server has processed it.
    fn join(&self, stream: &mut Socket, role: Role) -> io::Result<()>;

    /// Returns the bytes of one message of this kind with [`Wire::body`] in it. Several messages in
    /// flight have different numbers, up to [`Wire::numbers`].
    fn message(&self, kind: Kind, seq: u64, body: usize) -> Vec<u8>;

    /// Returns the length on the wire of the result of one message of this kind: its answer for an
    /// echo, one delivery for a publish.
    fn answer_len(&self, kind: Kind, body: usize) -> usize;

    /// Returns the body in one whole answer of this kind.
    fn answer_body<'a>(&self, kind: Kind, answer: &'a [u8]) -> &'a [u8];

    /// Returns the body with this number and this length (at least 8 bytes): the number,
    /// big-endian, and then the same byte up to the end. A protocol whose bodies have a form of
    /// their own uses another one.
    fn body(&self, seq: u64, len: usize) -> Vec<u8> {
        numbered(seq, len)
    }

    /// Returns the number of messages before one with the same number as the first. Answers
    /// overtake each other, so there are more numbers than messages in flight.
    fn numbers(&self) -> usize {
        256
    }

    /// Returns the bytes that the publisher itself receives for a publish that reached `_reached`
    /// peers.
    fn receipt(&self, _reached: usize) -> Vec<u8> {
        Vec::new()
    }

    /// Whether the connection is over TLS.
    fn is_encrypted(&self) -> bool {
        false
    }

    /// Returns the time after a connection was made in which the server may send unrequested bytes.
    /// The generator waits for this time after the last join and discards these bytes.
    fn unrest(&self) -> Duration {
        Duration::ZERO
    }
}

/// Returns a body that begins with its number, big-endian.
fn numbered(seq: u64, len: usize) -> Vec<u8> {
    let mut body = vec![b'x'; len.max(8)];
    body[..8].copy_from_slice(&seq.to_be_bytes());
    body
}

/// The request of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The server sends it back.
    Echo,
    /// The server does nothing.
    Sink,
    /// The server sends it to all others.
    Publish,
    /// The server sends it to the peers that have the tag.
    PublishTag,
}

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It receives no broadcasts, if the protocol knows subscriptions. If not, an answer to an echo
    /// and a delivery of the same body have the same length.
    Quiet,
    /// It receives broadcasts.
    Subscriber,
    /// It receives broadcasts and has the tag.
    Tagged,
}

#[cfg(test)]
mod tests {
    use super::Kind;

    pub(super) const KINDS: [Kind; 4] = [Kind::Echo, Kind::Sink, Kind::Publish, Kind::PublishTag];
}
