//! [`ServerHandshake`]: the server's side of the handshake.

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::hello::Hello;
use super::wire::{SERVER_FULL, framed, take_message};
use crate::error::HandshakeError;
use crate::fingerprints::Fingerprints;
use crate::limits::{self, LOGGED_CHARS};

/// Is the ack of a Python server with its length, byte for byte.
const ACCEPTED: &[u8] = b"\x00\x10{\"result\": \"ok\"}";

/// A server handshake runs the server's side. Send [`ServerHandshake::hello`], pass received bytes
/// to [`ServerHandshake::receive`], then send [`ServerHandshake::accepted`].
#[derive(Debug, Default)]
pub struct ServerHandshake {
    _private: (),
}

impl ServerHandshake {
    /// Creates a handshake that has not begun.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }

    /// Returns the first message of a server with the default limits.
    #[must_use]
    pub fn hello() -> Bytes {
        Self::hello_with(limits::MAX_MESSAGE_SIZE, None)
    }

    /// Returns the first message of a server that accepts messages up to this size, header
    /// included, and declares these types.
    #[must_use]
    pub fn hello_with(max_message_size: usize, types: Option<&Fingerprints>) -> Bytes {
        Hello::ours_with(max_message_size, None, types)
    }

    /// Returns the message of a server without room. It is sent instead of the hello, or instead of
    /// the ack if the room was taken meanwhile. Python clients raise `ServerFullError`.
    #[must_use]
    pub fn full() -> Bytes {
        Self::refused(SERVER_FULL)
    }

    /// Returns the message of a server that refuses a client with its own reason, cut to 128
    /// characters.
    #[must_use]
    pub fn refused(reason: &str) -> Bytes {
        let reason: String = reason.chars().take(LOGGED_CHARS).collect();
        framed(format!(r#"{{"error": {}}}"#, Value::from(reason)).as_bytes())
    }

    /// Returns the last message of a server. Frames may be written only after it.
    #[must_use]
    pub fn accepted() -> Bytes {
        Bytes::from_static(ACCEPTED)
    }

    /// Reads the client's hello. Returns `None` until it is complete.
    ///
    /// # Errors
    /// Returns the [`HandshakeError`] on which a server closes the connection without a message, as
    /// the protocol requires.
    pub fn receive(&mut self, buffer: &mut BytesMut) -> Result<Option<Hello>, HandshakeError> {
        self.receive_with(buffer, Hello::parse)
    }

    /// Reads the client's hello with `read`, which receives its JSON once the hello is complete. So
    /// a server can reuse the result of [`Hello::parse`] for equal bytes.
    ///
    /// # Errors
    /// Returns the errors of [`receive`](ServerHandshake::receive) and those of `read`.
    pub fn receive_with<T>(
        &mut self,
        buffer: &mut BytesMut,
        read: impl FnOnce(&[u8]) -> Result<T, HandshakeError>,
    ) -> Result<Option<T>, HandshakeError> {
        take_message(buffer, read)
    }
}
