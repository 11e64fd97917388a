//! The errors of the IO side: one enum per operation. Each text says what to do.

mod server;
mod tls;

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use thiserror::Error;
use veltix_core::{AnswerError, BodyError, EncodeError, HandshakeError, IdsExhausted, TargetError};

pub use server::{BindError, ServeError};
pub use tls::{CertificateProblem, TlsConfigError, TlsError};

/// Any error that a handler may return.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An invalid value in a configuration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The outbox is smaller than the largest message, so such a message could never be sent.
    #[error(
        "an outbox of {outbox_bytes} bytes cannot hold a message of max_message_size ({max_message_size}): enlarge the outbox, or lower max_message_size"
    )]
    OutboxTooSmall {
        /// The limit of the outbox in bytes.
        outbox_bytes: usize,
        /// The size of the largest message in bytes.
        max_message_size: usize,
    },
    /// The message limit is smaller than a header, or larger than the length field can express.
    #[error("max_message_size is {value} bytes: choose a value from {min} to {max}")]
    MessageSize {
        /// The configured value.
        value: usize,
        /// The smallest valid value: the size of a header.
        min: usize,
        /// The largest valid value.
        max: usize,
    },
    /// The buffer of one read is larger than allowed.
    #[error("buffer_size is {value} bytes: choose at most {max}")]
    BufferSize {
        /// The configured value.
        value: usize,
        /// The largest valid value.
        max: usize,
    },
    /// The memory budget of all connections is too small for the largest message.
    #[error(
        "a memory_budget of {value} bytes is too small for max_message_size ({max_message_size}), since a message takes about three and a half times its size while it is received: raise memory_budget, or lower max_message_size"
    )]
    MemoryBudget {
        /// The configured value.
        value: usize,
        /// The size of the largest message in bytes.
        max_message_size: usize,
    },
    /// The heartbeat interval is zero, so pings would follow each other without a pause.
    #[error(
        "the heartbeat interval is zero: choose some seconds, or None to disable the heartbeat"
    )]
    Heartbeat,
    /// A limit is zero, so nothing would pass.
    #[error("{name} is 0: choose at least 1")]
    Zero {
        /// The name of the setting.
        name: &'static str,
    },
    /// The server's name is not valid in a certificate.
    #[error(
        "\"{name}\" is neither a DNS name nor an IP address: use a name in the server's certificate"
    )]
    ServerName {
        /// The invalid name.
        name: String,
    },
    /// A client with TLS has no server name to check.
    #[error(
        "this transport provides no name of the server: set a name in its certificate with `ClientTls::server_name`"
    )]
    NoServerName,
    /// A client's token would be sent without encryption.
    #[error(
        "without TLS, others on the network path can read the token: enable TLS (`ClientConfig::tls`), or call `allow_plaintext_token()` if something else encrypts the connection"
    )]
    PlaintextToken,
    /// A client's token is empty or too long.
    #[error("the token has {length} bytes: use a token of 1 to {limit} bytes")]
    TokenLength {
        /// The token's length in bytes.
        length: usize,
        /// The largest length in bytes.
        limit: usize,
    },
    /// A client has a router that authenticates peers.
    #[error(
        "a client cannot use a router with `authenticate`: serve this router with a `Server`, and identify the server with TLS (`ClientConfig::tls`)"
    )]
    AuthenticateOnClient,
    /// A handler has a parameter that this side does not provide.
    #[error(
        "the handler of {route} takes a `Hub`, which only a server has: use `Peer` in a client, or serve this router with a `Server`"
    )]
    NeedsHub {
        /// The name of the route.
        route: String,
    },
}

/// The reason why a client could not connect.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server could not be reached.
    #[error("{addr} cannot be reached: check the address, and whether the server runs")]
    Unreachable {
        /// The address.
        addr: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The server did not complete the connection or the handshake in time.
    #[error(
        "{addr} did not finish the handshake within {limit:?}: check that it is a Veltix server, or raise `handshake_timeout`"
    )]
    Timeout {
        /// The address.
        addr: String,
        /// The configured `handshake_timeout`.
        limit: Duration,
    },
    /// The handshake failed.
    #[error("the handshake with {addr} failed: {source}")]
    Handshake {
        /// The address.
        addr: String,
        /// The reason.
        source: HandshakeError,
    },
    /// TLS failed: for example, the server's certificate is not accepted, or the server does not
    /// accept the client's. The client did not continue without TLS.
    #[error("TLS with {addr} failed: {source}")]
    Tls {
        /// The address.
        addr: String,
        /// The reason.
        source: TlsError,
    },
    /// The stream failed during the handshake.
    #[error(
        "the connection to {addr} failed during the handshake: check the network and the server's log"
    )]
    Io {
        /// The address.
        addr: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The function of [`ClientConfig::token_with`](crate::ClientConfig::token_with) returned no
    /// token.
    #[error("`token_with` provided no token for {addr}: {source}")]
    Token {
        /// The address.
        addr: String,
        /// The error of the function.
        source: BoxError,
    },
    /// This side's `on_connect` refused the server, or the client was closed meanwhile.
    #[error("the client closed the connection to {addr} before it was ready: {reason}")]
    GivenUp {
        /// The address.
        addr: String,
        /// The reason.
        reason: String,
    },
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl ConnectError {
    /// Returns whether another attempt may succeed although nobody has changed anything. A wrong
    /// protocol version, a refusal, and an address that no system accepts
    /// ([`io::ErrorKind::InvalidInput`] or [`io::ErrorKind::Unsupported`]) are permanent, while a
    /// full server may have room later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => {
                !matches!(source.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
            }
            Self::Timeout { .. } | Self::Io { .. } | Self::Token { .. } => true,
            Self::Handshake { source, .. } => source.is_transient(),
            Self::Tls { source, .. } => source.is_transient(),
            Self::GivenUp { .. } | Self::Config(_) => false,
        }
    }

    /// Returns whether this error ends the reconnecting of a client that was connected before.
    /// Until TLS has accepted the server, the received bytes are not trustworthy: an attacker on
    /// the network path can cut a connection and answer the next attempt with an alert. Also,
    /// expired certificates, on either side, are renewed.
    pub(crate) fn ends_reconnecting(&self) -> bool {
        !self.is_transient() && !matches!(self, Self::Tls { .. })
    }
}

/// The reason why a message was not accepted for sending.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection has ended, or there is none at the moment.
    #[error(
        "the connection is closed, so the message was not sent: connect again, and send it then"
    )]
    Closed,
    /// The outbox of the peer is full.
    #[error(
        "the peer's outbox is full, since the peer reads too slowly: await `send` for room, or send less"
    )]
    Full,
    /// The message could not be encoded.
    #[error("the message could not be encoded")]
    Encode(#[from] EncodeError),
    /// The target cannot be used, so no peer received the message.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// The reason why a call ended without its answer. `E` is the type that the message declares with
/// `error = E`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequestError<E = Infallible> {
    /// The peer answered with the declared error.
    #[error("the peer answered with an error: {0:?}")]
    Remote(E),
    /// The body of the answer cannot be read: both sides must use the same message type. The text is
    /// short, so that its cause fits a line of the log
    /// ([`LOGGED_CHARS`](veltix_core::limits::LOGGED_CHARS)).
    #[error("the answer cannot be read")]
    Body(#[source] BodyError),
    /// No answer arrived in time. It is unknown whether the peer handled the message.
    #[error(
        "no answer arrived within {after:?}, and the peer may have handled the message: raise the timeout, or repeat the call if that is safe"
    )]
    Timeout {
        /// The timeout of the call.
        after: Duration,
    },
    /// The connection ended before the answer arrived. It is unknown whether the peer handled the
    /// message.
    #[error(
        "the connection ended before an answer arrived, and the peer may have handled the message: repeat the call on the next connection if that is safe"
    )]
    ConnectionLost,
    /// The connection had ended before the call, so the message was not sent.
    #[error(
        "the connection is closed, so the message was not sent: connect again, and send it then"
    )]
    Closed,
    /// More bytes arrived before the answer than may be buffered, so reading had to stop.
    #[error(
        "more than {limit} bytes of messages arrived before the answer while a handler was busy: let handlers finish sooner, or spawn the call instead of awaiting it in a handler"
    )]
    Congested {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The answer has another type than the expected one.
    #[error(
        "the answer has the message code {code} instead of {expected}: use the same message types on both sides"
    )]
    UnexpectedReply {
        /// The message code of the answer.
        code: u16,
        /// The expected message code.
        expected: u16,
    },
    /// The server's own messages may carry the ids of this side's calls, so the type must identify
    /// the answer.
    #[error(
        "this server's own messages may carry the ids of calls: name the type of the answer with `.expect(TYPE)`"
    )]
    TypeNeeded,
    /// No request id is free.
    #[error(transparent)]
    IdsExhausted(#[from] IdsExhausted),
    /// The message could not be encoded.
    #[error("the message could not be encoded")]
    Encode(#[from] EncodeError),
}

impl<E> RequestError<E> {
    /// Converts the type of the peer's error.
    pub fn map_remote<F>(self, change: impl FnOnce(E) -> F) -> RequestError<F> {
        match self {
            Self::Remote(error) => RequestError::Remote(change(error)),
            Self::Body(error) => RequestError::Body(error),
            Self::Timeout { after } => RequestError::Timeout { after },
            Self::ConnectionLost => RequestError::ConnectionLost,
            Self::Closed => RequestError::Closed,
            Self::Congested { limit } => RequestError::Congested { limit },
            Self::UnexpectedReply { code, expected } => {
                RequestError::UnexpectedReply { code, expected }
            }
            Self::TypeNeeded => RequestError::TypeNeeded,
            Self::IdsExhausted(error) => RequestError::IdsExhausted(error),
            Self::Encode(error) => RequestError::Encode(error),
        }
    }
}

/// Converts a wrong answer to the error of its call.
impl<E> From<AnswerError<E>> for RequestError<E> {
    fn from(error: AnswerError<E>) -> Self {
        match error {
            AnswerError::Remote(error) => Self::Remote(error),
            AnswerError::Body(error) => Self::Body(error),
            AnswerError::Unexpected { code, expected } => Self::UnexpectedReply { code, expected },
        }
    }
}

impl RequestError {
    /// Converts the error to that of a call whose peer can answer with an error.
    pub(crate) fn widen<E>(self) -> RequestError<E> {
        self.map_remote(|never| match never {})
    }
}

/// Any error of this crate, for a `main` that returns one. Its `{:?}` output, which Rust prints
/// when `main` fails, is its text and its causes.
#[derive(Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of [`Server::bind`](crate::Server::bind).
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An error of [`Server::run`](crate::Server::run).
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// An error of [`Client::connect`](crate::Client::connect).
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// An error of a `send`.
    #[error(transparent)]
    Send(#[from] SendError),
    /// An error of a `request` or a `ping`. The peer's own error is a text here.
    #[error(transparent)]
    Request(RequestError<String>),
    /// An error of reading or writing a body.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// An error of encoding a message.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// An error of a tag.
    #[error(transparent)]
    Tag(#[from] veltix_core::TagError),
    /// An error of a target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// An error of certificates, keys and roots for TLS.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// An IO error of the standard library, for examples and tests that read and write files or
    /// streams as well.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<E: fmt::Debug> From<RequestError<E>> for Error {
    fn from(error: RequestError<E>) -> Self {
        Self::Request(error.map_remote(|remote| format!("{remote:?}")))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
