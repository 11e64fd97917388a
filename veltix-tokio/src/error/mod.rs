//! The errors of the IO side: one enum per operation. Each text says what to do.

mod bind;
mod config;
mod connect;
mod convert;
mod request;
mod restore;
mod send;
mod serve;
mod take_over;
mod tls;

use std::error::Error as StdError;
use std::fmt;
use std::io;

use thiserror::Error;
use veltix_core::{BodyError, EncodeError, TargetError};

pub use bind::BindError;
pub use config::ConfigError;
pub use connect::{ConnectError, NotConnected};
pub use convert::{FromErrors, from_error};
pub use request::RequestError;
pub use restore::RestoreError;
pub use send::SendError;
pub use serve::ServeError;
pub use take_over::TakeOverError;
pub use tls::{CertificateProblem, TlsConfigError, TlsError};

/// Any error that a handler may return.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Any error of this crate, for a `main` that returns one. Its `{:?}` output, which Rust prints
/// when `main` fails, is its text and its causes.
#[derive(Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of [`Server::bind`](crate::Server::bind).
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An error of [`Server::run`](crate::Server::run).
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// An error of [`Client::connect`](crate::Client::connect).
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// An error of [`Client::connected`](crate::Client::connected).
    #[error(transparent)]
    NotConnected(#[from] NotConnected),
    /// An error of [`Client::restore`](crate::Client::restore).
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// An error of a `send`.
    #[error(transparent)]
    Send(#[from] SendError),
    /// An error of a `request` or a `ping`. The peer's own error is a text here.
    #[error(transparent)]
    Request(RequestError<String>),
    /// An error of reading or writing a body.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// An error of encoding a message.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// An error of [`Peer::take_over`](crate::Peer::take_over).
    #[error(transparent)]
    TakeOver(#[from] TakeOverError),
    /// An error of a tag.
    #[error(transparent)]
    Tag(#[from] veltix_core::TagError),
    /// An error of a target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// An error of certificates, keys and roots for TLS.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// An error of the engine of a cluster, before the server runs.
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Cluster(BoxError),
    /// An IO error of the standard library, for examples and tests that read and write files or
    /// streams as well.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<E: fmt::Debug> From<RequestError<E>> for Error {
    fn from(error: RequestError<E>) -> Self {
        Self::Request(error.map_remote(|remote| format!("{remote:?}")))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
