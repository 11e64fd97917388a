//! [`ConnectError`]: a client that could not connect.

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
    /// protocol version or a refusal is permanent, while a full server may have room later.
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

    /// Returns whether this error ends the reconnecting of a client that was connected before.
    /// Until TLS has accepted the server, the received bytes are not trustworthy: an attacker on
    /// the network path can cut a connection and answer the next attempt with an alert. Also,
    /// expired certificates, on either side, are renewed.
    pub(crate) const fn ends_reconnecting(&self) -> bool {
        !self.is_transient() && !matches!(self, Self::Tls { .. })
    }
}
