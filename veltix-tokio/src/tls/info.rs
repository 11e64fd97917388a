//! What is known of a connection's TLS: [`TlsInfo`], and [`PeerCertificates`] for handlers.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, Connection, HandshakeKind, ProtocolVersion};

use crate::router::{Context, FromContext, Rejection};

/// What the sides of a connection agreed on, and what the peer showed. From
/// [`Peer::tls`](crate::Peer::tls).
pub struct TlsInfo {
    version: ProtocolVersion,
    cipher_suite: CipherSuite,
    alpn: Option<Box<[u8]>>,
    certificates: Arc<[CertificateDer<'static>]>,
    server_name: Option<Box<str>>,
    resumed: bool,
}

impl TlsInfo {
    /// Of a connection whose handshake is over.
    pub(super) fn of(connection: &Connection) -> Self {
        let certificates = connection.peer_certificates().unwrap_or_default();
        let server_name = match connection {
            Connection::Server(server) => server.server_name().map(Into::into),
            Connection::Client(_) => None,
        };
        let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
        Self {
            // Both are there once the handshake is over.
            version: connection.protocol_version().unwrap_or(ProtocolVersion::Unknown(0)),
            cipher_suite: suite.unwrap_or(CipherSuite::Unknown(0)),
            alpn: connection.alpn_protocol().map(Into::into),
            certificates: certificates.iter().map(|one| one.clone().into_owned()).collect(),
            server_name,
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// How the connection is encrypted.
    #[must_use]
    pub const fn cipher_suite(&self) -> CipherSuite {
        self.cipher_suite
    }

    /// The protocol that both sides named, `veltix/1`; `None` when the peer named none, as a tunnel
    /// does.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// The peer's certificate and what it showed of its issuers', in DER. They were accepted: the
    /// first one, by the others, by a root. Empty for a client that showed none.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// On a server, the name that the client asked for (SNI). It says nothing of who the client is.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Whether the session is one of before, resumed without another look at certificates. Never on
    /// a server that asks for certificates.
    #[must_use]
    pub const fn is_resumed(&self) -> bool {
        self.resumed
    }
}

impl fmt::Debug for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsInfo")
            .field("version", &self.version)
            .field("cipher_suite", &self.cipher_suite)
            .field("certificates", &self.certificates.len())
            .finish_non_exhaustive()
    }
}

/// The certificate by which the peer has shown who it is, and its issuers' after it, as an argument
/// of a handler. They are in DER, for a parser of your choice or to be compared.
///
/// Without one the message is rejected; as an `Option` the argument is `None` then. On a server it
/// needs [`require_client_certificates`](super::ServerTls::require_client_certificates) or
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

impl<S> FromContext<S> for PeerCertificates {
    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        match cx.peer().tls() {
            Some(tls) if !tls.certificates.is_empty() => Ok(Self(Arc::clone(&tls.certificates))),
            _ => Err(Rejection::NoCertificate),
        }
    }
}
