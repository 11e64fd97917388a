//! The server's side.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::hello::Hello;
use super::wire::{SERVER_FULL, framed, take_message};
use crate::error::HandshakeError;
use crate::fingerprints::Fingerprints;
use crate::limits::LOGGED_CHARS;

/// The ack of a Python server, byte for byte, with its length.
const ACCEPTED: &[u8] = b"\x00\x10{\"result\": \"ok\"}";

/// The server's side: send [`ServerHandshake::hello`], feed what comes to
/// [`ServerHandshake::receive`], then send [`ServerHandshake::accepted`].
#[derive(Debug, Default)]
pub struct ServerHandshake {
    _private: (),
}

impl ServerHandshake {
    /// A handshake that has not begun.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }

    /// What the server sends first.
    #[must_use]
    pub fn hello() -> Bytes {
        static HELLO: LazyLock<Bytes> = LazyLock::new(|| Hello::ours_with(None, None));
        HELLO.clone()
    }

    /// The same, of a server that declares its types.
    #[must_use]
    pub fn hello_with(types: &Fingerprints) -> Bytes {
        Hello::ours_with(None, Some(types))
    }

    /// What a server without room sends instead of its hello, or instead of its ack when the room
    /// was taken meanwhile; Python clients raise `ServerFullError`.
    #[must_use]
    pub fn full() -> Bytes {
        Self::refused(SERVER_FULL)
    }

    /// What a server sends to refuse with a reason of its own, cut to 128 characters.
    #[must_use]
    pub fn refused(reason: &str) -> Bytes {
        let reason: String = reason.chars().take(LOGGED_CHARS).collect();
        framed(format!(r#"{{"error": {}}}"#, Value::from(reason)).as_bytes())
    }

    /// What the server sends last. Only behind it may frames be written.
    #[must_use]
    pub fn accepted() -> Bytes {
        Bytes::from_static(ACCEPTED)
    }

    /// Reads the client's hello, `None` until it is whole.
    ///
    /// # Errors
    /// The [`HandshakeError`] on which a server closes without a word, as the protocol wants.
    pub fn receive(&mut self, buffer: &mut BytesMut) -> Result<Option<Hello>, HandshakeError> {
        self.receive_with(buffer, Hello::parse)
    }

    /// The same, for a server that knows what its clients say: once the client's hello is whole,
    /// its JSON is read by `read`, which may remember what [`Hello::parse`] made of the same bytes.
    ///
    /// # Errors
    /// As [`receive`](ServerHandshake::receive), and those of `read`.
    pub fn receive_with<T>(
        &mut self,
        buffer: &mut BytesMut,
        read: impl FnOnce(&[u8]) -> Result<T, HandshakeError>,
    ) -> Result<Option<T>, HandshakeError> {
        take_message(buffer, read)
    }
}
