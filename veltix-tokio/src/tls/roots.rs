//! [`Roots`]: the root certificates by which a side accepts the certificates of others.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;

use super::TlsConfigError;
use super::certificate::{certificates, read};

/// The root certificates by which a side accepts the certificates of others.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

impl Roots {
    /// Reads all certificates of a PEM file. It blocks the thread while it reads.
    ///
    /// # Errors
    /// Returns [`TlsConfigError`], which names the file. A single certificate that cannot be a root
    /// is an error, since it was put there for a reason.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, TlsConfigError> {
        let path = path.as_ref();
        Self::read(&read(path)?, &path.display().to_string())
    }

    /// Reads all certificates of PEM text in memory.
    ///
    /// # Errors
    /// Returns the errors of [`from_pem_file`](Self::from_pem_file).
    pub fn from_pem(bytes: impl AsRef<[u8]>) -> Result<Self, TlsConfigError> {
        Self::read(bytes.as_ref(), "the roots")
    }

    /// Returns Mozilla's roots, as of this build: for servers with certificates of public
    /// authorities. They are a part of the program, and become outdated with it.
    #[cfg(feature = "tls-webpki-roots")]
    #[must_use]
    pub fn webpki() -> Self {
        RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }.into()
    }

    fn read(bytes: &[u8], what: &str) -> Result<Self, TlsConfigError> {
        let mut store = RootCertStore::empty();
        for certificate in certificates(bytes, what)? {
            store.add(certificate)?;
        }
        Ok(store.into())
    }

    /// Returns the store, unless it is empty.
    pub(super) fn store(self) -> Result<Arc<RootCertStore>, TlsConfigError> {
        if self.0.is_empty() { Err(TlsConfigError::NoRoots) } else { Ok(self.0) }
    }
}

impl From<RootCertStore> for Roots {
    fn from(store: RootCertStore) -> Self {
        Self(Arc::new(store))
    }
}
