//! [`Hello`]: the message in which each side describes itself in the handshake.

use std::num::NonZeroU32;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::wire::{framed, parse_object};
use crate::error::HandshakeError;
use crate::fingerprints::Fingerprints;
use crate::limits::{self, LOGGED_CHARS};
use crate::text::printable;
use crate::token::Token;

/// Is the protocol version of this side. Peers are compatible if the first numbers of their
/// versions are equal.
const PROTOCOL_VERSION: &str = "1.0";

/// Is the first number of [`PROTOCOL_VERSION`].
const PROTOCOL_MAJOR: u64 = 1;

/// Is the key in the `veltix` object by which the sender shows that it knows
/// `GoingAway`.
const GOING_AWAY: &str = "going_away";

/// Is the key in the `veltix` object by which the sender shows that it knows `ProtocolReport`.
const PROTOCOL_ERROR: &str = "protocol_error";

/// Is the key of the sender's limit for whole frames in the `veltix` object.
const MAX_MESSAGE_SIZE: &str = "max_message_size";

/// Is the key of a client's token in the `veltix` object.
const TOKEN: &str = "token";

/// Is the key of a side's fingerprints in the `meta`.
const TYPES: &str = "types";

/// Limits the `veltix` object of a `meta` that is kept, as JSON. A hello lives as long as its peer,
/// and parsed values of 30 KiB of text take half a megabyte.
const KEPT_META: usize = 1024;

/// A hello describes a peer, as the peer sent it in its handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    version: String,
    meta: Map<String, Value>,
    /// Holds the announced limit, so that a sender need not search `meta`.
    max_message_size: Option<NonZeroU32>,
    differing_types: Vec<u16>,
}

impl Hello {
    /// Creates the hello of a side with the default limits: the version of this crate, and a `meta`
    /// that marks a Rust peer. Python peers ignore `meta`.
    #[must_use]
    pub fn ours() -> Self {
        Self::of_limit(limits::MAX_MESSAGE_SIZE)
    }

    /// Creates the hello of a side that accepts frames up to this size.
    fn of_limit(max_message_size: usize) -> Self {
        let mut meta = Map::new();
        let native = json!({
            GOING_AWAY: true,
            MAX_MESSAGE_SIZE: max_message_size,
            PROTOCOL_ERROR: true,
        });
        meta.insert("veltix".to_owned(), native);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let max_message_size = announced_limit(&meta);
        Self { version, meta, max_message_size, ..Self::default() }
    }

    /// Returns the version of the peer's package. The text comes from the peer: escape it before
    /// you log it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the parts of `meta` that this crate knows: `id_window`, and `veltix` up to 1 KiB of
    /// JSON. It is empty for a Python peer of 3.x.
    #[must_use]
    pub const fn meta(&self) -> &Map<String, Value> {
        &self.meta
    }

    /// Returns whether the peer is a Rust peer, so that extensions may be used with it.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.meta.get("veltix").is_some_and(Value::is_object)
    }

    /// Returns whether the peer sends or understands `GoingAway`. Rust peers
    /// do. The message is sent to no other peer.
    #[must_use]
    pub fn knows_going_away(&self) -> bool {
        self.native(GOING_AWAY).and_then(Value::as_bool) == Some(true)
    }

    /// Returns whether the peer sends or understands `ProtocolReport`. Rust peers do. The message is
    /// sent to no other peer.
    #[must_use]
    pub fn knows_protocol_report(&self) -> bool {
        self.native(PROTOCOL_ERROR).and_then(Value::as_bool) == Some(true)
    }

    /// Returns the largest message that the peer accepts, in bytes with the header: its
    /// `max_message_size`. It is at least the length of a header. Returns `None` for a peer that does
    /// not announce it, such as a Python peer.
    #[inline]
    #[must_use]
    pub fn max_message_size(&self) -> Option<usize> {
        self.max_message_size.map(|limit| limit.get() as usize)
    }

    /// Returns an entry of the `veltix` object.
    fn native(&self, key: &str) -> Option<&Value> {
        self.meta.get("veltix")?.get(key)
    }

    /// Returns the message codes that the peer uses for other types than this side, the lowest
    /// eight of them. The result is empty if both sides agree, or if one side has not declared its
    /// `Fingerprints`.
    #[must_use]
    pub fn differing_types(&self) -> &[u16] {
        &self.differing_types
    }

    /// Returns the number of ids, counted from 0, that a server of the Python package 2.0.x uses
    /// for its own messages.
    #[must_use]
    pub fn id_window(&self) -> Option<u16> {
        let window = self.meta.get("id_window")?.as_u64()?;
        Some(u16::try_from(window).unwrap_or(u16::MAX))
    }

    /// Returns the hello of this side on the wire, with its limit, the client's token and the
    /// declared types.
    pub(super) fn ours_with(
        max_message_size: usize,
        token: Option<&Token>,
        types: Option<&Fingerprints>,
    ) -> Bytes {
        let mut hello = Self::of_limit(max_message_size);
        let native = hello.meta.get_mut("veltix").and_then(Value::as_object_mut);
        if let (Some(token), Some(native)) = (token, native) {
            native.insert(TOKEN.to_owned(), Value::from(token.expose()));
        }
        if let Some(types) = types {
            hello.meta.insert(TYPES.to_owned(), Value::from(types.to_text()));
        }
        hello.to_bytes()
    }

    fn to_bytes(&self) -> Bytes {
        // The JSON is written by hand in the order and spacing of the Python package, so that
        // transcripts of both look alike.
        let version = Value::from(self.version.as_str());
        let meta = Value::Object(self.meta.clone());
        framed(
            format!(r#"{{"v": {version}, "pv": "{PROTOCOL_VERSION}", "meta": {meta}}}"#).as_bytes(),
        )
    }

    /// Reads the JSON of a hello. It discards the token in it, and compares no types.
    ///
    /// # Errors
    /// Returns the [`HandshakeError`] on which either side closes the connection.
    pub fn parse(json: &[u8]) -> Result<Self, HandshakeError> {
        Self::parse_with_token(json, None).map(|(hello, _)| hello)
    }

    /// Reads the JSON of a client's hello and returns the token separately, because the hello does
    /// not keep it. The client's types are compared with `types`.
    ///
    /// # Errors
    /// Returns the same errors as [`parse`](Hello::parse).
    pub fn parse_with_token(
        json: &[u8],
        types: Option<&Fingerprints>,
    ) -> Result<(Self, Option<Token>), HandshakeError> {
        let mut object = parse_object(json)?;
        let token = take_token(&mut object);
        Ok((Self::read(object, types)?, token))
    }

    /// Reads a hello. The rule for `pv` is that of the Python package, but allows only digits.
    pub(super) fn read(
        mut object: Map<String, Value>,
        types: Option<&Fingerprints>,
    ) -> Result<Self, HandshakeError> {
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
            Some(Value::Object(meta)) => meta,
            _ => Map::new(),
        };
        let theirs = meta.get(TYPES).and_then(Value::as_str);
        // Only the differing codes are kept, because a hello lives as long as its peer.
        let differing_types = types
            .and_then(|ours| Some(ours.differing(&Fingerprints::read(theirs?)?)))
            .unwrap_or_default();
        let max_message_size = announced_limit(&meta);
        Ok(Self { version, meta: known_meta(meta), max_message_size, differing_types })
    }
}

/// Takes the token out before any other code sees the hello. A token that is not a text counts as
/// none. So does an empty one, because it would pass if a server's own secret was left empty by
/// mistake.
fn take_token(object: &mut Map<String, Value>) -> Option<Token> {
    let native = object.get_mut("meta")?.get_mut("veltix")?.as_object_mut()?;
    match native.remove(TOKEN)? {
        Value::String(token) if !token.is_empty() => Some(Token::from(token)),
        _ => None,
    }
}

/// Returns the limit for whole frames in a `meta`. No length field expresses more than 32 bits, and
/// no frame is shorter than a header.
fn announced_limit(meta: &Map<String, Value>) -> Option<NonZeroU32> {
    let limit = meta.get("veltix")?.get(MAX_MESSAGE_SIZE)?.as_u64()?;
    NonZeroU32::new(u32::try_from(limit).unwrap_or(u32::MAX).max(limits::HEADER_LEN as u32))
}

/// Keeps the parts of a `meta` that this crate knows.
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

/// Returns whether the version is two numbers with a dot between, of which the first equals ours.
fn is_compatible(version: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    version.split_once('.').is_some_and(|(major, minor)| {
        is_number(major) && is_number(minor) && major.parse() == Ok(PROTOCOL_MAJOR)
    })
}
