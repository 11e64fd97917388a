//! [`TakeOverError`]: a connection that could not take over.

use thiserror::Error;
use veltix_core::EncodeError;

/// The reason why a connection could not take over.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TakeOverError {
    /// The peer has no identity of this type.
    #[error(
        "the peer has no identity of type `{name}`, so it is nobody's session: let `Router::authenticate` give one"
    )]
    NoIdentity {
        /// The name of the type.
        name: &'static str,
    },
    /// The message to the older connections could not be encoded. They were not closed.
    #[error("the message to the older connection could not be encoded")]
    Encode(#[from] EncodeError),
}
