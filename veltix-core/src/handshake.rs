//! The handshake of both sides, as state machines over bytes.
//!
//! The server speaks first. Each message is a `u16` length and that many bytes of a JSON object:
//! the server's hello, the client's hello, the server's `{"result": "ok"}`. Bytes behind the last
//! message are left in the buffer: they belong to the first frame.

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

/// Takes the token out, before anything else looks at the hello. What is no text is none.
fn take_token(object: &mut Map<String, Value>) -> Option<Token> {
    let native = object.get_mut("meta")?.get_mut("veltix")?.as_object_mut()?;
    match native.remove(TOKEN)? {
        Value::String(token) => Some(Token::from(token)),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::MAX_TOKEN_LEN;

    fn message(json: &str) -> BytesMut {
        BytesMut::from(&framed(json.as_bytes())[..])
    }

    fn server_reads(json: &str) -> Result<Option<Hello>, HandshakeError> {
        ServerHandshake::new().receive(&mut message(json))
    }

    #[test]
    fn both_sides_of_ours_agree() {
        let mut client = ClientHandshake::new();
        let mut server = ServerHandshake::new();
        let mut to_client = BytesMut::from(&ServerHandshake::hello()[..]);
        let Ok(ClientStep::Send(hello)) = client.receive(&mut to_client) else { panic!() };
        let mut to_server = BytesMut::from(&hello[..]);
        to_server.extend_from_slice(b"VX");
        let seen = server.receive(&mut to_server).unwrap().unwrap();
        assert!(seen.is_native());
        assert_eq!(&to_server[..], b"VX", "what follows belongs to the first frame");
        assert_eq!(ServerHandshake::accepted(), framed(br#"{"result": "ok"}"#));
        to_client.extend_from_slice(&ServerHandshake::accepted());
        assert_eq!(client.receive(&mut to_client), Ok(ClientStep::Done(Hello::ours())));
    }

    #[test]
    fn a_python_hello_is_read() {
        let json = r#"{"v": "2.0.3", "pv": "1.0", "meta": {"id_window": 30000}, "x": 1}"#;
        let hello = server_reads(json).unwrap().unwrap();
        assert_eq!((hello.version(), hello.id_window()), ("2.0.3", Some(30_000)));
        assert!(!hello.is_native());
        let minimal = server_reads("\u{feff}{\"pv\": \"1.0\"}").unwrap().unwrap();
        assert_eq!(minimal, Hello::default());
        let odd = server_reads(r#"{"pv": "1.0", "v": 3, "meta": "none"}"#).unwrap().unwrap();
        assert_eq!(odd, Hello::default());
    }

    /// What a client with this token sends.
    fn with_token(token: &Token) -> Bytes {
        let mut client = ClientHandshake::with_token(Some(token.clone()));
        let step = client.receive(&mut BytesMut::from(&ServerHandshake::hello()[..]));
        assert!(!format!("{client:?} {step:?}").contains(token.expose()), "it is told");
        let Ok(ClientStep::Send(hello)) = step else { panic!("{step:?}") };
        hello
    }

    #[test]
    fn a_token_reaches_the_server_and_is_not_kept_in_the_hello() {
        // What JSON writes longest, with each length that could be that of a frame among them.
        for length in (1..5).chain(3_600..=MAX_TOKEN_LEN) {
            let token = Token::from("\u{1}".repeat(length));
            let mut bytes = BytesMut::from(&with_token(&token)[..]);
            let read = ServerHandshake::new().receive_with(&mut bytes, Hello::parse_with_token);
            let (hello, shown) = read.unwrap().expect("it is whole");
            assert!(shown.is_some_and(|shown| shown.is(token.expose())));
            assert_eq!(hello, Hello::ours());
        }
        let odd = br#"{"pv": "1.0", "meta": {"veltix": {"token": 7, "x": 1}}}"#;
        let (hello, shown) = Hello::parse_with_token(odd).unwrap();
        assert!(shown.is_none());
        assert_eq!(Value::Object(hello.meta().clone()), json!({"veltix": {"x": 1}}));
    }

    #[test]
    fn a_large_meta_is_not_kept() {
        let zeros = "0,".repeat(10_000);
        let json = format!(
            r#"{{"pv": "1.0", "v": "{}", "meta": {{"a": [{zeros}0], "veltix": {{"b": "{}"}}}}}}"#,
            "9".repeat(500),
            "c".repeat(2_000),
        );
        let hello = server_reads(&json).unwrap().unwrap();
        assert!(hello.is_native());
        assert_eq!(Value::Object(hello.meta().clone()), json!({"veltix": {}}));
        assert_eq!(hello.version().len(), LOGGED_CHARS);
    }

    #[test]
    fn bad_messages_are_told_apart() {
        let version = |json| match server_reads(json) {
            Err(HandshakeError::IncompatibleVersion { theirs }) => theirs,
            other => panic!("{json}: {other:?}"),
        };
        assert_eq!(version("{}"), "");
        assert_eq!(version(r#"{"pv": "2.0"}"#), "2.0");
        assert_eq!(version(r#"{"pv": 1}"#), "1");
        assert_eq!(version("{\"pv\": \"1\\u001b[0m\"}"), r"1\u{1b}[0m");
        for json in ["[1]", "nope", "\"1.0\"", "{} x", &"[".repeat(10_000)] {
            assert_eq!(server_reads(json), Err(HandshakeError::NotAnObject), "{json:.20}");
        }
        let length = |bytes: &[u8]| ServerHandshake::new().receive(&mut BytesMut::from(bytes));
        let refused = |length| Err(HandshakeError::BadLength { length, limit: 30_720 });
        assert_eq!(length(b"\x00\x00"), refused(0));
        assert_eq!(length(b"\x78\x01"), refused(30_721), "from the length alone");
        assert_eq!(length(b"\x78\x00"), Ok(None));
        assert_eq!(length(b"VX"), Err(HandshakeError::FrameBeforeHandshake));
        assert_eq!(length(b"\x16\x03\x01"), Err(HandshakeError::Tls), "a ClientHello");
        assert_eq!(length(b"\x15\x03\x03\x00\x02\x02\x46"), Err(HandshakeError::Tls), "an alert");
        // A message of 5 635 bytes has the same first two.
        assert_eq!(length(b"\x16\x03{"), Ok(None));
        assert_eq!(length(b"\x16\x03"), Ok(None));
    }

    #[test]
    fn a_long_reason_is_cut_to_what_a_peer_accepts() {
        let mut bytes = BytesMut::from(&ServerHandshake::refused(&"\u{1}".repeat(70_000))[..]);
        let refused = ClientHandshake::new().receive(&mut bytes);
        assert!(matches!(refused, Err(HandshakeError::Refused { .. })), "{refused:?}");
    }

    #[test]
    fn a_client_tells_refusals_apart() {
        let first = |json| ClientHandshake::new().receive(&mut message(json));
        assert_eq!(first(r#"{"error": "server_full"}"#), Err(HandshakeError::ServerFull));
        let refused = |reason: &str| Err(HandshakeError::Refused { reason: reason.to_owned() });
        assert_eq!(first(r#"{"error": "banned", "pv": "1.0"}"#), refused("banned"));
        assert_eq!(first(r#"{"error": null}"#), refused("null"));
        let mut both = message(r#"{"pv": "1.0"}"#);
        both.extend_from_slice(&message(r#"{"error": "server_full"}"#));
        let mut client = ClientHandshake::new();
        assert!(matches!(client.receive(&mut both), Ok(ClientStep::Send(_))));
        assert_eq!(client.receive(&mut both), Err(HandshakeError::ServerFull));
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ServerHandshake::new().receive(&mut BytesMut::from(&bytes[..]));
            let mut buffer = BytesMut::from(&bytes[..]);
            let mut client = ClientHandshake::new();
            while let Ok(ClientStep::Send(_)) = client.receive(&mut buffer) {}
        }

        #[test]
        fn any_split_gives_the_same_hello(cut in 0usize..41) {
            let bytes = ServerHandshake::hello();
            let mut server = ServerHandshake::new();
            let mut buffer = BytesMut::from(&bytes[..cut.min(bytes.len() - 1)]);
            prop_assert_eq!(server.receive(&mut buffer), Ok(None));
            buffer.extend_from_slice(&bytes[cut.min(bytes.len() - 1)..]);
            prop_assert_eq!(server.receive(&mut buffer), Ok(Some(Hello::ours())));
        }
    }
}
