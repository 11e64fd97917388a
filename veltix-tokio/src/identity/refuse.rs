//! [`Refuse`]: the refusal of a peer, with its reason.

use std::error::Error as StdError;

use crate::sync::text_of;

/// The refusal of a peer and its reason, returned by
/// [`Router::authenticate`](crate::Router::authenticate).
///
/// The `?` operator converts any error into a refusal [for now](Refuse::for_now), so that internal
/// failures of a server are not disclosed to strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refuse {
    reason: String,
    is_disclosed: bool,
}

impl Refuse {
    /// Creates a permanent refusal. The peer receives the reason, cut to 128 characters, and is
    /// then disconnected. A client of this crate gets it as
    /// [`HandshakeError::Refused`](veltix_core::HandshakeError::Refused) and does not reconnect. A
    /// client in Python sees that its connect failed.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_disclosed: true }
    }

    /// Creates a temporary refusal, for example while the user database is unreachable. The peer is
    /// disconnected without a reason, and a client that [reconnects](crate::Reconnect) tries again.
    /// The reason appears in the log and the events of this side.
    #[must_use]
    pub fn for_now(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_disclosed: false }
    }

    /// Returns the reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns whether the peer receives the reason.
    pub(crate) const fn is_disclosed(&self) -> bool {
        self.is_disclosed
    }
}

impl<E: StdError + 'static> From<E> for Refuse {
    fn from(error: E) -> Self {
        Self::for_now(text_of(&error))
    }
}
