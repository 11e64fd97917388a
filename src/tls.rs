//! TLS, by [rustls](https://docs.rs/rustls): over every transport, on both sides.
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

#[doc(no_inline)]
pub use veltix_tokio::tls::rustls;
pub use veltix_tokio::tls::{
    Certificate, CertificateProblem, CertificateStore, ClientTls, PeerCertificates, Roots,
    ServerTls, TlsConfigError, TlsError, TlsInfo,
};
