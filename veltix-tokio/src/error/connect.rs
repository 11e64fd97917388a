//! [`ConnectError`] and [`NotConnected`]: the errors of a client without a connection.

use std::io;
use std::time::Duration;

use thiserror::Error;
use veltix_core::HandshakeError;

use super::{BoxError, ConfigError, TlsError};

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
        "{addr} did not finish the handshake within {limit:?}: check that it is a Veltix server and not one of another protocol, enable TLS if it uses TLS, or raise `handshake_timeout`"
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
    /// No Tokio runtime surrounds the call.
    #[error("no Tokio runtime drives the client: connect inside one, as `#[tokio::main]` does")]
    NoRuntime,
    /// The connection ended before `on_connect` had returned `Ok`. Most often `on_connect` has
    /// refused the server.
    #[error("the connection to {addr} ended before it was ready: {reason}")]
    GivenUp {
        /// The address.
        addr: String,
        /// The reason why the connection ended, as text.
        reason: String,
        /// True if this side has decided that there is no connection: `on_connect` returned
        /// [`Refuse::new`](crate::Refuse::new), or the connection was closed.
        is_final: bool,
    },
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl ConnectError {
    /// Returns whether another attempt may succeed although nobody has changed anything. A wrong
    /// protocol version, a refusal for good, and an address that no system accepts
    /// ([`io::ErrorKind::InvalidInput`] or [`io::ErrorKind::Unsupported`]) are permanent, while a
    /// full server may have room later, and an error of `on_connect` may pass.
    /// [`Reconnect`](crate::Reconnect) lists all cases.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => {
                !matches!(source.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
            }
            Self::Timeout { .. } | Self::Io { .. } | Self::Token { .. } => true,
            Self::Handshake { source, .. } => source.is_transient(),
            Self::Tls { source, .. } => source.is_transient(),
            Self::GivenUp { is_final, .. } => !*is_final,
            Self::NoRuntime | Self::Config(_) => false,
        }
    }

    /// Returns whether this error ends the reconnecting of a client that was connected before. Only
    /// a decision does: of the server, or of the configuration.
    ///
    /// Until TLS has accepted the server, the received bytes are not trustworthy: an attacker on
    /// the network path can cut a connection and answer the next attempt with an alert. Also,
    /// expired certificates, on either side, are renewed. Bytes that are no handshake are no decision
    /// of the server, whose address was right before: they come, for example, from a proxy in front
    /// of it while it starts again.
    pub(crate) fn ends_reconnecting(&self) -> bool {
        match self {
            Self::Handshake { source, .. } => matches!(
                source,
                HandshakeError::IncompatibleVersion { .. }
                    | HandshakeError::Refused { .. }
                    | HandshakeError::TypesDiffer { .. }
            ),
            Self::Tls { .. } => false,
            _ => !self.is_transient(),
        }
    }
}

/// The reason why [`Client::connected`](crate::Client::connected) returned no peer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotConnected {
    /// The client has no connection and does not try to get one.
    #[error("the client has lost its server ({reason}): call `Client::retry` for more attempts")]
    Lost {
        /// The reason, as text.
        reason: String,
    },
    /// This side has closed the client for good.
    #[error("the client is closed: connect a new one")]
    Closed,
    /// A handler of the client waits for its next connection, which begins only after the handler
    /// has returned.
    #[error(
        "the client connects only after this handler has returned: let `on_connect` use the next connection, or wait in a task of its own"
    )]
    WithinHandler,
}
