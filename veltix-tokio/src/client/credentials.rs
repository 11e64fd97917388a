//! [`Credentials`]: by what a client shows who it is, and where that may go.

use veltix_core::Token;

use crate::error::ConfigError;
use crate::limits::MAX_TOKEN_LEN;
use crate::transport::Stream;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    pub(super) token: Option<Token>,
    /// A token may also go over a network without TLS.
    pub(super) plaintext: bool,
}

impl Credentials {
    /// Whether a token can be one.
    pub(super) fn check_length(&self) -> Result<(), ConfigError> {
        let length = self.token.as_ref().map_or(1, |token| token.expose().len());
        match (1..=MAX_TOKEN_LEN).contains(&length) {
            true => Ok(()),
            false => Err(ConfigError::TokenLength { length, limit: MAX_TOKEN_LEN }),
        }
    }

    /// Whether the token may go over a network, with TLS or without.
    pub(super) const fn check(&self, has_tls: bool) -> Result<(), ConfigError> {
        if self.token.is_some() && !has_tls && !self.plaintext {
            return Err(ConfigError::PlaintextToken);
        }
        Ok(())
    }

    /// The token for whoever is at the other end, once TLS is there if it is to be.
    pub(super) fn token_for(&self, stream: &Stream) -> Result<Option<Token>, ConfigError> {
        self.check(stream.is_private())?;
        Ok(self.token.clone())
    }
}
