//! [`Certificate`], and [`CertificateStore`], in which it is replaced while connections continue.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::TlsConfigError;
use super::provider::provider;
use crate::sync::Mutex;

/// A certificate with its private key, by which a side proves its identity: a server always, a
/// client if the server asks for it. The chain begins with the certificate itself and continues
/// with the certificates of its issuers. The root need not be included.
///
/// It is verified when it is created, so an existing value is usable. `{:?}` does not show its key.
#[derive(Clone)]
pub struct Certificate(Arc<CertifiedKey>);

impl Certificate {
    /// Reads a chain and its key from two files in PEM; both may be the same file. The key is
    /// PKCS#8, PKCS#1 or SEC1, not encrypted.
    ///
    /// It blocks the thread while it reads: call it before a server runs, or on a blocking thread.
    ///
    /// # Errors
    /// Returns [`TlsConfigError`], which names the file.
    pub fn from_pem_files(
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsConfigError> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        let (chain_pem, key_pem) = (read(chain)?, read(key)?);
        let named = |path: &Path| path.display().to_string();
        Self::read(&chain_pem, &named(chain), &key_pem, &named(key))
    }

    /// Reads a chain and its key from PEM in memory.
    ///
    /// # Errors
    /// Returns [`TlsConfigError`].
    pub fn from_pem(
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsConfigError> {
        Self::read(chain.as_ref(), "the chain", key.as_ref(), "the key")
    }

    /// Creates a certificate from a chain and its key in rustls' own types, in DER.
    ///
    /// # Errors
    /// Returns [`TlsConfigError::NoCertificate`], [`TlsConfigError::KeyMismatch`] or
    /// [`TlsConfigError::Unusable`].
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsConfigError> {
        if chain.is_empty() {
            return Err(TlsConfigError::NoCertificate { what: "the chain".to_owned() });
        }
        Ok(Self(Arc::new(CertifiedKey::from_der(chain, key, &provider())?)))
    }

    fn read(
        chain: &[u8],
        chain_is: &str,
        key: &[u8],
        key_is: &str,
    ) -> Result<Self, TlsConfigError> {
        let chain = certificates(chain, chain_is)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsConfigError::NoKey { what: key_is.to_owned() },
            error => not_pem(key_is, &error),
        })?;
        Self::new(chain, key)
    }

    /// Returns the chain, this certificate first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.cert
    }
}

/// Uses a key of the application's own, for example one in a hardware module.
impl From<CertifiedKey> for Certificate {
    fn from(key: CertifiedKey) -> Self {
        Self(Arc::new(key))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain", &self.0.cert.len()).finish_non_exhaustive()
    }
}

/// Reads a file. The error names it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsConfigError> {
    std::fs::read(path).map_err(|source| TlsConfigError::File { path: path.to_owned(), source })
}

/// Returns the certificates of PEM text, at least one.
pub(super) fn certificates(
    bytes: &[u8],
    what: &str,
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let certificates = certificates.map_err(|error| not_pem(what, &error))?;
    if certificates.is_empty() {
        return Err(TlsConfigError::NoCertificate { what: what.to_owned() });
    }
    Ok(certificates)
}

fn not_pem(what: &str, error: &pem::Error) -> TlsConfigError {
    TlsConfigError::Pem { what: what.to_owned(), reason: error.to_string() }
}

/// The current certificate for handshakes. A clone is the same store.
///
/// Replacing the certificate is one swap: handshakes that have begun may still show the old one,
/// existing connections continue, and no client is refused in between.
///
/// ```no_run
/// # use veltix::TlsConfigError;
/// use veltix::tls::{Certificate, CertificateStore, ServerTls};
///
/// # fn f() -> Result<(), TlsConfigError> {
/// let read = || Certificate::from_pem_files("chain.pem", "key.pem");
/// let certificates = CertificateStore::new(read()?);
/// let tls = ServerTls::new(certificates.clone())?; // for `ServerConfig::tls`
///
/// // Later, when the files are new:
/// match read() {
///     Ok(renewed) => certificates.replace(renewed),
///     Err(error) => eprintln!("the old certificate stays: {error}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct CertificateStore(Arc<Mutex<Arc<CertifiedKey>>>);

impl CertificateStore {
    /// Creates a store with this certificate.
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        Self(Arc::new(Mutex::new(certificate.0)))
    }

    /// Replaces the certificate for all handshakes from now on.
    pub fn replace(&self, certificate: Certificate) {
        let old = std::mem::replace(&mut *self.0.lock(), certificate.0);
        // A key of the application's own may run the application's code when it is dropped: not
        // under the lock.
        drop(old);
    }

    /// Returns the current certificate.
    #[must_use]
    pub fn current(&self) -> Certificate {
        Certificate(self.key())
    }

    fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.lock())
    }
}

impl From<Certificate> for CertificateStore {
    fn from(certificate: Certificate) -> Self {
        Self::new(certificate)
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }
}

impl ResolvesClientCert for CertificateStore {
    fn resolve(
        &self,
        _issuers: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let key = self.key();
        key.key.choose_scheme(schemes).is_some().then_some(key)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for CertificateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertificateStore").field(&self.current()).finish()
    }
}
