//! TLS, by [rustls]: over every transport, on both sides.
//!
//! [`ServerConfig::tls`](crate::ServerConfig::tls) enables it on a server,
//! [`ClientConfig::tls`](crate::ClientConfig::tls) on a client. The handshake runs in the
//! connection's own task, under the deadline of the whole handshake. TLS 1.2 and 1.3 are supported.
//! ALPN is `veltix/1`: a peer that offers only other protocols is refused; a peer that offers none,
//! such as a tunnel, is accepted.
//!
//! The cryptography is rustls' default provider if the application has installed one. Otherwise it
//! is the provider of the features; if both features are enabled, aws-lc-rs is used and not ring.
//!
//! # Ends
//!
//! A connection that ends in an orderly way sends `close_notify`. A connection without it was cut.
//! This is reported as [`TlsError::Truncated`], separately from
//! [`CloseReason::PeerClosed`](crate::CloseReason::PeerClosed).

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
