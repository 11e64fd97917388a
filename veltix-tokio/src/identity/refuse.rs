//! [`Refuse`]: the refusal of a peer, with its reason.

use std::error::Error as StdError;
use std::fmt;
use std::iter::successors;

use crate::error::BoxError;
use crate::sync::text_of;

/// The refusal of a peer and its reason, returned by
/// [`Router::authenticate`](crate::Router::authenticate) and by
/// [`on_connect`](crate::Router::on_connect).
///
/// The `?` operator converts any error into a refusal [for now](Refuse::for_now), so that internal
/// failures of a server are not disclosed to strangers, and a passing failure does not keep a client
/// from reconnecting.
///
/// On a client, `on_connect` refuses the server. After [`Refuse::new`] the client does not reconnect.
/// After any other failure of `on_connect` it follows its [`Reconnect`](crate::Reconnect).
///
/// ```
/// use veltix::{Peer, Refuse, Router};
///
/// #[veltix::message]
/// enum Account {
///     #[message(code = 200, reply = Status)]
///     Open { user: String },
///     #[message(code = 201)]
///     Status { is_locked: bool },
/// }
///
/// async fn open(server: Peer) -> Result<(), Refuse> {
///     // A timeout is a passing failure, and the client reconnects.
///     let status = server.request(&Open { user: "ann".to_owned() }).await?;
///     match status.is_locked {
///         false => Ok(()),
///         true => Err(Refuse::new("the account is locked")),
///     }
/// }
///
/// let router: Router = Router::new().on_connect(open);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refuse {
    reason: String,
    is_disclosed: bool,
}

impl Refuse {
    /// Creates a final refusal.
    ///
    /// Returned by `authenticate`, the peer receives the reason, cut to 128 characters, and is then
    /// disconnected. A client of this crate gets it as
    /// [`HandshakeError::Refused`](veltix_core::HandshakeError::Refused) and does not reconnect. A
    /// client in Python sees that its connect failed. Returned by the `on_connect` of a client, the
    /// client does not reconnect.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_disclosed: true }
    }

    /// Creates a passing refusal, for example while the user database is unreachable. The peer is
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

    /// Returns whether an error of `on_connect` is, or has as a cause, a final refusal.
    pub(crate) fn is_final(error: &(dyn StdError + 'static)) -> bool {
        let mut causes = successors(Some(error), |error| (*error).source());
        causes.any(|it| it.downcast_ref::<Refusal>().is_some_and(|it| it.0.is_disclosed))
    }
}

/// A refusal as an error. [`Refuse`] itself is none, since any error converts into it.
#[derive(Debug)]
struct Refusal(Refuse);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.reason)
    }
}

impl StdError for Refusal {}

/// For an `on_connect` that returns `Result<(), Refuse>`, or a [`BoxError`] of a refusal.
impl From<Refuse> for BoxError {
    fn from(refuse: Refuse) -> Self {
        Box::new(Refusal(refuse))
    }
}

impl<E: StdError + 'static> From<E> for Refuse {
    fn from(error: E) -> Self {
        Self::for_now(text_of(&error))
    }
}
