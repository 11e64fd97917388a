//! [`Credentials`]: the token of a client, and the connections over which it may be sent.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use futures::FutureExt;
use veltix_core::Token;
use veltix_core::limits::MAX_TOKEN_LEN;

use crate::error::{BoxError, ConfigError};
use crate::sync::panic_text;
use crate::transport::Stream;

/// The token of a client, and the permission to send it without TLS.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    source: Source,
    /// True if the token may be sent over a network without TLS.
    pub(super) plaintext: bool,
}

/// The source of the token.
#[derive(Clone, Default)]
enum Source {
    #[default]
    None,
    Fixed(Token),
    /// A function that is called before each attempt to connect.
    Asked(Arc<dyn Fn() -> Asking + Send + Sync>),
}

/// The future of a token.
type Asking = Pin<Box<dyn Future<Output = Result<Token, BoxError>> + Send>>;

impl Credentials {
    /// Uses this token for each attempt.
    pub(super) fn show(&mut self, token: Token) {
        self.source = Source::Fixed(token);
    }

    /// Calls `provide` for a token before each attempt.
    pub(super) fn ask<F, Fut, T, E>(&mut self, provide: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Token>,
        E: Into<BoxError>,
    {
        let provide = move || -> Asking {
            let asked = provide();
            Box::pin(async move { asked.await.map(T::into).map_err(E::into) })
        };
        self.source = Source::Asked(Arc::new(provide));
    }

    /// Checks the length of a fixed token. A provided token is checked when it arrives.
    pub(super) fn check_length(&self) -> Result<(), ConfigError> {
        match &self.source {
            Source::Fixed(token) => check_length(token),
            Source::None | Source::Asked(_) => Ok(()),
        }
    }

    /// Checks whether the token may be sent over a network, with TLS or without.
    pub(super) const fn check(&self, has_tls: bool) -> Result<(), ConfigError> {
        if !matches!(self.source, Source::None) && !has_tls && !self.plaintext {
            return Err(ConfigError::PlaintextToken);
        }
        Ok(())
    }

    /// Checks whether the token may be sent over this stream. If TLS is configured, its handshake
    /// must have ended.
    pub(super) const fn check_for(&self, stream: &Stream) -> Result<(), ConfigError> {
        self.check(stream.is_private())
    }

    /// Returns the token for the next attempt, or the error of the application's function. Its panic
    /// and a token of a wrong length are its errors too.
    pub(super) async fn token(&self) -> Result<Option<Token>, BoxError> {
        let provide = match &self.source {
            Source::None => return Ok(None),
            Source::Fixed(token) => return Ok(Some(token.clone())),
            Source::Asked(provide) => provide,
        };
        let asked = match catch_unwind(AssertUnwindSafe(|| provide())) {
            Ok(asking) => AssertUnwindSafe(asking).catch_unwind().await,
            Err(panic) => Err(panic),
        };
        let token = match asked {
            Ok(token) => token?,
            Err(panic) => {
                let text =
                    format!("the function of `token_with` panicked: {}", panic_text(&*panic));
                return Err(text.into());
            }
        };
        // Not an error of the configuration: the function may return another token the next time.
        check_length(&token)?;
        Ok(Some(token))
    }
}

fn check_length(token: &Token) -> Result<(), ConfigError> {
    let length = token.expose().len();
    match (1..=MAX_TOKEN_LEN).contains(&length) {
        true => Ok(()),
        false => Err(ConfigError::TokenLength { length, limit: MAX_TOKEN_LEN }),
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Fixed(_) => "Fixed",
            Self::Asked(_) => "Asked",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{PeerAddr, memory_pair};

    /// A custom connector decides only at each connect whether its stream is private.
    #[test]
    fn whether_a_token_goes_is_up_to_the_stream() {
        let (here, there) = memory_pair(1);
        let (reader, writer) = there.into_parts();
        let far = Stream::new(reader, writer, PeerAddr::Memory(1));
        let mut credentials = Credentials::default();
        assert_eq!(credentials.check_for(&far), Ok(()));
        credentials.show(Token::from("swordfish"));
        assert_eq!(credentials.check_for(&here), Ok(()));
        assert_eq!(credentials.check_for(&far), Err(ConfigError::PlaintextToken));
        credentials.plaintext = true;
        assert_eq!(credentials.check_for(&far), Ok(()));
    }
}
