//! [`DeclaredTypes`]: the message types that this side tells its peers of.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use veltix_core::{Fingerprints, HandshakeError, Hello, Registry, ServerHandshake, TypeError};

use super::Router;
use crate::log::RateLimitedLog;

impl<S> Router<S> {
    /// Declares the message types that this side and its peers share, so that both notice in the handshake
    /// when a code means something else to the other: usually those of an enum with
    /// `#[veltix::message]`, `App::registry()`. A hash of each type's name travels, and codes that only
    /// one side has are no difference. Default: nothing is declared, and nothing compared.
    ///
    /// A peer with other types is let in and the log has a warning, at most once a second;
    /// `peer.hello().differing_types()` names the codes. [`strict_types`](Router::strict_types) refuses
    /// it. Peers that declare nothing, Python's among them, are always let in.
    ///
    /// # Panics
    /// With more than 480 types: a handshake has no room for them.
    #[must_use]
    #[track_caller]
    pub fn types(mut self, registry: Registry) -> Self {
        self.types = Some(DeclaredTypes::new(registry, false));
        self
    }

    /// As [`types`](Router::types), and refuses peers with other types: with
    /// [`HandshakeError::TypesDiffer`](veltix_core::HandshakeError::TypesDiffer) on this side, and the reason
    /// on the other. A client does not try again then.
    ///
    /// # Panics
    /// As [`types`](Router::types).
    #[must_use]
    #[track_caller]
    pub fn strict_types(mut self, registry: Registry) -> Self {
        self.types = Some(DeclaredTypes::new(registry, true));
        self
    }
}

#[track_caller]
fn or_panic<T>(result: Result<T, TypeError>) -> T {
    result.unwrap_or_else(|error| panic!("these types cannot be declared: {error}"))
}

/// The types, as they travel, and what becomes of a peer that has others.
#[derive(Debug)]
pub(crate) struct DeclaredTypes {
    registry: Registry,
    fingerprints: Arc<Fingerprints>,
    /// Whether a peer with other types is refused; otherwise the log has a line.
    strict: bool,
    log: RateLimitedLog,
}

impl DeclaredTypes {
    #[track_caller]
    fn new(registry: Registry, strict: bool) -> Self {
        let fingerprints = Arc::new(or_panic(Fingerprints::of(&registry)));
        Self { registry, fingerprints, strict, log: RateLimitedLog::default() }
    }

    /// Those of both, strictly if one of them is strict. Panics as [`Router::merge`] says.
    #[track_caller]
    pub(super) fn merge(mut self, other: Self) -> Self {
        or_panic(self.registry.merge(other.registry));
        Self::new(self.registry, self.strict || other.strict)
    }

    pub(crate) const fn fingerprints(&self) -> &Arc<Fingerprints> {
        &self.fingerprints
    }

    /// A server's hello.
    pub(crate) fn hello(&self) -> Bytes {
        ServerHandshake::hello_with(&self.fingerprints)
    }

    /// Lets a peer with this hello pass, or does not.
    pub(crate) fn judge(
        &self,
        hello: &Hello,
        peer: impl fmt::Display,
    ) -> Result<(), HandshakeError> {
        let codes = hello.differing_types();
        if codes.is_empty() {
            return Ok(());
        }
        if self.strict {
            return Err(HandshakeError::TypesDiffer { codes: codes.to_vec() });
        }
        // As many peers as there are of the other build may come again and again.
        if self.log.is_due(Instant::now()) {
            tracing::warn!(%peer, ?codes, "the peer has other types under these message codes");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_strict_together_if_one_of_them_is() {
        for (ours, others, both) in
            [(false, false, false), (true, false, true), (false, true, true), (true, true, true)]
        {
            let of = |strict| DeclaredTypes::new(Registry::new(), strict);
            assert_eq!(of(ours).merge(of(others)).strict, both);
        }
    }
}
