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
    /// A newer connection of the same user has taken over from this one, which it closes.
    #[error("a newer connection of the same user has taken over from this one, which is closed")]
    TakenOver,
    /// A plain handler waited for the end of the older connections. It holds the task of its connection, and
    /// may hold theirs. They were not closed.
    #[error(
        "a plain handler cannot wait for the end of older connections, since it holds the task of its own: use an async handler"
    )]
    InPlainHandler,
    /// The message to the older connections could not be encoded. They were not closed.
    #[error("the message to the older connection could not be encoded")]
    Encode(#[from] EncodeError),
}
