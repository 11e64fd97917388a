//! [`Refuse`].

use std::error::Error as StdError;

use crate::sync::text_of;

/// That a peer is not let in, and why: from [`Router::authenticate`](crate::Router::authenticate).
///
/// Any error becomes one by `?`, as by [`for_now`](Refuse::for_now): what goes wrong inside a server
/// is not told to strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refuse {
    reason: String,
    told: bool,
}

impl Refuse {
    /// For good: the peer is told the reason, cut to 128 characters, and then closed. A client of this
    /// crate gets it as [`HandshakeError::Refused`](veltix_core::HandshakeError::Refused) and does not
    /// reconnect; one in Python sees that its connect failed.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), told: true }
    }

    /// For now, since whoever could tell is out of reach, say: the peer is closed without a word, and a
    /// client that [reconnects](crate::Reconnect) tries again. The reason is for this side's log and
    /// events.
    #[must_use]
    pub fn for_now(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), told: false }
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the peer is told.
    pub(crate) const fn is_told(&self) -> bool {
        self.told
    }
}

impl<E: StdError + 'static> From<E> for Refuse {
    fn from(error: E) -> Self {
        Self::for_now(text_of(&error))
    }
}
