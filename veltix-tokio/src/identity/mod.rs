//! Who a peer is, as the server's `authenticate` hook has found out in the handshake.

mod hook;
mod info;
mod refuse;

use std::ops::Deref;
use std::sync::Arc;

pub(crate) use hook::{Authenticate, AuthenticateError, Established, Hook};
pub use info::HandshakeInfo;
pub use refuse::Refuse;

/// Who the peer is, as an argument of a handler: what
/// [`Router::authenticate`](crate::Router::authenticate) found out, shared and not copied.
///
/// Without an identity of this type the message is rejected; as an `Option` the argument is `None`
/// then, for a router that also serves where nobody is asked.
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
