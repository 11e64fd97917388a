//! Why TLS fails: at a connection, and in what it is made of. Part of every build, so that the enums
//! they are in are the same in all of them.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a connection over TLS failed, or was never one. Only with TLS on this side; a side without it
/// says [`HandshakeError::Tls`](veltix_core::HandshakeError::Tls) of a peer that has it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// What came is not TLS.
    #[error(
        "the peer does not speak TLS, and this side does: have TLS on both sides, or on neither"
    )]
    Plaintext,
    /// A client said nothing for half of the handshake's time, where TLS lets the client begin.
    #[error(
        "the client said nothing: one without TLS waits for the server to begin, and needs TLS to come in"
    )]
    NoClientHello,
    /// The sides have no version of TLS in common.
    #[error(
        "no version of TLS in common: this side speaks 1.2 and 1.3 unless its own config says otherwise"
    )]
    Version,
    /// The peer speaks over TLS, but something else than this.
    #[error("no protocol in common: the peer does not offer `veltix/1` in its ALPN")]
    ApplicationProtocol,
    /// The peer showed no certificate.
    #[error("the peer showed no certificate, and this side requires one")]
    NoCertificate,
    /// This side does not accept the peer's certificate.
    #[error("the peer's certificate is not accepted: {0}")]
    Certificate(CertificateProblem),
    /// The peer refused, and says so by an alert: it does not accept this side's certificate, or wants
    /// one (`CertificateRequired`), say.
    #[error("the peer refused by the TLS alert {name} ({alert})")]
    Refused {
        /// The alert's number.
        alert: u8,
        /// Its name in RFC 8446, `unknown` for what is not there.
        name: &'static str,
    },
    /// A record is not what the peer encrypted: somebody changed it on its way, or a proxy mixed up
    /// streams. Nothing of it was read.
    #[error("the bytes were changed on their way: a record could not be decrypted")]
    Tampered,
    /// The stream ended without TLS's own end: the peer's process died, or somebody cut the
    /// connection. What came before is genuine and in order, but there may have been more.
    #[error(
        "the stream ended without TLS's own end: the peer was killed, or the connection was cut"
    )]
    Truncated,
    /// Another reason, in the words of the TLS library.
    #[error("TLS failed: {reason}")]
    Failed {
        /// The words.
        reason: Box<str>,
    },
}

impl TlsError {
    /// The error behind an IO error of a stream over TLS.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether another attempt may end otherwise without anybody changing anything.
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

/// What is wrong with a peer's certificate.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// Its time is over.
    #[error("it has expired: have it renewed, or set this machine's clock")]
    Expired,
    /// Its time has not begun.
    #[error("it is not valid yet: set the clocks of both machines")]
    NotYetValid,
    /// It is that of another server.
    #[error(
        "it is not for {expected} but for {presented}: connect by a name that it has, or set `server_name`"
    )]
    WrongName {
        /// The name that was asked for.
        expected: Box<str>,
        /// The names that it has, as text; escaped and cut.
        presented: Box<str>,
    },
    /// None of the roots stands behind it.
    #[error(
        "none of the known roots has issued it: add the root of its issuer, or the missing intermediate to its chain"
    )]
    UnknownIssuer,
    /// It was not signed by its issuer's key.
    #[error("its signature is wrong")]
    BadSignature,
    /// Its issuer has revoked it.
    #[error("it was revoked")]
    Revoked,
    /// It is for something else: a server's where a client's is needed, say.
    #[error("it is not meant for this side of a connection: see its extended key usage")]
    Purpose,
    /// Another problem, in the words of the TLS library.
    #[error("{0}")]
    Other(Box<str>),
}

/// Why certificates, keys or roots cannot be used. Nothing was changed by the attempt.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// A file could not be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What should be PEM is not.
    #[error("{what} cannot be read as PEM: {reason}")]
    Pem {
        /// What was read: a file, or which of the arguments.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no certificate in it.
    #[error("there is no certificate in {what}: it needs a block `BEGIN CERTIFICATE`")]
    NoCertificate {
        /// What was read.
        what: String,
    },
    /// There is no private key in it.
    #[error(
        "there is no private key in {what}: it needs a block `BEGIN PRIVATE KEY`, not encrypted"
    )]
    NoKey {
        /// What was read.
        what: String,
    },
    /// The key is not that of the first certificate of the chain.
    #[error(
        "the private key is not that of the certificate: the chain begins with the certificate of the key"
    )]
    KeyMismatch,
    /// A certificate or key is of a kind that cannot be used.
    #[error("the certificate or key cannot be used: {reason}")]
    Unusable {
        /// Why not.
        reason: String,
    },
    /// There is no root, so nobody could be accepted.
    #[error("there is no root certificate to accept others by")]
    NoRoots,
    /// The cryptography that was chosen, or the system, cannot do it.
    #[error("TLS cannot be set up: {reason}")]
    Setup {
        /// Why not.
        reason: String,
    },
}
