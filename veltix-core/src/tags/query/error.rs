//! [`ParseTargetError`]: why a text is no target.

use thiserror::Error;

use crate::error::TargetError;

/// Reports why a text is no target, and at which byte of the text. Returned by the
/// [`FromStr`](std::str::FromStr) of [`Target`](crate::Target).
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseTargetError {
    /// Something else stands where a part of the target should be.
    #[error("at byte {at}: expected {expected}, as in `room = lobby & !(level < 5 | muted)`")]
    Expected {
        /// Holds the position in bytes.
        at: usize,
        /// Describes the missing part.
        expected: &'static str,
    },
    /// A quoted text has no end.
    #[error("at byte {at}: the quoted text has no closing `\"`")]
    Unclosed {
        /// Holds the position of the opening quote in bytes.
        at: usize,
    },
    /// A quoted text has an escape that JSON does not know, or a control character.
    #[error(
        "at byte {at}: a quoted text has the escapes of JSON (`\\n`, `\\\"`, `\\u00e9`), and no control characters"
    )]
    Escape {
        /// Holds the position of the opening quote in bytes.
        at: usize,
    },
    /// A word begins like a number and is none, or is out of the range of numbers.
    #[error(
        "at byte {at}: this is no number of 64 bits: write a text that begins with a digit in quotes, as in `\"10.0.0.7\"`"
    )]
    Number {
        /// Holds the position in bytes.
        at: usize,
    },
    /// The text is nested too deep.
    #[error("at byte {at}: more than {limit} levels of `(` and `!`")]
    TooDeep {
        /// Holds the position in bytes of the first level beyond the limit.
        at: usize,
        /// Holds the limit.
        limit: usize,
    },
    /// The text is too long.
    #[error(
        "the text has {length} bytes, and {limit} are accepted: give the peers a tag, and use that tag"
    )]
    TooLong {
        /// Holds the length in bytes.
        length: usize,
        /// Holds the limit in bytes.
        limit: usize,
    },
    /// The parts are valid, and their combination is over a limit of targets.
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl ParseTargetError {
    /// Returns the position of the error, in bytes from the beginning of the text. It is 0 if the error concerns
    /// the whole text.
    #[must_use]
    pub const fn position(&self) -> usize {
        match self {
            Self::Expected { at, .. }
            | Self::Unclosed { at }
            | Self::Escape { at }
            | Self::Number { at }
            | Self::TooDeep { at, .. } => *at,
            Self::TooLong { .. } | Self::Target(_) => 0,
        }
    }
}
