//! Conversion of rustls errors into this crate's errors: typed if an application may act on them,
//! otherwise as text.

use rustls::{
    AlertDescription, CertificateError, Error, InconsistentKeys, InvalidMessage, PeerIncompatible,
};
use veltix_core::text::printable;

use super::{CertificateProblem, TlsConfigError, TlsError};

impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(error) => Self::Certificate(error.into()),
            Error::NoApplicationProtocol => Self::ApplicationProtocol,
            Error::DecryptError => Self::Tampered,
            Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion)
            | Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired
                // Since TLS 1.2 every client sends the signature algorithms that it knows.
                | PeerIncompatible::SignatureAlgorithmsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            ) => Self::Version,
            Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::Version,
            Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                Self::ApplicationProtocol
            }
            Error::AlertReceived(alert) => {
                Self::Refused { alert: alert.into(), name: alert.as_str().unwrap_or("unknown") }
            }
            // Some of the texts contain names that the peer has chosen.
            other => Self::Failed { reason: text(&other) },
        }
    }
}

impl From<CertificateError> for CertificateProblem {
    fn from(error: CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                Self::WrongName { expected: expected.to_str().into(), presented: names(&presented) }
            }
            CertificateError::NotValidForName => {
                Self::WrongName { expected: "this name".into(), presented: "others".into() }
            }
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::Purpose
            }
            other => Self::Other(text(&other)),
        }
    }
}

/// Returns the names of a certificate, which rustls gives as `DnsName("a.example")`.
fn names(presented: &[String]) -> Box<str> {
    let bare = |name: &String| {
        let quoted = name.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
        quoted.map_or(name.as_str(), |(name, _)| name).to_owned()
    };
    let names: Vec<_> = presented.iter().map(bare).collect();
    printable(&names.join(", ")).to_string().into()
}

fn text(error: &dyn std::fmt::Display) -> Box<str> {
    printable(&error.to_string()).to_string().into()
}

impl From<Error> for TlsConfigError {
    fn from(error: Error) -> Self {
        match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Self::KeyMismatch,
            other => Self::Unusable { reason: other.to_string() },
        }
    }
}

/// Returns the error of a config as a whole, not of a certificate in it.
pub(super) fn setup(error: impl std::fmt::Display) -> TlsConfigError {
    TlsConfigError::Setup { reason: error.to_string() }
}
