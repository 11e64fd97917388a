//! [`Hello`]: what a side says of itself in the handshake.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::wire::{framed, parse_object};
use crate::error::HandshakeError;
use crate::fingerprints::Fingerprints;
use crate::limits::LOGGED_CHARS;
use crate::text::printable;
use crate::token::Token;

/// The protocol version that we say. Peers are compatible when the first numbers are equal.
const PROTOCOL_VERSION: &str = "1.0";

/// The first number of [`PROTOCOL_VERSION`].
const PROTOCOL_MAJOR: u64 = 1;

/// Says in the `veltix` object that its sender knows [`GoingAway`](crate::GoingAway).
const GOING_AWAY: &str = "going_away";

/// A client's token, in the `veltix` object.
const TOKEN: &str = "token";

/// The fingerprints of a side's types, in the `meta`.
const TYPES: &str = "types";

/// The largest `veltix` object of a `meta` that is kept, as JSON: a hello lives as long as its
/// peer, and as parsed values 30 KiB of text take half a megabyte.
const KEPT_META: usize = 1024;

/// What a peer said of itself in its handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    version: String,
    meta: Map<String, Value>,
    differing_types: Vec<u16>,
}

impl Hello {
    /// Our own hello: the version of this crate, and a `meta` that marks a Rust peer. Python
    /// peers ignore `meta`.
    #[must_use]
    pub fn ours() -> Self {
        let mut meta = Map::new();
        meta.insert("veltix".to_owned(), json!({ GOING_AWAY: true }));
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), meta, ..Self::default() }
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

    /// The message codes to which the peer gives other types than this side, the lowest eight of them.
    /// None when they agree, or when either has not declared its [`Fingerprints`].
    #[must_use]
    pub fn differing_types(&self) -> &[u16] {
        &self.differing_types
    }

    /// How many ids, counted from 0, a server of the Python package 2.0.x numbers its own
    /// messages with.
    #[must_use]
    pub fn id_window(&self) -> Option<u16> {
        let window = self.meta.get("id_window")?.as_u64()?;
        Some(u16::try_from(window).unwrap_or(u16::MAX))
    }

    /// Our own hello on the wire, with the token that a client shows and the types that are declared.
    pub(super) fn ours_with(token: Option<&Token>, types: Option<&Fingerprints>) -> Bytes {
        let mut hello = Self::ours();
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
        // Written by hand in the order and spacing of the Python package, so that a transcript
        // of ours reads like one of its own.
        let version = Value::from(self.version.as_str());
        let meta = Value::Object(self.meta.clone());
        framed(
            format!(r#"{{"v": {version}, "pv": "{PROTOCOL_VERSION}", "meta": {meta}}}"#).as_bytes(),
        )
    }

    /// Reads the JSON of a hello, without the token that may be in it, and compares no types.
    ///
    /// # Errors
    /// The [`HandshakeError`] on which either side closes.
    pub fn parse(json: &[u8]) -> Result<Self, HandshakeError> {
        Self::parse_with_token(json, None).map(|(hello, _)| hello)
    }

    /// Reads the JSON of a client's hello, and the token in it, which the hello does not keep. The
    /// client's types are compared with those of this side.
    ///
    /// # Errors
    /// As [`parse`](Hello::parse).
    pub fn parse_with_token(
        json: &[u8],
        types: Option<&Fingerprints>,
    ) -> Result<(Self, Option<Token>), HandshakeError> {
        let mut object = parse_object(json)?;
        let token = take_token(&mut object);
        Ok((Self::read(object, types)?, token))
    }

    /// Reads a hello; the rule for `pv` is that of the Python package, but digits only.
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
        // Only what differs is kept: a hello lives as long as its peer.
        let differing_types = types
            .and_then(|ours| Some(ours.differing(&Fingerprints::read(theirs?)?)))
            .unwrap_or_default();
        Ok(Self { version, meta: known_meta(meta), differing_types })
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

/// Exactly two numbers with a dot between, the first equal to ours.
fn is_compatible(version: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    version.split_once('.').is_some_and(|(major, minor)| {
        is_number(major) && is_number(minor) && major.parse() == Ok(PROTOCOL_MAJOR)
    })
}
