//! [`Failure`]: the reason why a handshake failed.

use std::io;

use thiserror::Error;
use veltix_core::{HandshakeError, ProxyError};

use crate::admission::Full;
use crate::error::TlsError;
use crate::identity::{AuthenticateError, Refuse};
use crate::tls::TlsHandshakeError;
use crate::transport::is_end;

/// The reason why a handshake failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Protocol(#[from] HandshakeError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The stream ended before the peer's first byte, as after a health check. This is no failed handshake.
    #[error("the peer closed the connection before it sent anything")]
    NoByte,
    #[error("the stream failed: check the network, and connect again")]
    Io(#[source] io::Error),
    #[error("the server is full: raise `max_connections` or `max_connections_per_address`")]
    Full(Full),
    /// The application refused the peer.
    #[error("the peer was refused: {}", .0.reason())]
    Refused(Refuse),
    #[error("`authenticate` panicked, so the peer was not admitted: {0}")]
    Panicked(String),
}

impl From<TlsHandshakeError> for Failure {
    fn from(error: TlsHandshakeError) -> Self {
        match error {
            TlsHandshakeError::Tls(error) => Self::Tls(error),
            TlsHandshakeError::Io(error) => Self::Io(error),
            TlsHandshakeError::Closed => Self::Protocol(HandshakeError::Closed),
            TlsHandshakeError::NoByte => Self::NoByte,
            TlsHandshakeError::Protocol(error) => Self::Protocol(error),
        }
    }
}

impl Failure {
    /// Returns whether the peer ended the stream.
    pub(super) fn is_end(&self) -> bool {
        match self {
            Self::Protocol(error) => *error == HandshakeError::Closed,
            Self::Io(error) => is_end(error),
            _ => false,
        }
    }
}

impl From<AuthenticateError> for Failure {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Refused(refuse) => Self::Refused(refuse),
            AuthenticateError::Panicked(panic) => Self::Panicked(panic),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // The handshake of a TLS client ends before the server has checked its certificate.
        match TlsError::of(&error) {
            Some(tls) => Self::Tls(tls.clone()),
            None => Self::Io(error),
        }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Io(error) => error,
            Failure::Tls(error) => error.into(),
            Failure::NoByte
            | Failure::Protocol(HandshakeError::Closed | HandshakeError::NoHello) => {
                io::ErrorKind::UnexpectedEof.into()
            }
            other => Self::other(other),
        }
    }
}
