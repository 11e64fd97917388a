//! [`Outcome`]: the result of a handler.

use std::fmt;

use super::extract::Rejection;
use super::reply::Reply;
use crate::error::BoxError;

/// The result of a handler.
///
/// It is moved for every message, so the rare variant is behind a pointer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler sends no reply.
    Silent,
    /// The handler sends this reply.
    Reply(Reply),
    /// The handler failed.
    Failure(Box<Failure>),
}

impl Outcome {
    /// Returns the outcome of a handler that was not called, because an argument was rejected.
    pub(crate) fn rejected(rejection: Rejection) -> Self {
        Failure::Rejected(rejection).into()
    }

    /// Returns the outcome of a handler that returned an error.
    pub(crate) fn failed(error: impl Into<BoxError>) -> Self {
        Failure::Failed(error.into()).into()
    }
}

impl From<Failure> for Outcome {
    #[cold]
    fn from(failure: Failure) -> Self {
        Self::Failure(Box::new(failure))
    }
}

/// The failure of a handler.
#[non_exhaustive]
pub enum Failure {
    /// An argument could not be made, or a layer rejected the message. The sender receives the error that
    /// its message declares, if any.
    Rejected(Rejection),
    /// The handler returned an error that its message does not declare.
    Failed(BoxError),
    /// The handler panicked, with this text.
    Panicked(String),
    /// No handler takes the message.
    Unclaimed,
    /// The stream that takes the message is full and not read.
    Unread,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => f.debug_tuple("Rejected").field(rejection).finish(),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            Self::Panicked(message) => f.debug_tuple("Panicked").field(message).finish(),
            Self::Unclaimed => f.write_str("Unclaimed"),
            Self::Unread => f.write_str("Unread"),
        }
    }
}
