//! [`ServerTls`]: a server's side of TLS.

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

/// TLS of a server: the certificate that it shows, and whether it wants one of its clients.
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
    /// `None` for a config of the application's, which has its own way to certificates.
    certificates: Option<CertificateStore>,
    /// Nobody gets in without a certificate, as far as that is known here.
    requires: bool,
}

impl ServerTls {
    /// Shows this certificate, or the one that the store has at the time. Clients need none.
    ///
    /// # Errors
    /// [`TlsConfigError::Setup`] when the application's own cryptography speaks neither TLS 1.2 nor
    /// 1.3.
    pub fn new(certificates: impl Into<CertificateStore>) -> Result<Self, TlsConfigError> {
        Self::build(certificates.into(), Arc::new(NoClientAuth))
    }

    /// The same, with a certificate from files: see [`Certificate::from_pem_files`].
    ///
    /// # Errors
    /// As there, and as [`new`](Self::new).
    pub fn from_pem_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsConfigError> {
        Self::new(Certificate::from_pem_files(chain, key)?)
    }

    /// The same, with a certificate from PEM in memory: see [`Certificate::from_pem`].
    ///
    /// # Errors
    /// As there, and as [`new`](Self::new).
    pub fn from_pem(
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsConfigError> {
        Self::new(Certificate::from_pem(chain, key)?)
    }

    /// A whole config of rustls, for what is not here: several certificates by name, revocation
    /// lists, other cryptography. It is used as it is, but for an empty list of ALPN protocols, which
    /// gets `veltix/1`.
    #[must_use]
    pub fn with_config(config: impl Into<Arc<ServerConfig>>) -> Self {
        let mut config = config.into();
        if config.alpn_protocols.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols.push(ALPN.to_vec());
        }
        Self { config, certificates: None, requires: false }
    }

    /// Serves only clients that show a certificate by one of these roots: see
    /// [`PeerCertificates`](super::PeerCertificates).
    ///
    /// Certificates are judged in each handshake, so sessions are not resumed: an expired one is
    /// refused even if its client has been here before. A connection that is there goes on.
    ///
    /// # Errors
    /// [`TlsConfigError::NoRoots`]; [`TlsConfigError::Setup`] on what was made by
    /// [`with_config`](Self::with_config), which says itself whom it accepts.
    pub fn require_client_certificates(self, roots: Roots) -> Result<Self, TlsConfigError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.store()?, provider());
        self.verifying(verifier.build().map_err(setup)?)
    }

    /// Takes the certificate of a client that has one, and serves those who have none as well. One
    /// that is shown must be by one of these roots. All else is as with
    /// [`require_client_certificates`](Self::require_client_certificates).
    ///
    /// # Errors
    /// As there.
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

    /// Whether it lets nobody in without a certificate that it accepts.
    pub(crate) const fn requires_certificates(&self) -> bool {
        self.requires
    }

    /// Has a stream of your own speak TLS, as the server of it: of a proxy or a test. A [`Server`]
    /// does so by itself.
    ///
    /// It has no deadline but the caller's.
    ///
    /// # Errors
    /// What the stream reports, or a [`TlsError`] inside of an IO error.
    ///
    /// # Cancel safety
    /// Dropped, it closes the stream.
    ///
    /// [`Server`]: crate::Server
    pub async fn accept(&self, mut stream: Stream) -> io::Result<Stream> {
        self.shake_hands(&mut stream, FAR_FUTURE).await?;
        Ok(stream)
    }

    /// Shakes hands with a client. The whole of it has this time; to end it then is the caller's.
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
