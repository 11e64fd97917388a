//! The client's side.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::hello::Hello;
use super::wire::{SERVER_FULL, parse_object, take_message};
use crate::error::HandshakeError;
use crate::fingerprints::Fingerprints;
use crate::text::printable;
use crate::token::Token;

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
