//! [`TlsHandshakeError`]. It is a part of every build, as is the handshake that contains it.

use std::io;

use thiserror::Error;
use veltix_core::HandshakeError;

use crate::error::TlsError;

/// The reason for which the TLS handshake of a stream failed.
#[derive(Debug, Error)]
pub(crate) enum TlsHandshakeError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the stream failed")]
    Io(#[source] io::Error),
    #[error("the stream ended during the TLS handshake: check that both sides use TLS")]
    #[cfg_attr(not(feature = "__tls"), expect(dead_code, reason = "only TLS makes one"))]
    Closed,
    /// The client closed before its first byte.
    #[error("the stream ended before the TLS handshake: check that both sides use TLS")]
    #[cfg_attr(not(feature = "__tls"), expect(dead_code, reason = "only TLS makes one"))]
    NoByte,
    /// The client's bytes are of another protocol that is known.
    #[error(transparent)]
    #[cfg_attr(not(feature = "__tls"), expect(dead_code, reason = "only TLS makes one"))]
    Protocol(HandshakeError),
}

impl From<io::Error> for TlsHandshakeError {
    fn from(error: io::Error) -> Self {
        match TlsError::of(&error) {
            Some(tls) => Self::Tls(tls.clone()),
            None => Self::Io(error),
        }
    }
}

impl From<TlsHandshakeError> for io::Error {
    fn from(error: TlsHandshakeError) -> Self {
        match error {
            TlsHandshakeError::Tls(error) => error.into(),
            TlsHandshakeError::Io(error) => error,
            TlsHandshakeError::Closed | TlsHandshakeError::NoByte => {
                io::ErrorKind::UnexpectedEof.into()
            }
            TlsHandshakeError::Protocol(error) => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}
