//! [`SendError`]: a message that was not accepted for sending.

use thiserror::Error;
use veltix_core::{EncodeError, TargetError};

/// The reason why a message was not accepted for sending.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection has ended, or there is none at the moment.
    #[error(
        "the connection is closed, so the message was not sent: connect again, and send it then"
    )]
    Closed,
    /// The outbox of the peer is full.
    #[error(
        "the peer's outbox is full, since the peer reads too slowly: await `send` for room, or send less"
    )]
    Full,
    /// The message could not be encoded.
    #[error("the message could not be encoded")]
    Encode(#[from] EncodeError),
    /// The target cannot be used, so no peer received the message.
    #[error(transparent)]
    Target(#[from] TargetError),
}
