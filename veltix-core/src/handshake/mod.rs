//! The handshake of both sides, as state machines over bytes.
//!
//! The server speaks first. Each message is a `u16` length and that many bytes of a JSON object:
//! the server's hello, the client's hello, the server's `{"result": "ok"}`. Bytes behind the last
//! message are left in the buffer: they belong to the first frame.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::LazyLock;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde_json::{Map, Value, json};

use crate::error::HandshakeError;
use crate::limits::{LOGGED_CHARS, MAX_HANDSHAKE_LEN};
use crate::text::printable;
use crate::token::Token;

/// The protocol version that we say. Peers are compatible when the first numbers are equal.
const PROTOCOL_VERSION: &str = "1.0";

/// The first number of [`PROTOCOL_VERSION`].
const PROTOCOL_MAJOR: u64 = 1;

/// The length field that the first two bytes of a frame would be.
const LENGTH_OF_A_FRAME: usize = 0x5658;

/// The ack of a Python server, byte for byte, with its length.
const ACCEPTED: &[u8] = b"\x00\x10{\"result\": \"ok\"}";

/// Why a Python client raises its `ServerFullError`.
const SERVER_FULL: &str = "server_full";

/// Says in the `veltix` object that its sender knows [`GoingAway`](crate::GoingAway).
const GOING_AWAY: &str = "going_away";

/// A client's token, in the `veltix` object.
const TOKEN: &str = "token";

/// The largest `veltix` object of a `meta` that is kept, as JSON: a hello lives as long as its
/// peer, and as parsed values 30 KiB of text take half a megabyte.
const KEPT_META: usize = 1024;

/// What a peer said of itself in its handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    version: String,
    meta: Map<String, Value>,
}

impl Hello {
    /// Our own hello: the version of this crate, and a `meta` that marks a Rust peer. Python
    /// peers ignore `meta`.
    #[must_use]
    pub fn ours() -> Self {
        let mut meta = Map::new();
        meta.insert("veltix".to_owned(), json!({ GOING_AWAY: true }));
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), meta }
    }

    /// The version of the peer's package. It comes from the peer: escape it before it is logged.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What else the peer said and this crate knows: `id_window`, and `veltix` up to 1 KiB of
    /// JSON. Empty for a Python peer of 3.x.
    #[must_use]
    pub const fn meta(&self) -> &Map<String, Value> {
        &self.meta
    }

    /// Whether the peer is one of ours, so that extensions may be used with it.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.meta.get("veltix").is_some_and(Value::is_object)
    }

    /// Whether the peer says, or listens to, [`GoingAway`](crate::GoingAway). Ours do; no other peer
    /// is sent it.
    #[must_use]
    pub fn knows_going_away(&self) -> bool {
        let native = self.meta.get("veltix").and_then(Value::as_object);
        native.and_then(|native| native.get(GOING_AWAY)).and_then(Value::as_bool) == Some(true)
    }

    /// How many ids, counted from 0, a server of the Python package 2.0.x numbers its own
    /// messages with.
    #[must_use]
    pub fn id_window(&self) -> Option<u16> {
        let window = self.meta.get("id_window")?.as_u64()?;
        Some(u16::try_from(window).unwrap_or(u16::MAX))
    }

    /// Our own hello on the wire, with the token that a client shows.
    fn ours_with(token: Option<&Token>) -> Bytes {
        let mut hello = Self::ours();
        let native = hello.meta.get_mut("veltix").and_then(Value::as_object_mut);
        if let (Some(token), Some(native)) = (token, native) {
            native.insert(TOKEN.to_owned(), Value::from(token.expose()));
        }
        hello.to_bytes()
    }

    fn to_bytes(&self) -> Bytes {
        // Written by hand in the order and spacing of the Python package, so that a transcript
        // of ours reads like one of its own.
        let version = Value::from(self.version.as_str());
        let meta = Value::Object(self.meta.clone());
        framed(
            format!(r#"{{"v": {version}, "pv": "{PROTOCOL_VERSION}", "meta": {meta}}}"#).as_bytes(),
        )
    }

    /// Reads the JSON of a hello, without the token that may be in it.
    ///
    /// # Errors
    /// The [`HandshakeError`] on which either side closes.
    pub fn parse(json: &[u8]) -> Result<Self, HandshakeError> {
        Self::parse_with_token(json).map(|(hello, _)| hello)
    }

    /// Reads the JSON of a hello, and the token in it, which the hello does not keep.
    ///
    /// # Errors
    /// As [`parse`](Hello::parse).
    pub fn parse_with_token(json: &[u8]) -> Result<(Self, Option<Token>), HandshakeError> {
        let mut object = parse_object(json)?;
        let token = take_token(&mut object);
        Ok((Self::read(object)?, token))
    }

    /// Reads a hello; the rule for `pv` is that of the Python package, but digits only.
    fn read(mut object: Map<String, Value>) -> Result<Self, HandshakeError> {
        let theirs = object.get("pv");
        if !theirs.and_then(Value::as_str).is_some_and(is_compatible) {
            let theirs = match theirs {
                None => String::new(),
                Some(Value::String(text)) => printable(text).to_string(),
                Some(other) => printable(&other.to_string()).to_string(),
            };
            return Err(HandshakeError::IncompatibleVersion { theirs });
        }
        let version = match object.remove("v") {
            Some(Value::String(version)) => version.chars().take(LOGGED_CHARS).collect(),
            _ => String::new(),
        };
        let meta = match object.remove("meta") {
            Some(Value::Object(meta)) => known_meta(meta),
            _ => Map::new(),
        };
        Ok(Self { version, meta })
    }
}

/// Takes the token out, before anything else looks at the hello. What is no text is none, and neither
/// is an empty one: it would pass where a server's own secret was left empty by mistake.
fn take_token(object: &mut Map<String, Value>) -> Option<Token> {
    let native = object.get_mut("meta")?.get_mut("veltix")?.as_object_mut()?;
    match native.remove(TOKEN)? {
        Value::String(token) if !token.is_empty() => Some(Token::from(token)),
        _ => None,
    }
}

/// Keeps what this crate knows of a `meta`.
fn known_meta(mut meta: Map<String, Value>) -> Map<String, Value> {
    let mut known = Map::new();
    if let Some(window @ Value::Number(_)) = meta.remove("id_window") {
        known.insert("id_window".to_owned(), window);
    }
    if let Some(native @ Value::Object(_)) = meta.remove("veltix") {
        let native = if native.to_string().len() <= KEPT_META { native } else { json!({}) };
        known.insert("veltix".to_owned(), native);
    }
    known
}

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
        static HELLO: LazyLock<Bytes> = LazyLock::new(|| Hello::ours().to_bytes());
        HELLO.clone()
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
    /// What ours shows.
    token: Option<Token>,
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
        Self { server: None, token }
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
                self.server = Some(Hello::read(object)?);
                Ok(ClientStep::Send(Hello::ours_with(self.token.take().as_ref())))
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

/// Exactly two numbers with a dot between, the first equal to ours.
fn is_compatible(version: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    version.split_once('.').is_some_and(|(major, minor)| {
        is_number(major) && is_number(minor) && major.parse() == Ok(PROTOCOL_MAJOR)
    })
}
