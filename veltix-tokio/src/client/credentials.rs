//! [`Credentials`]: by what a client shows who it is, and where that may go.

use veltix_core::Token;

use crate::error::ConfigError;
use crate::limits::MAX_TOKEN_LEN;
use crate::transport::PeerAddr;

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

    /// Whether the token may go over a network.
    pub(super) const fn check(&self, has_tls: bool) -> Result<(), ConfigError> {
        if self.token.is_some() && !has_tls && !self.plaintext {
            return Err(ConfigError::PlaintextToken);
        }
        Ok(())
    }

    /// The token for whoever is at this address. What never leaves the machine needs no TLS.
    pub(super) fn token_for(
        &self,
        addr: &PeerAddr,
        has_tls: bool,
    ) -> Result<Option<Token>, ConfigError> {
        if !matches!(addr, PeerAddr::Unix(_) | PeerAddr::Memory(_)) {
            self.check(has_tls)?;
        }
        Ok(self.token.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(addr: &PeerAddr, has_tls: bool, plaintext: bool, goes: bool) {
        let credentials = Credentials { token: Some(Token::from("swordfish")), plaintext };
        match credentials.token_for(addr, has_tls) {
            Ok(token) => assert!(goes && token.is_some_and(|token| token.is("swordfish"))),
            Err(error) => assert!(!goes && error == ConfigError::PlaintextToken, "{error}"),
        }
    }

    /// By a connector of one's own, whose addresses are not known before it has connected.
    #[test]
    fn whether_a_token_goes_is_up_to_the_address() {
        let tcp = PeerAddr::Tcp(([192, 0, 2, 1], 8080).into());
        check(&tcp, false, false, false);
        check(&tcp, true, false, true);
        check(&tcp, false, true, true);
        check(&PeerAddr::Memory(1), false, false, true);
        let unix = crate::transport::UnixAddr::new(None, None);
        check(&PeerAddr::Unix(unix), false, false, true);
        let none = Credentials::default();
        assert!(none.token_for(&tcp, false).is_ok_and(|token| token.is_none()));
    }
}
