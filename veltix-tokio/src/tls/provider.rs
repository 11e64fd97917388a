//! The choice of the cryptography provider.

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;

#[cfg(not(any(feature = "tls", feature = "tls-aws-lc-rs")))]
compile_error!("`__tls` is an internal feature: enable `tls` or `tls-aws-lc-rs` instead");

/// Returns the application's provider if it has installed one, otherwise the provider of the
/// features.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static COMPILED: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(compiled()));
    CryptoProvider::get_default().unwrap_or_else(|| &COMPILED).clone()
}

#[cfg(feature = "tls-aws-lc-rs")]
fn compiled() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(not(feature = "tls-aws-lc-rs"))]
fn compiled() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_application_has_installed_comes_first() {
        let ours = provider();
        assert!(Arc::ptr_eq(&ours, &provider()), "made once");
        compiled().install_default().expect("no other test installs one");
        let installed = CryptoProvider::get_default().expect("it was installed");
        assert!(Arc::ptr_eq(&provider(), installed) && !Arc::ptr_eq(&ours, installed));
    }
}
