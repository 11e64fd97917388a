//! The identity of a peer, as the server's `authenticate` hook has established it in the handshake.

mod hook;
mod info;
mod refuse;

use std::ops::Deref;
use std::sync::Arc;

pub(crate) use hook::{Authenticate, AuthenticateError, Established, Hook};
pub use info::HandshakeInfo;
pub use refuse::Refuse;

/// The identity of the peer as an argument of a handler. It is the value that
/// [`Router::authenticate`](crate::Router::authenticate) has returned, shared and not copied.
///
/// Without an identity of this type the message is rejected. An `Option` of it is `None` in that
/// case, for routers that also run without an `authenticate` hook.
///
/// ```
/// use veltix::{HandshakeInfo, Identity, Refuse, Router};
///
/// struct User {
///     name: String,
/// }
///
/// async fn authenticate(info: HandshakeInfo) -> Result<User, Refuse> {
///     match info.require_token()?.is("swordfish") {
///         true => Ok(User { name: "ann".to_owned() }),
///         false => Err(Refuse::new("the token is wrong")),
///     }
/// }
///
/// async fn whoami(user: Identity<User>) -> String {
///     user.name.clone()
/// }
///
/// let router: Router = Router::new().authenticate(authenticate).fallback(whoami);
/// ```
#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is taken apart in arguments")]
pub struct Identity<I>(pub Arc<I>);

impl<I> Clone for Identity<I> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I> Deref for Identity<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.0
    }
}
