//! [`Login`]: the means by which a node shows a NATS server who it is.

use std::fmt;
#[cfg(feature = "nats-nkeys")]
use std::path::PathBuf;

use async_nats::ConnectOptions;

use crate::error::ConnectError;

/// A login at a NATS server.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    Password(String, String),
    Token(String),
    #[cfg(feature = "nats-nkeys")]
    Nkey(String),
    #[cfg(feature = "nats-nkeys")]
    Credentials(String),
    #[cfg(feature = "nats-nkeys")]
    CredentialsFile(PathBuf),
}

impl Login {
    /// Returns the login with the content of its file.
    #[cfg_attr(
        not(feature = "nats-nkeys"),
        allow(clippy::unused_async, reason = "no login has a file")
    )]
    pub(super) async fn loaded(self) -> Result<Self, ConnectError> {
        match self {
            #[cfg(feature = "nats-nkeys")]
            Self::CredentialsFile(path) => {
                let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
                let text = read.map_err(|error| ConnectError::Credentials(Box::new(error)))?;
                text.map(Self::Credentials)
                    .map_err(|error| ConnectError::Credentials(Box::new(error)))
            }
            login => Ok(login),
        }
    }

    /// Adds the login, whose file was loaded, to the options of the client.
    pub(super) fn add_to(&self, options: ConnectOptions) -> Result<ConnectOptions, ConnectError> {
        Ok(match self {
            Self::Password(user, password) => {
                options.user_and_password(user.clone(), password.clone())
            }
            Self::Token(token) => options.token(token.clone()),
            #[cfg(feature = "nats-nkeys")]
            Self::Nkey(seed) => options.nkey(seed.clone()),
            #[cfg(feature = "nats-nkeys")]
            Self::Credentials(text) => options
                .credentials(text)
                .map_err(|error| ConnectError::Credentials(Box::new(error)))?,
            #[cfg(feature = "nats-nkeys")]
            Self::CredentialsFile(_) => options,
        })
    }
}

impl fmt::Debug for Login {
    /// Omits what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}
