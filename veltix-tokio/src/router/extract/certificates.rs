//! The extractor of the certificates that TLS has verified.

use std::sync::Arc;

use super::{Context, FromContext, Rejection};
use crate::tls::PeerCertificates;

impl<S> FromContext<S> for PeerCertificates {
    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        match cx.peer().tls() {
            Some(tls) if !tls.certificates().is_empty() => {
                Ok(Self(Arc::clone(tls.shared_certificates())))
            }
            _ => Err(Rejection::NoCertificate),
        }
    }
}
