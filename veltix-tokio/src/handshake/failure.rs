//! [`Failure`]: why a handshake failed.

use std::io;

use thiserror::Error;
use veltix_core::HandshakeError;

use crate::admission::Full;
use crate::error::TlsError;
use crate::identity::{AuthenticateError, Refuse};
use crate::tls::TlsHandshakeError;

/// Why a handshake failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Protocol(#[from] HandshakeError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the stream failed")]
    Io(#[source] io::Error),
    #[error("the server is full")]
    Full(Full),
    /// The application does not let the peer in.
    #[error("the peer is refused: {}", .0.reason())]
    Refused(Refuse),
    #[error("`authenticate` panicked: {0}")]
    Panicked(String),
}

impl From<TlsHandshakeError> for Failure {
    fn from(error: TlsHandshakeError) -> Self {
        match error {
            TlsHandshakeError::Tls(error) => Self::Tls(error),
            TlsHandshakeError::Io(error) => Self::Io(error),
            TlsHandshakeError::Closed => Self::Protocol(HandshakeError::Closed),
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
        // A TLS client's own handshake is over before the server has judged its certificate.
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
            Failure::Protocol(HandshakeError::Closed) => io::ErrorKind::UnexpectedEof.into(),
            other => Self::other(other),
        }
    }
}
