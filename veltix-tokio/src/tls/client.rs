//! [`ClientTls`]: TLS of a client.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::TlsHandshakeError;
use super::failure::setup;
use super::handshake::{self, Side};
use super::provider::provider;
use super::{ALPN, CertificateStore, Roots, TlsConfigError, TlsError};
use crate::error::ConfigError;
use crate::transport::Stream;

/// The TLS settings of a client: the servers that it accepts, and the certificate that it shows if
/// a server asks for one.
///
/// The server's certificate must have the name that the application gave: the host of
/// [`ClientConfig::addr`](crate::ClientConfig::addr), which is a name or an IP address, or the name
/// set by [`server_name`](Self::server_name). A name from DNS is never used.
///
/// ```no_run
/// # async fn f() -> veltix::Result<()> {
/// use veltix::tls::{ClientTls, Roots};
/// use veltix::{Client, ClientConfig, Router};
///
/// let tls = ClientTls::new(Roots::from_pem_file("roots.pem")?)?;
/// let config = ClientConfig::default().addr("chat.example.org:8443").tls(tls);
/// let client = Client::connect(config, Router::new()).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<String>,
}

impl ClientTls {
    /// Accepts servers whose certificates are issued by these roots.
    ///
    /// # Errors
    /// Returns [`TlsConfigError::NoRoots`], or [`TlsConfigError::Setup`] if the application's own
    /// cryptography supports neither TLS 1.2 nor 1.3.
    pub fn new(roots: Roots) -> Result<Self, TlsConfigError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(setup)?
            .with_root_certificates(roots.store()?)
            .with_no_client_auth();
        Ok(Self::with_config(config))
    }

    /// Accepts servers that the operating system accepts, by its own roots and rules.
    ///
    /// # Errors
    /// Returns [`TlsConfigError::Setup`], for example if the system has no roots.
    #[cfg(feature = "tls-platform-verifier")]
    pub fn platform() -> Result<Self, TlsConfigError> {
        use rustls_platform_verifier::BuilderVerifierExt;

        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(setup)?
            .with_platform_verifier()
            .map_err(setup)?
            .with_no_client_auth();
        Ok(Self::with_config(config))
    }

    /// Uses a complete rustls config, for settings that this type does not offer: a verifier of
    /// your own, other cryptography. It is used unchanged, except that an empty list of ALPN
    /// protocols is set to `veltix/1`.
    #[must_use]
    pub fn with_config(config: impl Into<Arc<ClientConfig>>) -> Self {
        let mut config = config.into();
        if config.alpn_protocols.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols.push(ALPN.to_vec());
        }
        Self { config, server_name: None }
    }

    /// Sets the name, or IP address, that the server's certificate must have. Default: the host of
    /// the address to which the client connects. It is required over a transport without an
    /// address, which is a Unix socket or a transport of your own.
    ///
    /// If the name is neither a DNS name nor an IP address, connecting fails with
    /// [`ConfigError::ServerName`].
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Shows this certificate to a server that asks for one. With a [`CertificateStore`], each
    /// reconnect shows the store's current certificate.
    #[must_use]
    pub fn certificate(mut self, certificates: impl Into<CertificateStore>) -> Self {
        let resolver = Arc::new(certificates.into());
        Arc::make_mut(&mut self.config).client_auth_cert_resolver = resolver;
        self
    }

    /// Performs the TLS handshake as the client on a stream of your own, for example of a proxy or
    /// a test. A [`Client`] does so by itself. [`server_name`](Self::server_name) sets the server's
    /// name.
    ///
    /// The handshake has no deadline of its own; the caller must set one.
    ///
    /// # Errors
    /// Returns the error of the stream, or a [`TlsError`] inside an IO error. Without a server name
    /// it returns a [`ConfigError`] in the same way.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    ///
    /// [`Client`]: crate::Client
    pub async fn connect(&self, mut stream: Stream) -> io::Result<Stream> {
        self.dial(None).map_err(io::Error::other)?.shake_hands(&mut stream).await?;
        Ok(stream)
    }

    /// Returns the TLS of a connection, for a client of this address, if it has one.
    pub(crate) fn dial(&self, addr: Option<&str>) -> Result<Dial, ConfigError> {
        let name = match (&self.server_name, addr) {
            (Some(name), _) => name.as_str(),
            (None, Some(addr)) => host(addr),
            (None, None) => return Err(ConfigError::NoServerName),
        };
        match ServerName::try_from(name) {
            Ok(name) => Ok(Dial { config: Arc::clone(&self.config), name: name.to_owned() }),
            Err(_) => Err(ConfigError::ServerName { name: name.to_owned() }),
        }
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// Returns the host of `host:port`, without the brackets of an IPv6 address.
fn host(addr: &str) -> &str {
    let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The TLS of a client with the name that it verifies, for each connection of that client.
#[derive(Clone)]
pub(crate) struct Dial {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Dial {
    /// Performs the handshake with the server. The caller sets the deadline.
    pub(crate) async fn shake_hands(&self, stream: &mut Stream) -> Result<(), TlsHandshakeError> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let connection = connection.map_err(TlsError::from)?;
        handshake::run(stream, connection.into(), Side::Client).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_host_that_the_user_gave() {
        for (addr, expected) in [
            ("example.org:8443", "example.org"),
            ("127.0.0.1:8443", "127.0.0.1"),
            ("[::1]:8443", "::1"),
            ("example.org", "example.org"),
        ] {
            assert_eq!(host(addr), expected);
        }
    }
}
