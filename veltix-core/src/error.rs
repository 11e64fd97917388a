//! The errors of the core: one small enum per operation, texts that say what to do.

use std::str::Utf8Error;

use thiserror::Error;

/// Why the bytes of a peer are not a frame. The connection that met one is closed: whoever goes
/// on by searching the payload for the next magic lets its author inject frames.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The two bytes at a frame's start are not `VX`.
    #[error(
        "the frame starts with {found:02x?} instead of 56 58 (\"VX\"): the peer does not speak Veltix, or speaks it with the header of another version"
    )]
    BadMagic {
        /// The two bytes that were there.
        found: [u8; 2],
    },
    /// The header announces more than the limit. Nothing was allocated for it.
    #[error(
        "the frame of {total} bytes is over the limit of {limit}: raise max_message_size on this side or send less"
    )]
    Oversize {
        /// Header and payload together, as announced.
        total: u64,
        /// `max_message_size` of this side.
        limit: usize,
    },
    /// The payload does not have the CRC-32 that the header says.
    #[error(
        "the payload's CRC-32 is {computed:08x}, the header says {announced:08x}: the bytes were damaged or the sender wrote two frames into each other"
    )]
    ChecksumMismatch {
        /// The checksum in the header.
        announced: u32,
        /// The checksum of the bytes that came.
        computed: u32,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame: {received} of {expected} bytes had come")]
    Truncated {
        /// Bytes of the frame that had come.
        received: usize,
        /// Bytes that the frame has, 15 while its header was incomplete.
        expected: u64,
    },
}

/// Why a handshake failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer speaks another protocol version.
    #[error(
        "the peer speaks protocol version \"{theirs}\", this side speaks 1.x: use the Python package veltix 2.0.3 or later, or a matching release of this crate"
    )]
    IncompatibleVersion {
        /// The peer's `pv`, cut to 128 characters and escaped; empty when it had none.
        theirs: String,
    },
    /// The message does not fit the limit, or is empty.
    #[error("the handshake message announces {length} bytes, allowed are 1 to {limit}")]
    BadLength {
        /// What the length field said.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A frame came before the handshake was over: an old server (before 1.8), or a Python server
    /// whose broadcast reached a connection that was still shaking hands.
    #[error(
        "a frame came before the handshake was over: the peer is older than 1.8, or a server whose broadcast overtook the handshake; connecting again helps in the second case"
    )]
    FrameBeforeHandshake,
    /// The peer speaks TLS, and this side does not.
    #[error(
        "the peer speaks TLS, and this side does not: have TLS on both sides, or on neither (`tls` in the config)"
    )]
    Tls,
    /// The message is not a JSON object.
    #[error("the handshake message is not a JSON object: the peer does not speak Veltix")]
    NotAnObject,
    /// The server has no room.
    #[error("the server is full: try again later or raise its max_connections")]
    ServerFull,
    /// The server refused for a reason of its own.
    #[error("the server refused the connection: {reason}")]
    Refused {
        /// The server's words, cut to 128 characters and escaped.
        reason: String,
    },
    /// Both sides have declared their types, this one strictly, and some codes mean something else to
    /// the peer.
    #[error(
        "the peer has other types under the message codes {codes:?}: build both sides from the same definitions, or give the new types codes of their own"
    )]
    TypesDiffer {
        /// The codes, at most eight of them.
        codes: Vec<u16>,
    },
    /// The stream ended before the handshake was over.
    #[error(
        "the peer closed the connection during the handshake, as a server does that does not accept the protocol version, or that has too many handshakes at once: try again a little later"
    )]
    Closed,
}

impl HandshakeError {
    /// Whether another attempt may end otherwise without anybody changing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Closed | Self::FrameBeforeHandshake | Self::ServerFull)
    }
}

/// Why a message could not be encoded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value cannot be written as JSON.
    #[error("the value cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The value cannot be written in postcard.
    #[cfg(feature = "postcard")]
    #[error("the value cannot be written in postcard")]
    Postcard(#[from] postcard::Error),
    /// The frame would be over the limit.
    #[error("the message of {size} bytes is over max_message_size ({limit})")]
    TooLarge {
        /// Header and payload together.
        size: usize,
        /// The limit.
        limit: usize,
    },
}

/// Why a body could not be read as what the caller asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The body is not JSON, or not of the type asked for.
    #[error("the body is not the JSON that was expected")]
    Json(#[from] serde_json::Error),
    /// The body is not postcard, or not of the type asked for.
    #[cfg(feature = "postcard")]
    #[error("the body is not the postcard that was expected")]
    Postcard(#[from] postcard::Error),
    /// The body is not UTF-8.
    #[error("the body is not UTF-8 text")]
    Utf8(#[from] Utf8Error),
    /// The message is not of the type asked for.
    #[error("the message has code {code}, which is not that of {expected}")]
    WrongType {
        /// The message's code.
        code: u16,
        /// The name of the type that was asked for.
        expected: &'static str,
    },
    /// The body is over the limit for bodies that are parsed.
    #[error(
        "the body of {size} bytes is over max_typed_body ({limit}): raise that, or the limit of this message with `#[message(max = …)]`, or take the body as Bytes"
    )]
    TooLarge {
        /// The body's length.
        size: usize,
        /// The limit.
        limit: usize,
    },
}

/// Why a message type was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeError {
    /// The code belongs to the protocol.
    #[error("message code {code} is reserved for the protocol (0-199): use 200 or above")]
    Reserved {
        /// The code.
        code: u16,
    },
    /// The code is taken.
    #[error(
        "message code {code} is already registered as {taken_by:?}: give each type its own code"
    )]
    Duplicate {
        /// The code.
        code: u16,
        /// The name of the type that has it.
        taken_by: &'static str,
    },
    /// No code is left.
    #[error("no application code is free: 200-65535 are all registered")]
    Exhausted,
    /// A handshake has no room for so many types.
    #[error(
        "{count} types cannot be declared to peers, {limit} can: declare those that both sides share"
    )]
    TooManyDeclared {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

/// A code that no message type of an enum has: what `TryFrom<u16>` says on an enum with
/// `#[veltix::message]`.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no message type of `{types}` has code {code}")]
#[non_exhaustive]
pub struct UnknownCode {
    /// The code.
    pub code: u16,
    /// The name of the enum.
    pub types: &'static str,
}

impl UnknownCode {
    /// That this code is none of the enum of this name.
    #[must_use]
    pub const fn new(code: u16, types: &'static str) -> Self {
        Self { code, types }
    }
}

/// Why a tag was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TagError {
    /// The peer is not there (any more).
    #[error("the peer is gone, so it cannot be tagged")]
    Closed,
    /// The name is empty or too long.
    #[error("a tag's name has 1 to {limit} bytes, this one has {length}")]
    NameLength {
        /// Its length in bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// The value is too long.
    #[error("a tag's value has at most {limit} bytes, this one has {length}")]
    ValueLength {
        /// Its length in bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// The peer has as many tags as it may have.
    #[error("the peer already has {limit} tags: remove one first")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The peers to be tagged were picked by a target that cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Why a target cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetError {
    /// Its operators nest too deep.
    #[error(
        "the target nests deeper than {limit} levels: join terms with one operator, or pick by tags that say more"
    )]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// It has too many names, values and peers.
    #[error(
        "the target has more than {limit} names, values and peers, a comparison counting as 1024 of them: tag the peers that are meant and pick them by that tag"
    )]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}
