//! [`TlsHandshakeError`]. Part of every build, as the handshake that it is a part of.

use std::io;

use thiserror::Error;

use crate::error::TlsError;

/// Why the sides of a stream did not agree on TLS.
#[derive(Debug, Error)]
pub(crate) enum TlsHandshakeError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the stream failed")]
    Io(#[source] io::Error),
    #[error("the stream ended during the TLS handshake")]
    #[cfg_attr(not(feature = "__tls"), expect(dead_code, reason = "only TLS makes one"))]
    Closed,
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
            TlsHandshakeError::Closed => io::ErrorKind::UnexpectedEof.into(),
        }
    }
}
