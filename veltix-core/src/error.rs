//! The errors of the core: one small enum per operation. Each text says what to do.

use std::str::Utf8Error;

use thiserror::Error;

/// Reports why a peer's bytes are not a frame.
///
/// The connection closes. A receiver that searched the payload for the next magic instead would let
/// the author of the payload inject frames.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The first two bytes of the frame are not `VX`.
    #[error(
        "the frame starts with {found:02x?} instead of 56 58 (\"VX\"): the peer does not speak Veltix, or uses the header of another version; check its address and its version"
    )]
    BadMagic {
        /// Holds the two bytes that were received.
        found: [u8; 2],
    },
    /// The header announces a frame over the limit. No memory was allocated for it.
    #[error(
        "the frame of {total} bytes is over the limit of {limit}: raise max_message_size on this side, or send smaller messages"
    )]
    Oversize {
        /// Holds the announced length of header and payload together, in bytes.
        total: u64,
        /// Holds the value of `max_message_size` on this side.
        limit: usize,
    },
    /// The CRC-32 of the payload differs from the one in the header.
    #[error(
        "the payload's CRC-32 is {computed:08x}, but the header announces {announced:08x}: the bytes were damaged, or the sender mixed two frames; reconnect, and check that the sender writes one frame after the other"
    )]
    ChecksumMismatch {
        /// Holds the checksum in the header.
        announced: u32,
        /// Holds the checksum of the received bytes.
        computed: u32,
    },
    /// The stream ended inside a frame.
    #[error(
        "the stream ended inside a frame: {received} of {expected} bytes were received; reconnect and send the message again"
    )]
    Truncated {
        /// Counts the received bytes of the frame.
        received: usize,
        /// Holds the length of the frame in bytes, or 15 if its header was incomplete.
        expected: u64,
    },
}

/// Reports why a handshake failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer speaks another protocol version.
    #[error(
        "the peer speaks protocol version \"{theirs}\", but this side speaks 1.x: use the Python package veltix 2.0.3 or later, or a matching release of this crate"
    )]
    IncompatibleVersion {
        /// Holds the peer's `pv`, cut to 128 characters and escaped. It is empty if the peer sent
        /// none.
        theirs: String,
    },
    /// The handshake message is empty or over the limit.
    #[error(
        "the handshake message announces {length} bytes, but 1 to {limit} are allowed: check that the peer speaks Veltix, and declare fewer types or a shorter token"
    )]
    BadLength {
        /// Holds the value of the length field.
        length: usize,
        /// Holds the limit.
        limit: usize,
    },
    /// A frame arrived before the handshake had ended. The peer is an old server (before 1.8), or a
    /// Python server whose broadcast reached a connection during its handshake.
    #[error(
        "a frame arrived before the handshake had ended: the peer is older than 1.8 and must be updated, or it is a server whose broadcast overtook the handshake, in which case connecting again helps"
    )]
    FrameBeforeHandshake,
    /// The peer speaks TLS, and this side does not.
    #[error(
        "the peer speaks TLS, and this side does not: enable TLS on both sides or on neither (`tls` in the config)"
    )]
    Tls,
    /// The peer speaks another protocol, by its first bytes.
    #[error("the peer speaks {protocol} and not Veltix: check the address and the port")]
    NotVeltix {
        /// Holds the name of the protocol: `HTTP`, `SSH`, `SMTP or FTP`, or `another protocol`.
        protocol: &'static str,
    },
    /// The stream begins with a header of the PROXY protocol, and this side accepts none from the
    /// address.
    #[error(
        "a PROXY protocol header came from an untrusted address: add the load balancer to `trust_proxy`, or let it send no header"
    )]
    ProxyHeader,
    /// The handshake message is not a JSON object.
    #[error(
        "the handshake message is not a JSON object, so the peer does not speak Veltix: check its address"
    )]
    NotAnObject,
    /// The server has no room.
    #[error("the server is full: try again later, or raise its max_connections")]
    ServerFull,
    /// The server refused for a reason of its own.
    #[error("the server refused the connection: {reason}")]
    Refused {
        /// Holds the reason that the server sent, cut to 128 characters and escaped.
        reason: String,
    },
    /// Both sides have declared their types, this side is strict, and some codes stand for other
    /// types on the peer's side.
    #[error(
        "the peer uses the message codes {codes:?} for other types: build both sides from the same definitions, or give the new types their own codes"
    )]
    TypesDiffer {
        /// Lists the codes, at most eight of them.
        codes: Vec<u16>,
    },
    /// The stream ended before the server had sent anything. The server of another protocol waits for
    /// its client, and so does a server with TLS. A proxy without a backend closes at once.
    #[error(
        "the peer closed the connection before it sent anything: check that a Veltix server listens at this address, and enable TLS if the server uses it"
    )]
    NoHello,
    /// The stream ended before the handshake had ended.
    #[error(
        "the peer closed the connection during the handshake: try again later, in case the server has too many handshakes at once, and check that it accepts this protocol version"
    )]
    Closed,
}

impl HandshakeError {
    /// Returns whether a new attempt may succeed although nobody has changed anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Closed | Self::NoHello | Self::FrameBeforeHandshake | Self::ServerFull)
    }
}

/// Reports why a message could not be encoded.
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
    /// A float is NaN or infinite. JSON has no form for it, and a reader would find `null`.
    #[error(
        "{field} is NaN or infinite, which JSON cannot express: use `None` for a missing number, or a body in postcard"
    )]
    NotFinite {
        /// Holds the path to the float, for example `answers[2].score`, cut to 128 characters.
        field: Box<str>,
    },
    /// A `Some` contains a value that JSON writes as `null`, which a reader takes for `None`:
    /// `Some(None)`, `Some(())`.
    #[error(
        "{field} is a `Some` that JSON writes as `null`, and is read as `None`: use an enum in place of the inner value, or a body in postcard"
    )]
    SomeIsNull {
        /// Holds the path to the option, cut to 128 characters.
        field: Box<str>,
    },
    /// The parts of the value are nested deeper than a reader accepts:
    /// [`BODY_DEPTH`](crate::limits::BODY_DEPTH) levels.
    #[error(
        "{field} is nested in more than {} levels, which no receiver reads: send a list of parts that refer to each other",
        crate::limits::BODY_DEPTH
    )]
    TooDeep {
        /// Holds the path to the first part below the limit, cut to 128 characters.
        field: Box<str>,
    },
    /// The typed body is over the limit for bodies that are parsed, so the receiver would reject it.
    #[error(
        "the body of {size} bytes is over max_typed_body ({limit}): raise it on both sides, or set the limit of this message with `#[message(max = …)]`, or send a plain `Message`, which its receiver takes as Bytes"
    )]
    BodyTooLarge {
        /// Holds the length of the body in bytes.
        size: usize,
        /// Holds the limit: that of the message's type, or this side's `max_typed_body`.
        limit: usize,
    },
    /// The body cannot be read as the type that wrote it. Debug builds and the feature `testing`
    /// decode every typed body again, so this error comes from them alone.
    #[error(
        "the body cannot be read back as its own type: change the form of the type (`#[serde(flatten)]` and `untagged` accept neither 128-bit integers nor keys that are not texts)"
    )]
    NotReadable(#[source] Box<BodyError>),
    /// The frame would be over the limit.
    #[error(
        "the message of {size} bytes is over max_message_size ({limit}): raise the limit on both sides, or send smaller messages"
    )]
    TooLarge {
        /// Holds the length of header and payload together, in bytes.
        size: usize,
        /// Holds the limit.
        limit: usize,
    },
    /// The frame would be over the limit that the peer announced in its handshake.
    #[error(
        "the message of {size} bytes is over the peer's max_message_size ({limit}): raise it on the peer's side, or send smaller messages"
    )]
    OverPeerLimit {
        /// Holds the length of header and payload together, in bytes.
        size: usize,
        /// Holds the peer's limit.
        limit: usize,
    },
}

/// Reports why a body could not be read as the expected type.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The body is not JSON, or does not fit the expected type.
    #[error("the body is not the JSON that was expected")]
    Json(#[from] serde_json::Error),
    /// The body is not postcard, or does not fit the expected type.
    #[cfg(feature = "postcard")]
    #[error("the body is not the postcard that was expected")]
    Postcard(#[from] postcard::Error),
    /// The parts of a postcard body are nested in more than
    /// [`BODY_DEPTH`](crate::limits::BODY_DEPTH) levels. For a JSON body this is
    /// [`BodyError::Json`].
    #[cfg(feature = "postcard")]
    #[error(
        "the body has more than {} nested levels: send a list of parts that refer to each other",
        crate::limits::BODY_DEPTH
    )]
    TooDeep,
    /// The lists and maps of a postcard body have more elements than bytes, by more than
    /// [`EMPTY_ELEMENTS`](crate::limits::EMPTY_ELEMENTS): elements without bytes, such as `()`.
    #[cfg(feature = "postcard")]
    #[error(
        "the lists of the body have over {} elements without bytes: send their number",
        crate::limits::EMPTY_ELEMENTS
    )]
    TooManyElements,
    /// The body is not UTF-8.
    #[error("the body is not UTF-8 text")]
    Utf8(#[from] Utf8Error),
    /// The message has another type than the expected one.
    #[error("the message has code {code}, which is not that of {expected}")]
    WrongType {
        /// Holds the code of the message.
        code: u16,
        /// Holds the name of the expected type.
        expected: &'static str,
    },
    /// The body is over the limit for bodies that are parsed.
    #[error(
        "the body of {size} bytes is over max_typed_body ({limit}): raise it, or set the limit of this message with `#[message(max = …)]`, or take the body as Bytes"
    )]
    TooLarge {
        /// Holds the length of the body in bytes.
        size: usize,
        /// Holds the limit.
        limit: usize,
    },
}

/// Reports why a message type was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeError {
    /// The code belongs to the protocol.
    #[error("message code {code} is reserved for the protocol (0-199): use 200 or above")]
    Reserved {
        /// Holds the code.
        code: u16,
    },
    /// Another type has this code.
    #[error(
        "message code {code} is already registered as {taken_by:?}: give each type its own code"
    )]
    Duplicate {
        /// Holds the code.
        code: u16,
        /// Holds the name of the type that has the code.
        taken_by: &'static str,
    },
    /// No code is left.
    #[error("no application code is free, because 200-65535 are all registered: remove types")]
    Exhausted,
    /// A handshake has no room for this number of types.
    #[error(
        "{count} types are too many to declare to peers, the limit is {limit}: declare only the types that both sides share"
    )]
    TooManyDeclared {
        /// Holds the number of types.
        count: usize,
        /// Holds the highest number of types.
        limit: usize,
    },
}

/// Reports a code that no message type of an enum has. `TryFrom<u16>` returns it on an enum with
/// `#[veltix::message]`.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no message type of `{types}` has code {code}")]
#[non_exhaustive]
pub struct UnknownCode {
    /// Holds the code.
    pub code: u16,
    /// Holds the name of the enum.
    pub types: &'static str,
}

impl UnknownCode {
    /// Creates the error for this code and the enum of this name.
    #[must_use]
    pub const fn new(code: u16, types: &'static str) -> Self {
        Self { code, types }
    }
}

/// Reports why a tag was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TagError {
    /// The peer is not connected, or not connected any more.
    #[error("the peer is not connected, so it cannot be tagged: tag it while it is connected")]
    Closed,
    /// The name is empty or too long.
    #[error("the tag's name has {length} bytes: use 1 to {limit}")]
    NameLength {
        /// Holds the length of the name in bytes.
        length: usize,
        /// Holds the limit.
        limit: usize,
    },
    /// The value is too long.
    #[error("the tag's value has {length} bytes: use at most {limit}")]
    ValueLength {
        /// Holds the length of the value in bytes.
        length: usize,
        /// Holds the limit.
        limit: usize,
    },
    /// The peer has reached the limit for names of tags and sets.
    #[error("the peer already has {limit} tags: remove one first, or raise max_tags")]
    TooMany {
        /// Holds the limit.
        limit: usize,
    },
    /// The peer has reached the limit for values of its sets.
    #[error(
        "the sets of the peer already have {limit} values: leave one first, or raise max_values"
    )]
    TooManyValues {
        /// Holds the limit.
        limit: usize,
    },
    /// The name has a set of values, and the call is for a tag with one value.
    #[error(
        "the peer has joined a set of this name, which has no single value: read it with rooms, change it with join and leave, or use another name for the tag"
    )]
    IsSet,
    /// The name has a tag with one value, and the call is for a set.
    #[error(
        "the peer has a tag of this name with one value, which is not a set: use another name for the set, or remove the tag first"
    )]
    IsNotSet,
    /// The target that selects the peers cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Reports why a target cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetError {
    /// The operators of the target are nested too deep.
    #[error(
        "the target has more than {limit} nested levels: join terms with one operator, or use tags that are more specific"
    )]
    TooDeep {
        /// Holds the limit.
        limit: usize,
    },
    /// The target has too many names, values and peers.
    #[error(
        "the target has more than {limit} names, values and peers (a comparison counts as 1024): give the peers a tag, and use that tag as the target"
    )]
    TooLarge {
        /// Holds the limit.
        limit: usize,
    },
    /// A part of the message is too large for the other nodes of a cluster.
    #[cfg(feature = "cluster")]
    #[error(
        "the {what} has {length} bytes or levels, and the other nodes of the cluster accept {limit}: give the peers a tag, and use that tag as the target"
    )]
    TooLong {
        /// Holds the name of the part.
        what: &'static str,
        /// Holds its size.
        length: usize,
        /// Holds the limit.
        limit: usize,
    },
}
