//! [`TlsInfo`]: the TLS parameters of a stream.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, Connection, HandshakeKind, ProtocolVersion};

/// The negotiated TLS parameters of a connection and the certificates of the peer. Returned by
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
    /// Reads the parameters of a connection after its handshake.
    pub(crate) fn of(connection: &Connection) -> Self {
        let certificates = connection.peer_certificates().unwrap_or_default();
        let server_name = match connection {
            Connection::Server(server) => server.server_name().map(Into::into),
            Connection::Client(_) => None,
        };
        let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
        Self {
            // Both are known after the handshake.
            version: connection.protocol_version().unwrap_or(ProtocolVersion::Unknown(0)),
            cipher_suite: suite.unwrap_or(CipherSuite::Unknown(0)),
            alpn: connection.alpn_protocol().map(Into::into),
            certificates: certificates.iter().map(|one| one.clone().into_owned()).collect(),
            server_name,
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// Returns the TLS version.
    #[must_use]
    pub const fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// Returns the cipher suite of the connection.
    #[must_use]
    pub const fn cipher_suite(&self) -> CipherSuite {
        self.cipher_suite
    }

    /// Returns the application protocol that both sides named, `veltix/1`. It is `None` if the peer
    /// named none, for example a tunnel.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// Returns the peer's certificate and the issuers' certificates that it sent, in DER. The first
    /// one was verified by a root, through the others. The slice is empty for a client without a
    /// certificate.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Returns the certificates as a shared slice.
    pub(crate) const fn shared_certificates(&self) -> &Arc<[CertificateDer<'static>]> {
        &self.certificates
    }

    /// Returns the name that the client asked for (SNI), on a server. It is no evidence of the
    /// client's identity.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Returns whether the session was resumed from an earlier one, without another check of
    /// certificates. It is always `false` on a server that asks for certificates.
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
