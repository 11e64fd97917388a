//! The errors of the IO side: one enum per operation, texts that say what to do.

mod tls;

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use veltix_core::{AnswerError, BodyError, EncodeError, HandshakeError, IdsExhausted, TargetError};

pub use tls::{CertificateProblem, TlsConfigError, TlsError};

/// Any error that a handler may return.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A value of a configuration that cannot work.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A message of the largest size would never find room in an outbox.
    #[error(
        "an outbox of {outbox_bytes} bytes cannot hold a message of max_message_size ({max_message_size}): raise the one or lower the other"
    )]
    OutboxTooSmall {
        /// The outbox's limit.
        outbox_bytes: usize,
        /// The largest message.
        max_message_size: usize,
    },
    /// The message limit is below a header, or beyond what the length field can say.
    #[error("max_message_size must be from {min} to {max} bytes, not {value}")]
    MessageSize {
        /// The value.
        value: usize,
        /// The least that works: a header.
        min: usize,
        /// The most that works.
        max: usize,
    },
    /// One read may not take in as much.
    #[error("buffer_size may be up to {max} bytes, not {value}")]
    BufferSize {
        /// The value.
        value: usize,
        /// The most that works.
        max: usize,
    },
    /// The largest message would find no room in the memory of all connections.
    #[error(
        "a memory_budget of {value} bytes has no room for what a message of max_message_size ({max_message_size}) takes while it comes, some three and a half times as much: raise the one or lower the other"
    )]
    MemoryBudget {
        /// The value.
        value: usize,
        /// The largest message.
        max_message_size: usize,
    },
    /// A silence of no time would be answered with pings without a pause.
    #[error("a heartbeat needs an interval: give it some seconds, or None to have no heartbeat")]
    Heartbeat,
    /// A limit of zero would let nothing through.
    #[error("{name} must be at least 1")]
    Zero {
        /// The setting.
        name: &'static str,
    },
    /// No server's certificate can have such a name.
    #[error(
        "\"{name}\" is neither a DNS name nor an IP address: give the name that the server's certificate has"
    )]
    ServerName {
        /// The name.
        name: String,
    },
    /// A client with TLS does not know which name to check.
    #[error(
        "over this transport there is no name of the server: give the one that its certificate has by `ClientTls::server_name`"
    )]
    NoServerName,
    /// A client's token would be sent for anybody to read.
    #[error(
        "without TLS anybody on the way can read the token: switch on TLS (`ClientConfig::tls`), or say `allow_plaintext_token()` if something else encrypts"
    )]
    PlaintextToken,
    /// A client's token is empty or too long.
    #[error("a token has 1 to {limit} bytes, this one has {length}")]
    TokenLength {
        /// Its length in bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A client has been given a router that asks who its peers are.
    #[error(
        "only a server asks who its peers are: serve the router with `authenticate` by a `Server`; a client knows its server by TLS"
    )]
    AuthenticateOnClient,
    /// A handler asks for what this side does not have.
    #[error(
        "the handler of {route} takes a `Hub`, which only a server has: use `Peer` for the other end of the connection, or serve this router with a `Server`"
    )]
    NeedsHub {
        /// The route's name.
        route: String,
    },
}

/// Why a server could not be bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket listens there.
    #[error(
        "{addr} is in use: stop the other server, or bind another port (port 0 lets the system choose)"
    )]
    AddressInUse {
        /// The address.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// A server listens at the path of a Unix socket.
    #[error("a server listens at {}: stop it, or bind another path", path.display())]
    SocketInUse {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path of a Unix socket is that of another file, which is not touched.
    #[error(
        "{} exists and is not a socket: remove it, or bind another path", path.display()
    )]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// A Unix socket cannot have this path.
    #[error(
        "a Unix socket cannot be at {}: choose a shorter path (at most 107 bytes on Linux, 103 on macOS and the BSDs)", path.display()
    )]
    SocketPath {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system refused for another reason.
    #[error("{addr} cannot be bound: check the address and whether this user may bind it")]
    Io {
        /// The address.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Why a client could not connect.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody could be reached.
    #[error("{addr} cannot be reached: check the address and whether the server runs")]
    Unreachable {
        /// The address.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// The other side did not finish the handshake, or the connection, in time.
    #[error("{addr} did not finish the handshake within {limit:?}: is it a Veltix server?")]
    Timeout {
        /// The address.
        addr: String,
        /// `handshake_timeout`.
        limit: Duration,
    },
    /// The handshake failed.
    #[error("the handshake with {addr} failed: {source}")]
    Handshake {
        /// The address.
        addr: String,
        /// Why.
        source: HandshakeError,
    },
    /// TLS failed: the server's certificate is not accepted, or it does not accept ours, say. Nothing
    /// was sent without TLS instead.
    #[error("TLS with {addr} failed: {source}")]
    Tls {
        /// The address.
        addr: String,
        /// Why.
        source: TlsError,
    },
    /// The stream failed during the handshake.
    #[error("the connection to {addr} failed during the handshake")]
    Io {
        /// The address.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// The function of [`ClientConfig::token_with`](crate::ClientConfig::token_with) gave no token.
    #[error("there is no token to show to {addr}: {source}")]
    Token {
        /// The address.
        addr: String,
        /// What the function said.
        source: BoxError,
    },
    /// Our own `on_connect` refused the server, or the client was closed meanwhile.
    #[error("the connection to {addr} was given up before it was ready: {reason}")]
    GivenUp {
        /// The address.
        addr: String,
        /// Why.
        reason: String,
    },
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl ConnectError {
    /// Whether another attempt may succeed without anybody changing anything. A wrong protocol
    /// version or a refusal stays what it is; a full server may have room later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Io { .. }
            | Self::Token { .. } => true,
            Self::Handshake { source, .. } => source.is_transient(),
            Self::Tls { source, .. } => source.is_transient(),
            Self::GivenUp { .. } | Self::Config(_) => false,
        }
    }

    /// Whether a client that was connected before gives up on it. As long as TLS has not accepted the
    /// server, what comes is nobody's word: whoever is on the way can cut a connection and answer the
    /// next attempt with an alert. And certificates that have expired, on either side, are renewed.
    pub(crate) const fn ends_reconnecting(&self) -> bool {
        !self.is_transient() && !matches!(self, Self::Tls { .. })
    }
}

/// Why a message was not accepted for sending.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is over, or there is none at the moment.
    #[error("the connection is closed: the message was not sent")]
    Closed,
    /// The peer's outbox is full.
    #[error(
        "the peer's outbox is full, since it reads too slowly: await `send` for room, or send less"
    )]
    Full,
    /// The message could not be encoded.
    #[error("the message could not be encoded")]
    Encode(#[from] EncodeError),
    /// Whom it was for is a target that cannot be used, so nobody got it.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// How a call ended that brought no answer. `E` is what the message declares with `error = E`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequestError<E = Infallible> {
    /// The peer says why it does not answer.
    #[error("the peer answered with an error: {0:?}")]
    Remote(E),
    /// The answer's body cannot be read.
    #[error("the answer cannot be read")]
    Body(#[source] BodyError),
    /// No answer came in time. Whether the peer handled the message is unknown.
    #[error("no answer came within {after:?}; whether the peer handled the message is unknown")]
    Timeout {
        /// The call's timeout.
        after: Duration,
    },
    /// The connection ended first. Whether the peer handled the message is unknown.
    #[error(
        "the connection ended before an answer came; whether the peer handled the message is unknown"
    )]
    ConnectionLost,
    /// The connection was over already, so the message was not sent.
    #[error("the connection is closed: the message was not sent")]
    Closed,
    /// So much came before the answer that reading had to stop.
    #[error(
        "more than {limit} bytes of messages came before the answer while a handler was busy: let handlers finish sooner, or spawn the call instead of awaiting it in a handler"
    )]
    Congested {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The answer has another type than was expected.
    #[error("the answer has message code {code}, expected was {expected}")]
    UnexpectedReply {
        /// The answer's code.
        code: u16,
        /// The code that was asked for.
        expected: u16,
    },
    /// The server numbers its own messages with ids of ours, so an answer must be told by its type.
    #[error(
        "this server's own messages may carry the ids of calls: say with `.expect(TYPE)` which type the answer has"
    )]
    TypeNeeded,
    /// No id is free.
    #[error(transparent)]
    IdsExhausted(#[from] IdsExhausted),
    /// The message could not be encoded.
    #[error("the message could not be encoded")]
    Encode(#[from] EncodeError),
}

impl<E> RequestError<E> {
    /// The same error with another type of what the peer says.
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

/// Why an answer is not the one that was asked for, as the end of its call.
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
    /// The same error of a call whose peer could have said more.
    pub(crate) fn widen<E>(self) -> RequestError<E> {
        self.map_remote(|never| match never {})
    }
}

/// Any error of this crate, for a `main` that returns one. It prints its text and its causes even
/// as `{:?}`, which is how a `main` that returns it ends.
#[derive(Error)]
#[non_exhaustive]
pub enum Error {
    /// Of [`Server::bind`](crate::Server::bind).
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Of [`Client::connect`](crate::Client::connect).
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Of a `send`.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Of a `request` or a `ping`. What the peer said of itself is a text here.
    #[error(transparent)]
    Request(RequestError<String>),
    /// Of reading or writing a body.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Of encoding a message.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Of a tag.
    #[error(transparent)]
    Tag(#[from] veltix_core::TagError),
    /// Of a target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Of certificates, keys and roots for TLS.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// Of the standard library's IO, for examples and tests that read and write as well.
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

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
