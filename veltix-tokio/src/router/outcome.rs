//! [`Outcome`]: how a handler ended.

use std::fmt;

use super::extract::Rejection;
use super::reply::Reply;
use crate::error::BoxError;

/// How a handler ended.
///
/// It is moved for every message, so what is rare in it is behind a pointer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It has nothing to say.
    Silent,
    /// It answers.
    Reply(Reply),
    /// It has not done its work.
    Failure(Box<Failure>),
}

impl Outcome {
    /// It was not called.
    pub(crate) fn rejected(rejection: Rejection) -> Self {
        Failure::Rejected(rejection, None).into()
    }

    /// It returned an error.
    pub(crate) fn failed(error: impl Into<BoxError>) -> Self {
        Failure::Failed(error.into(), None).into()
    }
}

impl From<Failure> for Outcome {
    #[cold]
    fn from(failure: Failure) -> Self {
        Self::Failure(Box::new(failure))
    }
}

/// How a handler did not do its work.
#[non_exhaustive]
pub enum Failure {
    /// One of its arguments could not be made; it was not called. The sender is told if its
    /// message says how.
    Rejected(Rejection, Option<Reply>),
    /// It returned an error. The sender is told if its message says how.
    Failed(BoxError, Option<Reply>),
    /// It panicked, with this text.
    Panicked(String),
    /// Nobody wants the message.
    Unclaimed,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection, _) => f.debug_tuple("Rejected").field(rejection).finish(),
            Self::Failed(error, _) => f.debug_tuple("Failed").field(error).finish(),
            Self::Panicked(message) => f.debug_tuple("Panicked").field(message).finish(),
            Self::Unclaimed => f.write_str("Unclaimed"),
        }
    }
}
