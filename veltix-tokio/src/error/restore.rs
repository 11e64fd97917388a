//! [`RestoreError`]: a message that a client cannot restore.

use thiserror::Error;
use veltix_core::EncodeError;

/// The reason why a message was not registered by [`Client::restore`](crate::Client::restore).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The list of messages is full.
    #[error(
        "a client restores at most {messages} messages of {bytes} bytes in all: remove some with `forget`, or send them in `on_connect`"
    )]
    Full {
        /// The largest number of messages.
        messages: usize,
        /// The largest number of their bytes.
        bytes: usize,
    },
    /// The message could not be encoded.
    #[error("the message could not be encoded")]
    Encode(#[from] EncodeError),
}
