//! [`PeerCertificates`].

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

/// The verified certificate of the peer, followed by the certificates of its issuers, as an
/// argument of a handler. They are in DER, for a parser of your choice or for comparison.
///
/// Without a certificate the message is rejected; as an `Option` the argument is `None` in that
/// case. On a server it requires
/// [`require_client_certificates`](super::ServerTls::require_client_certificates) or
/// [`accept_client_certificates`](super::ServerTls::accept_client_certificates).
///
/// ```
/// use veltix::tls::PeerCertificates;
///
/// async fn who(PeerCertificates(chain): PeerCertificates) -> String {
///     format!("a certificate of {} bytes", chain[0].len())
/// }
/// # veltix::Router::<()>::new().fallback(who);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is taken apart in arguments")]
pub struct PeerCertificates(pub Arc<[CertificateDer<'static>]>);
