//! The errors of TLS connections and of TLS settings. Every build contains them, so that the enums
//! that hold them are the same with and without TLS.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The reason why a TLS connection failed or was not established. Only a side with TLS reports it.
/// A side without TLS reports [`HandshakeError::Tls`](veltix_core::HandshakeError::Tls) for a peer
/// with TLS.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// The received bytes are not TLS.
    #[error(
        "the peer does not speak TLS, and this side does: enable TLS on both sides, or on neither"
    )]
    Plaintext,
    /// The client sent nothing for half of the handshake timeout, although in TLS the client
    /// begins.
    #[error(
        "the client sent nothing: a client without TLS waits for the server to begin, so enable TLS on the client"
    )]
    NoClientHello,
    /// Both sides have no TLS version in common.
    #[error(
        "the sides have no TLS version in common: enable TLS 1.2 or 1.3 on the peer (this side speaks both unless its config restricts it)"
    )]
    Version,
    /// The peer speaks TLS, but another protocol inside it.
    #[error(
        "the sides have no protocol in common: check that the peer speaks Veltix and offers `veltix/1` in its ALPN"
    )]
    ApplicationProtocol,
    /// The peer showed no certificate.
    #[error(
        "the peer showed no certificate, and this side requires one: give the peer a certificate"
    )]
    NoCertificate,
    /// This side does not accept the peer's certificate.
    #[error("the peer's certificate is not accepted: {0}")]
    Certificate(CertificateProblem),
    /// The peer refused the connection with a TLS alert: for example, it does not accept this
    /// side's certificate, or requires one (`CertificateRequired`).
    #[error(
        "the peer refused the connection with the TLS alert {name} ({alert}): check the certificates of both sides"
    )]
    Refused {
        /// The number of the alert.
        alert: u8,
        /// The name of the alert in RFC 8446, or `unknown` if the RFC does not list it.
        name: &'static str,
    },
    /// A record differs from the one that the peer encrypted: it was changed in transit, or a proxy
    /// mixed up streams. No byte of it was passed on.
    #[error(
        "a record could not be decrypted, since its bytes were changed in transit: check proxies on the network path, and connect again"
    )]
    Tampered,
    /// The stream ended without the closing alert of TLS: the peer's process was killed, or the
    /// connection was cut. The earlier bytes are genuine and in order, but more may have followed.
    #[error(
        "the stream ended without the closing alert of TLS, since the peer was killed or the connection was cut: connect again"
    )]
    Truncated,
    /// Another reason, as the text of the TLS library.
    #[error("TLS failed: {reason}")]
    Failed {
        /// The text of the TLS library.
        reason: Box<str>,
    },
}

impl TlsError {
    /// Returns the TLS error inside an IO error of a TLS stream.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Returns whether another attempt may succeed although nobody has changed anything.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self, Self::Tampered | Self::Truncated)
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match error {
            TlsError::Truncated => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// The problem of a peer's certificate.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// The certificate has expired.
    #[error("it has expired: renew it, or correct this machine's clock")]
    Expired,
    /// The certificate is not valid yet.
    #[error("it is not valid yet: correct the clocks of both machines")]
    NotYetValid,
    /// The certificate belongs to another server.
    #[error(
        "it is not for {expected} but for {presented}: connect to a name in the certificate, or set `server_name`"
    )]
    WrongName {
        /// The expected name.
        expected: Box<str>,
        /// The names in the certificate, as text, escaped and cut.
        presented: Box<str>,
    },
    /// None of the known roots has issued the certificate.
    #[error(
        "none of the known roots has issued it: add the root of its issuer, or the missing intermediate to its chain"
    )]
    UnknownIssuer,
    /// The certificate was not signed with its issuer's key.
    #[error("its signature is wrong: check that the roots contain the authority that issued it")]
    BadSignature,
    /// The issuer has revoked the certificate.
    #[error("it was revoked: request a new one from its issuer")]
    Revoked,
    /// The certificate has another purpose: for example, it is a server's, and a client's is
    /// needed.
    #[error("it is not meant for this side of a connection: check its extended key usage")]
    Purpose,
    /// Another problem, as the text of the TLS library.
    #[error("{0}")]
    Other(Box<str>),
}

/// The reason why certificates, keys or roots cannot be used. A failed attempt changes nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// A file could not be read.
    #[error("{} cannot be read: check the path and the permissions", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The input is not valid PEM.
    #[error("{what} cannot be read as PEM: {reason}")]
    Pem {
        /// The input: a file, or the name of an argument.
        what: String,
        /// The problem in the input.
        reason: String,
    },
    /// The input contains no certificate.
    #[error("there is no certificate in {what}: it needs a block `BEGIN CERTIFICATE`")]
    NoCertificate {
        /// The input.
        what: String,
    },
    /// The input contains no private key.
    #[error("there is no private key in {what}: it needs an unencrypted block `BEGIN PRIVATE KEY`")]
    NoKey {
        /// The input.
        what: String,
    },
    /// The key does not belong to the first certificate of the chain.
    #[error(
        "the private key does not belong to the certificate: put the certificate of the key first in the chain"
    )]
    KeyMismatch,
    /// A certificate or key has an unsupported kind.
    #[error("the certificate or key cannot be used: {reason}")]
    Unusable {
        /// The reason.
        reason: String,
    },
    /// There is no root, so no certificate could be accepted.
    #[error("there is no root certificate, so no peer could be accepted: add a root")]
    NoRoots,
    /// The chosen cryptography provider, or the system, does not support the settings.
    #[error("TLS cannot be set up: {reason}")]
    Setup {
        /// The reason.
        reason: String,
    },
}
