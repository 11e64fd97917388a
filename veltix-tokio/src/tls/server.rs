//! [`ServerTls`]: TLS of a server.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ServerConfig, ServerConnection};
use veltix_core::limits::FAR_FUTURE;

use super::TlsHandshakeError;
use super::failure::setup;
use super::handshake::{self, Side};
use super::provider::provider;
use super::{ALPN, Certificate, CertificateStore, Roots, TlsConfigError, TlsError};
use crate::transport::Stream;

/// The TLS settings of a server: the certificate that it shows, and whether it asks its clients for
/// certificates.
///
/// The certificate can be replaced while the server runs: see [`CertificateStore`].
///
/// ```no_run
/// # async fn f() -> veltix::Result<()> {
/// use veltix::tls::{Roots, ServerTls};
/// use veltix::{Router, Server, ServerConfig};
///
/// let tls = ServerTls::from_pem_files("chain.pem", "key.pem")?
///     .require_client_certificates(Roots::from_pem_file("clients.pem")?)?;
/// let config = ServerConfig::default().addr("0.0.0.0:8443").tls(tls);
/// Server::bind(config, Router::new()).await?.run().await
/// # }
/// ```
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    /// `None` for a rustls config of the application, which finds certificates by itself.
    certificates: Option<CertificateStore>,
    /// True if clients without a certificate are refused. A config of the application may refuse
    /// them too; this field does not know about that.
    requires: bool,
}

impl ServerTls {
    /// Shows this certificate, or the store's current one. Clients need no certificate.
    ///
    /// # Errors
    /// Returns [`TlsConfigError::Setup`] if the application's own cryptography supports neither TLS
    /// 1.2 nor 1.3.
    pub fn new(certificates: impl Into<CertificateStore>) -> Result<Self, TlsConfigError> {
        Self::build(certificates.into(), Arc::new(NoClientAuth))
    }

    /// Shows a certificate from files, like [`new`](Self::new): see
    /// [`Certificate::from_pem_files`].
    ///
    /// # Errors
    /// Returns the errors of both.
    pub fn from_pem_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsConfigError> {
        Self::new(Certificate::from_pem_files(chain, key)?)
    }

    /// Shows a certificate from PEM in memory, like [`new`](Self::new): see
    /// [`Certificate::from_pem`].
    ///
    /// # Errors
    /// Returns the errors of both.
    pub fn from_pem(
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsConfigError> {
        Self::new(Certificate::from_pem(chain, key)?)
    }

    /// Uses a complete rustls config, for settings that this type does not offer: several
    /// certificates by name, revocation lists, other cryptography. It is used unchanged, except
    /// that an empty list of ALPN protocols is set to `veltix/1`.
    #[must_use]
    pub fn with_config(config: impl Into<Arc<ServerConfig>>) -> Self {
        let mut config = config.into();
        if config.alpn_protocols.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols.push(ALPN.to_vec());
        }
        Self { config, certificates: None, requires: false }
    }

    /// Accepts only clients that show a certificate issued by one of these roots: see
    /// [`PeerCertificates`](super::PeerCertificates).
    ///
    /// Certificates are verified in each handshake, so sessions are not resumed: an expired
    /// certificate is refused even if its client was accepted before. An established connection
    /// continues.
    ///
    /// # Errors
    /// Returns [`TlsConfigError::NoRoots`], or [`TlsConfigError::Setup`] if the settings were made
    /// by [`with_config`](Self::with_config): such a config determines the accepted clients itself.
    pub fn require_client_certificates(self, roots: Roots) -> Result<Self, TlsConfigError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.store()?, provider());
        self.verifying(verifier.build().map_err(setup)?)
    }

    /// Verifies the certificate of a client that has one, and also accepts clients without a
    /// certificate. A certificate that is shown must be issued by one of these roots. Everything
    /// else is as with [`require_client_certificates`](Self::require_client_certificates).
    ///
    /// # Errors
    /// Returns the errors of that method.
    pub fn accept_client_certificates(self, roots: Roots) -> Result<Self, TlsConfigError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.store()?, provider());
        self.verifying(verifier.allow_unauthenticated().build().map_err(setup)?)
    }

    fn verifying(self, verifier: Arc<dyn ClientCertVerifier>) -> Result<Self, TlsConfigError> {
        let Some(certificates) = self.certificates else {
            return Err(setup("a config of rustls says itself whom it accepts"));
        };
        Self::build(certificates, verifier)
    }

    fn build(
        certificates: CertificateStore,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, TlsConfigError> {
        let asks = verifier.offer_client_auth();
        let requires = asks && verifier.client_auth_mandatory();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(setup)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(certificates.clone()));
        config.alpn_protocols.push(ALPN.to_vec());
        if asks {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self { config: Arc::new(config), certificates: Some(certificates), requires })
    }

    /// Returns whether clients need a certificate that the server accepts.
    pub(crate) const fn requires_certificates(&self) -> bool {
        self.requires
    }

    /// Performs the TLS handshake as the server on a stream of your own, for example of a proxy or
    /// a test. A [`Server`] does so by itself.
    ///
    /// The handshake has no deadline of its own; the caller must set one.
    ///
    /// # Errors
    /// Returns the error of the stream, or a [`TlsError`] inside an IO error.
    ///
    /// # Cancel safety
    /// Dropping the future closes the stream.
    ///
    /// [`Server`]: crate::Server
    pub async fn accept(&self, mut stream: Stream) -> io::Result<Stream> {
        self.shake_hands(&mut stream, FAR_FUTURE).await?;
        Ok(stream)
    }

    /// Performs the handshake with a client. `limit` is the time of the whole handshake; the caller
    /// enforces it.
    pub(crate) async fn shake_hands(
        &self,
        stream: &mut Stream,
        limit: Duration,
    ) -> Result<(), TlsHandshakeError> {
        let connection = ServerConnection::new(Arc::clone(&self.config)).map_err(TlsError::from)?;
        handshake::run(stream, connection.into(), Side::Server { limit }).await
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificates = &self.certificates;
        f.debug_struct("ServerTls").field("certificates", certificates).finish_non_exhaustive()
    }
}
