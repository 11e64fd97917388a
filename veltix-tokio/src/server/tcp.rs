//! [`Tcp`]: a TCP listener of a server.

use std::sync::Arc;

use super::config::ServerConfig;
use super::listening::{IntoListener, Listening};
use crate::error::BindError;
#[cfg(feature = "__tls")]
use crate::tls::ServerTls;
use crate::transport::{PeerAddr, Resolver, TcpAcceptor, TcpOptions};

/// A bound TCP listener, for [`Server::also_listen`](crate::Server::also_listen).
///
/// A name is bound on all of its addresses: `localhost` is 127.0.0.1 and, on most systems, ::1. With
/// port 0 all of them get the same port. If this system does not support a family of addresses, its
/// addresses are left out.
///
/// ```no_run
/// # #[cfg(feature = "tls")]
/// # async fn f(tls: veltix::tls::ServerTls) -> veltix::Result<()> {
/// use veltix::transport::Tcp;
/// use veltix::{Router, Server, ServerConfig};
///
/// // TLS for all machines, and no TLS for peers on this one.
/// let config = ServerConfig::default().addr("0.0.0.0:8443").tls(tls);
/// let server = Server::bind(config, Router::new())
///     .await?
///     .also_listen(Tcp::bind("127.0.0.1:8080").await?.label("local"))?;
/// server.run().await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it accepts no connections before a server runs with it"]
pub struct Tcp(Listening);

impl Tcp {
    /// Binds an address, as `host:port`. With port 0 the system chooses a port. The system accepts
    /// connections from now on, and a server serves them once it runs with this listener.
    ///
    /// # Errors
    /// [`BindError::AddressInUse`] if another socket has one of the addresses. [`BindError::Io`].
    pub async fn bind(addr: impl AsRef<str>) -> Result<Self, BindError> {
        // The server that takes the listener sets its own options.
        let options = ServerConfig::default().connection.tcp_options();
        Self::bind_with(addr.as_ref(), options).await
    }

    pub(super) async fn bind_with(addr: &str, options: TcpOptions) -> Result<Self, BindError> {
        let acceptors = TcpAcceptor::bind(&Resolver::System, addr, options).await?;
        Ok(Self(Listening::tcp(acceptors)))
    }

    /// Serves over TLS only: see [`Listening::tls`].
    #[cfg(feature = "__tls")]
    pub fn tls(self, tls: ServerTls) -> Self {
        Self(self.0.tls(tls))
    }

    /// Sets a name of this listener for events and logs. Default: none.
    pub fn label(self, label: impl Into<Arc<str>>) -> Self {
        Self(self.0.label(label))
    }

    /// Returns the addresses on which the listener is bound, with the port that the system chose.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<PeerAddr> {
        self.0.local_addrs()
    }
}

impl IntoListener for Tcp {
    fn into_listener(self) -> Listening {
        self.0
    }
}
