//! TLS, by rustls: over every transport, on both sides. The facade's module `tls` documents it.

mod handshake_error;

#[cfg(not(feature = "__tls"))]
mod absent;
#[cfg(feature = "__tls")]
mod certificate;
#[cfg(feature = "__tls")]
mod client;
#[cfg(feature = "__tls")]
mod failure;
#[cfg(feature = "__tls")]
mod handshake;
#[cfg(feature = "__tls")]
mod peer_certificates;
#[cfg(feature = "__tls")]
mod provider;
#[cfg(feature = "__tls")]
mod roots;
#[cfg(feature = "__tls")]
mod server;
#[cfg(feature = "__tls")]
mod stream;

#[cfg(feature = "__tls")]
pub use rustls;

#[cfg(not(feature = "__tls"))]
pub(crate) use absent::{ClientTls, Dial, ServerTls};
#[cfg(feature = "__tls")]
pub use certificate::{Certificate, CertificateStore};
#[cfg(feature = "__tls")]
pub use client::ClientTls;
#[cfg(feature = "__tls")]
pub(crate) use client::Dial;
pub(crate) use handshake_error::TlsHandshakeError;
#[cfg(feature = "__tls")]
pub use peer_certificates::PeerCertificates;
#[cfg(feature = "__tls")]
pub use roots::Roots;
#[cfg(feature = "__tls")]
pub use server::ServerTls;

#[cfg(feature = "__tls")]
pub use crate::error::{CertificateProblem, TlsConfigError, TlsError};
#[cfg(feature = "__tls")]
pub use crate::transport::tls_info::TlsInfo;

/// The name of this protocol in ALPN.
#[cfg(feature = "__tls")]
const ALPN: &[u8] = b"veltix/1";
