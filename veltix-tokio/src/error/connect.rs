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
    /// expired certificates, on either side, are renewed, and the server of another protocol that
    /// took the port of a server that restarts may leave again.
    pub(crate) fn ends_reconnecting(&self) -> bool {
        let may_pass = matches!(
            self,
            Self::Tls { .. } | Self::Handshake { source: HandshakeError::NotVeltix { .. }, .. }
        );
        !self.is_transient() && !may_pass
    }
}
