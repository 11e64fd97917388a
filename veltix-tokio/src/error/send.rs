//! [`SendError`]: a message that was not accepted for sending.

use thiserror::Error;
use veltix_core::{EncodeError, TargetError};

/// The reason why a message was not accepted for sending.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection or, for a broadcast, the server has ended, or there is no connection at the
    /// moment.
    #[error(
        "the connection is closed or the server has ended, so the message was not sent: connect again, and send it then"
    )]
    Closed,
    /// The outbox of the peer is full.
    #[error(
        "the peer's outbox is full, since the peer reads too slowly: await `send` for room, or send less"
    )]
    Full,
    /// A plain handler waited for room in the peer's outbox. It holds a task that writes, so there may
    /// never be room.
    #[error(
        "the peer's outbox is full, and a plain handler cannot wait for room: use `try_send`, `on_blocking` or `route_blocking`, or an async handler"
    )]
    InPlainHandler,
    /// The message could not be encoded.
    #[error("the message could not be encoded")]
    Encode(#[from] EncodeError),
    /// The target cannot be used, so no peer received the message.
    #[error(transparent)]
    Target(#[from] TargetError),
}
