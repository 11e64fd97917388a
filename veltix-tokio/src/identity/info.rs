//! [`HandshakeInfo`].

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use veltix_core::{Hello, Token};

use super::Refuse;
#[cfg(feature = "__tls")]
use crate::tls::TlsInfo;
use crate::transport::{Link, PeerAddr};

/// What a server knows of a peer in its handshake, for
/// [`Router::authenticate`](crate::Router::authenticate).
///
/// But for the address and what TLS has checked, it is what the peer says of itself.
pub struct HandshakeInfo {
    addr: PeerAddr,
    hello: Arc<Hello>,
    token: Option<Token>,
    #[cfg(feature = "__tls")]
    tls: Option<Arc<TlsInfo>>,
}

impl HandshakeInfo {
    pub(crate) fn new(link: &Link, hello: Arc<Hello>, token: Option<Token>) -> Self {
        Self {
            addr: link.addr.clone(),
            hello,
            token,
            #[cfg(feature = "__tls")]
            tls: link.tls.clone(),
        }
    }

    /// The address of the other end.
    #[must_use]
    pub const fn addr(&self) -> &PeerAddr {
        &self.addr
    }

    /// The version of the peer's package. It comes from the peer: escape it before it is logged.
    #[must_use]
    pub fn version(&self) -> &str {
        self.hello.version()
    }

    /// What else the peer said, as [`Hello::meta`]; the token is not in it.
    #[must_use]
    pub fn meta(&self) -> &Map<String, Value> {
        self.hello.meta()
    }

    /// Whether the peer is one of this crate. Others, Python's among them, cannot show a token.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.hello.is_native()
    }

    /// The token of [`ClientConfig::token`](crate::ClientConfig::token); `None` from a client that has
    /// none, such as one in Python.
    #[must_use]
    pub const fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// The token, where nobody is let in without one.
    ///
    /// # Errors
    /// A [`Refuse`] that says so.
    pub fn require_token(&self) -> Result<&Token, Refuse> {
        self.token().ok_or_else(|| Refuse::new("this server lets nobody in without a token"))
    }

    /// What is known of the connection's TLS, the peer's certificates with it; `None` without TLS.
    #[cfg(feature = "__tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }
}

impl fmt::Debug for HandshakeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeInfo")
            .field("addr", &self.addr)
            .field("hello", &self.hello)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
