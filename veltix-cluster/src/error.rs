//! The errors of an engine.

use thiserror::Error;

/// The reason why an engine could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The engine runs already.
    #[error("the engine runs already: each server needs an engine of its own")]
    Running,
    /// The broker is away.
    #[error("the broker cannot be reached: {0}")]
    Offline(Box<dyn std::error::Error + Send + Sync>),
}

/// The reason why a batch was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The broker is away.
    #[error("the broker is away")]
    Offline,
    /// The batch is larger than the engine takes.
    #[error("the batch of {size} bytes is over the engine's limit of {limit}")]
    TooLarge {
        /// The size of the batch.
        size: usize,
        /// The engine's limit.
        limit: usize,
    },
}
