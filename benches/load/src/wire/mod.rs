//! What the servers' protocols look like from outside.

mod delimited;
mod framing;
mod message_io;
mod nats;
mod payload;
mod redis;
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
pub(crate) use tarpc::{Echo, EchoClient, Tarpc};
pub(crate) use veltix::{Selected, Veltix, code};
pub(crate) use websocket::WebSocket;

use crate::socket::Socket;

/// How one server's protocol looks from outside. Every message, answer and delivery of one kind
/// and body has a fixed length on the wire, so that the generator only counts bytes.
pub(crate) trait Wire: Send + Sync {
    /// Handshake, and subscription or tag, on a connected blocking stream; returns when the server
    /// has certainly taken it.
    fn join(&self, stream: &mut Socket, role: Role) -> io::Result<()>;

    /// The bytes of one message of this kind with [`Wire::body`] in it. Whoever sends several has
    /// numbered them, up to [`Wire::numbers`].
    fn message(&self, kind: Kind, seq: u64, body: usize) -> Vec<u8>;

    /// The length on the wire of what comes back for one message of this kind: for an echo its
    /// answer, for a publish one delivery.
    fn answer_len(&self, kind: Kind, body: usize) -> usize;

    /// The body in one whole answer of this kind.
    fn answer_body<'a>(&self, kind: Kind, answer: &'a [u8]) -> &'a [u8];

    /// The body with this number and so many bytes (8 at least): the number, big-endian, and then
    /// the same byte to the end. Where bodies have a form of their own it is another one.
    fn body(&self, seq: u64, len: usize) -> Vec<u8> {
        numbered(seq, len)
    }

    /// How many messages go before one with the same number as the first. Answers overtake each
    /// other, so it is more than are in flight.
    fn numbers(&self) -> usize {
        256
    }

    /// What the publisher itself is told for each publish that reached so many.
    fn receipt(&self, _reached: usize) -> Vec<u8> {
        Vec::new()
    }

    /// Whether it is over TLS.
    fn is_encrypted(&self) -> bool {
        false
    }

    /// For how long after a connection was made the server may send something that nobody asked
    /// for. Whoever counts bytes waits so long after the last join and discards what has come.
    fn unrest(&self) -> Duration {
        Duration::ZERO
    }
}

/// A body that begins with its number, big-endian.
fn numbered(seq: u64, len: usize) -> Vec<u8> {
    let mut body = vec![b'x'; len.max(8)];
    body[..8].copy_from_slice(&seq.to_be_bytes());
    body
}

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Send it back.
    Echo,
    /// Nothing.
    Sink,
    /// Give it to all others.
    Publish,
    /// Give it to those that have the tag.
    PublishTag,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Takes no broadcasts, where the protocol knows subscriptions. Where it does not, an answer
    /// to an echo and a delivery of the same body have the same length.
    Quiet,
    /// Gets broadcasts.
    Subscriber,
    /// Gets them, and has the tag.
    Tagged,
}

#[cfg(test)]
mod tests {
    use super::Kind;

    pub(super) const KINDS: [Kind; 4] = [Kind::Echo, Kind::Sink, Kind::Publish, Kind::PublishTag];
}
