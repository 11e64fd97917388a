//! [`Credentials`]: by what a client shows who it is, and where that may go.

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

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    source: Source,
    /// A token may also go over a network without TLS.
    pub(super) plaintext: bool,
}

/// Where the token comes from.
#[derive(Clone, Default)]
enum Source {
    #[default]
    None,
    Fixed(Token),
    /// Asked before each attempt to connect.
    Asked(Arc<dyn Fn() -> Asking + Send + Sync>),
}

/// A token, in a while.
type Asking = Pin<Box<dyn Future<Output = Result<Token, BoxError>> + Send>>;

/// Why there is no token to show.
#[derive(Debug)]
pub(super) enum NoToken {
    Config(ConfigError),
    /// The application's function says so.
    Asked(BoxError),
}

impl Credentials {
    /// Shows this token each time.
    pub(super) fn show(&mut self, token: Token) {
        self.source = Source::Fixed(token);
    }

    /// Asks for a token each time.
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

    /// Whether a token that is known already can be one.
    pub(super) fn check_length(&self) -> Result<(), ConfigError> {
        match &self.source {
            Source::Fixed(token) => check_length(token),
            Source::None | Source::Asked(_) => Ok(()),
        }
    }

    /// Whether the token may go over a network, with TLS or without.
    pub(super) const fn check(&self, has_tls: bool) -> Result<(), ConfigError> {
        if !matches!(self.source, Source::None) && !has_tls && !self.plaintext {
            return Err(ConfigError::PlaintextToken);
        }
        Ok(())
    }

    /// Whether it may go to whoever is at the other end, once TLS is there if it is to be.
    pub(super) const fn check_for(&self, stream: &Stream) -> Result<(), ConfigError> {
        self.check(stream.is_private())
    }

    /// The token for the next attempt. A panic of the application's function is its error.
    pub(super) async fn token(&self) -> Result<Option<Token>, NoToken> {
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
            Ok(token) => token.map_err(NoToken::Asked)?,
            Err(panic) => {
                let text = format!("its function panicked: {}", panic_text(&*panic));
                return Err(NoToken::Asked(text.into()));
            }
        };
        check_length(&token).map_err(NoToken::Config)?;
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

    /// By a connector of one's own, whose streams are not known before it has connected.
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
