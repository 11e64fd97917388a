//! TLS, by [rustls]: over every transport, on both sides.
//!
//! A server takes it by [`ServerConfig::tls`](crate::ServerConfig::tls), a client by
//! [`ClientConfig::tls`](crate::ClientConfig::tls). The handshake runs in the connection's own task,
//! under the deadline of the whole handshake. Versions 1.2 and 1.3 are spoken. ALPN is `veltix/1`: a
//! peer that offers only other protocols is refused, and one that offers none, as a tunnel does, is
//! not.
//!
//! The cryptography is what the application has installed as rustls' default, if it has; else that
//! of the features, aws-lc-rs before ring.
//!
//! # Ends
//!
//! A connection that ends in an orderly way says so (`close_notify`). One that does not has been cut,
//! which is told as [`TlsError::Truncated`], apart from
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

/// What this protocol is called in ALPN.
#[cfg(feature = "__tls")]
const ALPN: &[u8] = b"veltix/1";
