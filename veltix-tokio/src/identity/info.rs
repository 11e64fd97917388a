//! [`HandshakeInfo`]: the input of the `authenticate` hook.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use veltix_core::{Hello, Token};

use super::Refuse;
#[cfg(feature = "__tls")]
use crate::tls::TlsInfo;
use crate::transport::{Link, PeerAddr};

/// The information that a server has about a peer in its handshake, for
/// [`Router::authenticate`](crate::Router::authenticate).
///
/// Except for the address and the certificates that TLS has verified, all of it is claimed by the
/// peer.
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

    /// Returns the address of the peer.
    #[must_use]
    pub const fn addr(&self) -> &PeerAddr {
        &self.addr
    }

    /// Returns the version of the peer's package. It comes from the peer: escape it before it is
    /// logged.
    #[must_use]
    pub fn version(&self) -> &str {
        self.hello.version()
    }

    /// Returns the other values of the peer's hello, see [`Hello::meta`]. The token is not
    /// included.
    #[must_use]
    pub fn meta(&self) -> &Map<String, Value> {
        self.hello.meta()
    }

    /// Returns whether the peer uses this crate. Other peers, for example in Python, cannot send a
    /// token.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.hello.is_native()
    }

    /// Returns the token of [`ClientConfig::token`](crate::ClientConfig::token); `None` from a
    /// client without a token, for example one in Python.
    #[must_use]
    pub const fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Returns the token, for servers that require one.
    ///
    /// # Errors
    /// A [`Refuse`] with the reason that the token is missing.
    pub fn require_token(&self) -> Result<&Token, Refuse> {
        self.token()
            .ok_or_else(|| Refuse::new("this server requires a token; set one on the client"))
    }

    /// Returns the TLS parameters of the connection and the peer's certificates; `None` without
    /// TLS.
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
