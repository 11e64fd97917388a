//! [`Tls`]: the TLS of the connection to a NATS server.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::task::spawn_blocking;

use crate::error::ConnectError;

/// The TLS settings of the connection to a NATS server.
///
/// The client always gets a config of ours. It would make its own one by `ClientConfig::builder`, which panics if
/// two cryptography providers are compiled in and the application has installed none. It loads the system's
/// certificates nevertheless, for each connection. A system without any is no error there; a variable
/// `SSL_CERT_FILE` or `SSL_CERT_DIR` that names nothing is one.
#[derive(Clone, Default)]
pub(super) struct Tls {
    pub(super) config: Option<ClientConfig>,
    pub(super) roots: Option<Vec<u8>>,
    /// A certificate with its chain, and its key.
    pub(super) certificate: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    /// Tells whether the settings have been made by the application.
    pub(super) const fn is_set(&self) -> bool {
        self.config.is_some() || self.roots.is_some() || self.certificate.is_some()
    }

    /// Tells whether the node shows a certificate.
    pub(super) fn is_login(&self) -> bool {
        self.certificate.is_some()
            || self
                .config
                .as_ref()
                .is_some_and(|config| config.client_auth_cert_resolver.has_certs())
    }

    /// Returns the config for connections with TLS.
    pub(super) async fn config(self) -> Result<ClientConfig, ConnectError> {
        if let Some(config) = self.config {
            return Ok(config);
        }
        let roots = match self.roots {
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(&pem)? {
                    roots.add(certificate).map_err(unusable)?;
                }
                roots
            }
            None => spawn_blocking(system_roots).await.map_err(unusable)??,
        };
        let builder = builder()?.with_root_certificates(roots);
        match self.certificate {
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(&key).map_err(unusable)?;
                builder.with_client_auth_cert(certificates(&chain)?, key).map_err(unusable)
            }
            None => Ok(builder.with_no_client_auth()),
        }
    }

    /// Returns the config for connections without TLS. It trusts nobody: a server that demands TLS is refused,
    /// and the error says that the URL has to ask for it.
    pub(super) fn without() -> Result<ClientConfig, ConnectError> {
        Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
    }
}

/// Returns the application's provider if it has installed one, otherwise ring's.
fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, ConnectError> {
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider);
    builder.with_safe_default_protocol_versions().map_err(unusable)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(unusable)?;
    if certificates.is_empty() {
        return Err(unusable("there is no certificate in the PEM text"));
    }
    Ok(certificates)
}

/// Loads the roots of the system. It blocks the thread while it reads.
fn system_roots() -> Result<RootCertStore, ConnectError> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    match loaded.errors.into_iter().next() {
        Some(error) => Err(unusable(error)),
        None if roots.is_empty() => Err(unusable("the system has no root certificates")),
        None => Ok(roots),
    }
}

fn unusable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectError {
    ConnectError::Certificates(error.into())
}
