//! [`ClientHandshake`]: the client's side of the handshake.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::hello::Hello;
use super::wire::{SERVER_FULL, parse_object, take_message};
use crate::error::HandshakeError;
use crate::fingerprints::Fingerprints;
use crate::limits;
use crate::text::printable;
use crate::token::Token;

/// A client handshake runs the client's side. Pass received bytes to [`ClientHandshake::receive`],
/// and carry out the step that it returns.
#[derive(Debug)]
pub struct ClientHandshake {
    /// Holds the server's hello once it has been received and the client's hello is due.
    server: Option<Hello>,
    /// Holds the limit, the token and the types for the client's hello.
    max_message_size: usize,
    token: Option<Token>,
    types: Option<Arc<Fingerprints>>,
}

/// A step is the action of a client in its handshake.
#[derive(Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the driver of a handshake must handle every step")]
pub enum ClientStep {
    /// Wait for more bytes.
    Wait,
    /// Send these bytes, then continue.
    Send(Bytes),
    /// The handshake has succeeded. The variant holds the server's hello.
    Done(Hello),
}

impl fmt::Debug for ClientStep {
    /// Omits the bytes, which may contain a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait => f.write_str("Wait"),
            Self::Send(bytes) => f.debug_tuple("Send").field(&bytes.len()).finish(),
            Self::Done(hello) => f.debug_tuple("Done").field(hello).finish(),
        }
    }
}

impl Default for ClientHandshake {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientHandshake {
    /// Creates a handshake that has not begun.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_token(None)
    }

    /// Creates a handshake that has not begun, for a client with this token. The token may have up
    /// to [`MAX_TOKEN_LEN`](crate::limits::MAX_TOKEN_LEN) bytes. A longer one may not fit the
    /// hello.
    #[must_use]
    pub const fn with_token(token: Option<Token>) -> Self {
        Self { server: None, max_message_size: limits::MAX_MESSAGE_SIZE, token, types: None }
    }

    /// Announces the size of the largest message that this side accepts, header included. The
    /// default is [`MAX_MESSAGE_SIZE`](limits::MAX_MESSAGE_SIZE).
    #[must_use]
    pub const fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Declares this side's types and compares them with the server's: see
    /// [`Hello::differing_types`].
    #[must_use]
    pub fn types(mut self, types: Option<Arc<Fingerprints>>) -> Self {
        self.types = types;
        self
    }

    /// Returns the server's hello between its receipt and the end of the handshake.
    #[must_use]
    pub const fn server(&self) -> Option<&Hello> {
        self.server.as_ref()
    }

    /// Reads the bytes that the server sent.
    ///
    /// # Errors
    /// Returns the [`HandshakeError`] on which a client closes the connection without sending
    /// anything more.
    pub fn receive(&mut self, buffer: &mut BytesMut) -> Result<ClientStep, HandshakeError> {
        let Some(object) = take_message(buffer, parse_object)? else { return Ok(ClientStep::Wait) };
        if let Some(reason) = object.get("error") {
            return Err(refusal(reason));
        }
        match self.server.take() {
            None => {
                let types = self.types.as_deref();
                self.server = Some(Hello::read(object, types)?);
                let token = self.token.take();
                let hello = Hello::ours_with(self.max_message_size, token.as_ref(), types);
                Ok(ClientStep::Send(hello))
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
