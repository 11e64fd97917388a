//! What the servers' protocols look like from outside.

mod veltix;

use std::io;
use std::net::TcpStream;

pub(crate) use veltix::{Veltix, code};

/// How one server's protocol looks from outside. Every message, answer and delivery of one kind
/// and body has a fixed length on the wire, so that the generator only counts bytes.
pub(crate) trait Wire: Send + Sync {
    /// Handshake, and subscription or tag, on a connected blocking stream; returns when the server
    /// has certainly taken it.
    fn join(&self, stream: &mut TcpStream, role: Role) -> io::Result<()>;

    /// The bytes of one message of this kind with [`Wire::body`] in it. Whoever sends several has
    /// numbered them, and up to 256 numbers in a row are in flight at once.
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
