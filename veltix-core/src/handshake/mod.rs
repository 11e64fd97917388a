//! The handshake of both sides, as state machines over bytes.
//!
//! The server speaks first. Each message is a `u16` length and that many bytes of a JSON object:
//! the server's hello, the client's hello, the server's `{"result": "ok"}`. Bytes behind the last
//! message are left in the buffer: they belong to the first frame.

mod hello;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, LazyLock};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde_json::{Map, Value};

pub use self::hello::Hello;
use crate::error::HandshakeError;
use crate::fingerprints::Fingerprints;
use crate::limits::{LOGGED_CHARS, MAX_HANDSHAKE_LEN};
use crate::text::printable;
use crate::token::Token;

/// The length field that the first two bytes of a frame would be.
const LENGTH_OF_A_FRAME: usize = 0x5658;

/// The ack of a Python server, byte for byte, with its length.
const ACCEPTED: &[u8] = b"\x00\x10{\"result\": \"ok\"}";

/// Why a Python client raises its `ServerFullError`.
const SERVER_FULL: &str = "server_full";

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

/// The client's side: feed what comes to [`ClientHandshake::receive`] and do what it says.
#[derive(Debug, Default)]
pub struct ClientHandshake {
    /// The server's hello, once it has come and ours is due.
    server: Option<Hello>,
    /// What ours shows, and declares.
    token: Option<Token>,
    types: Option<Arc<Fingerprints>>,
}

/// What a client does next in its handshake.
#[derive(Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever drives a handshake must know every step")]
pub enum ClientStep {
    /// Wait for more bytes.
    Wait,
    /// Send these bytes, then go on.
    Send(Bytes),
    /// The handshake is over; this is what the server said of itself.
    Done(Hello),
}

impl fmt::Debug for ClientStep {
    /// Without the bytes, which may have a token in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait => f.write_str("Wait"),
            Self::Send(bytes) => f.debug_tuple("Send").field(&bytes.len()).finish(),
            Self::Done(hello) => f.debug_tuple("Done").field(hello).finish(),
        }
    }
}

impl ClientHandshake {
    /// A handshake that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A handshake that has not begun, of a client that shows this token. It may have up to
    /// [`MAX_TOKEN_LEN`](crate::limits::MAX_TOKEN_LEN) bytes: a hello of more may not pass.
    #[must_use]
    pub const fn with_token(token: Option<Token>) -> Self {
        Self { server: None, token, types: None }
    }

    /// Declares this side's types, and compares the server's with them:
    /// [`Hello::differing_types`].
    #[must_use]
    pub fn types(mut self, types: Option<Arc<Fingerprints>>) -> Self {
        self.types = types;
        self
    }

    /// What the server has said of itself, once it is this side's turn to do so.
    #[must_use]
    pub const fn server(&self) -> Option<&Hello> {
        self.server.as_ref()
    }

    /// Reads what the server sent.
    ///
    /// # Errors
    /// The [`HandshakeError`] on which a client closes without sending anything more.
    pub fn receive(&mut self, buffer: &mut BytesMut) -> Result<ClientStep, HandshakeError> {
        let Some(object) = take_message(buffer, parse_object)? else { return Ok(ClientStep::Wait) };
        if let Some(reason) = object.get("error") {
            return Err(refusal(reason));
        }
        match self.server.take() {
            None => {
                let types = self.types.as_deref();
                self.server = Some(Hello::read(object, types)?);
                Ok(ClientStep::Send(Hello::ours_with(self.token.take().as_ref(), types)))
            }
            Some(server) if object.get("result").and_then(Value::as_str) == Some("ok") => {
                Ok(ClientStep::Done(server))
            }
            Some(_) => Err(HandshakeError::Refused { reason: "its ack is not \"ok\"".to_owned() }),
        }
    }
}

fn refusal(reason: &Value) -> HandshakeError {
    match reason.as_str() {
        Some(SERVER_FULL) => HandshakeError::ServerFull,
        Some(reason) => HandshakeError::Refused { reason: printable(reason).to_string() },
        None => HandshakeError::Refused { reason: printable(&reason.to_string()).to_string() },
    }
}

/// Takes one handshake message off the buffer, and gives its JSON to `read`. The length is judged
/// before the bytes have come.
fn take_message<T>(
    buffer: &mut BytesMut,
    read: impl FnOnce(&[u8]) -> Result<T, HandshakeError>,
) -> Result<Option<T>, HandshakeError> {
    let Some(&prefix) = buffer.first_chunk::<2>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(prefix));
    if length == LENGTH_OF_A_FRAME {
        return Err(HandshakeError::FrameBeforeHandshake);
    }
    if is_tls(buffer) {
        return Err(HandshakeError::Tls);
    }
    if length == 0 || length > MAX_HANDSHAKE_LEN {
        return Err(HandshakeError::BadLength { length, limit: MAX_HANDSHAKE_LEN });
    }
    let Some(json) = buffer.get(2..2 + length) else { return Ok(None) };
    let read = read(json);
    buffer.advance(2 + length);
    read.map(Some)
}

/// Whether a record of TLS begins here: a handshake (22) or an alert (21), then the version 3.0 to 3.4.
/// Its first two bytes would be a length, but no JSON begins with a byte below 5.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [21 | 22, 3, 0..=4, ..])
}

fn parse_object(json: &[u8]) -> Result<Map<String, Value>, HandshakeError> {
    // Python's parser takes a byte order mark, so a peer may send one.
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    serde_json::from_slice(json).map_err(|_| HandshakeError::NotAnObject)
}

fn framed(json: &[u8]) -> Bytes {
    debug_assert!(json.len() <= MAX_HANDSHAKE_LEN, "our own handshake messages are short");
    // One length means something else; a space behind the JSON changes nothing but that.
    let padding: &[u8] = if json.len() == LENGTH_OF_A_FRAME { b" " } else { b"" };
    let length = json.len() + padding.len();
    let mut bytes = BytesMut::with_capacity(2 + length);
    bytes.put_u16(length as u16);
    bytes.put_slice(json);
    bytes.put_slice(padding);
    bytes.freeze()
}
