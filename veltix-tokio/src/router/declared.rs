//! [`DeclaredTypes`]: the message types that this side declares to its peers.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;
use veltix_core::{Fingerprints, HandshakeError, Hello, Registry, TypeError};

use super::Router;
use crate::log::{RateLimitedLog, log_limited};

impl<S> Router<S> {
    /// Declares the message types that this side and its peers share, so that both sides detect in the
    /// handshake that a code means another type to the other side. Usually these are the types of an
    /// enum with `#[veltix::message]`: `App::registry()`. The handshake carries a hash of each type's
    /// name. Codes that only one side declares do not count as a difference. Default: nothing is
    /// declared and nothing is compared.
    ///
    /// A peer with different types is accepted, and the log receives a warning, at most once a second;
    /// `peer.hello().differing_types()` returns the codes. [`strict_types`](Router::strict_types)
    /// refuses such a peer. Peers that declare no types, for example Python peers, are always accepted.
    ///
    /// # Panics
    /// Panics with more than 480 types: a handshake has no room for them.
    #[must_use]
    #[track_caller]
    pub fn types(mut self, registry: Registry) -> Self {
        self.types = Some(DeclaredTypes::new(registry, false));
        self
    }

    /// Declares types like [`types`](Router::types), and refuses peers with different types: with
    /// [`HandshakeError::TypesDiffer`](veltix_core::HandshakeError::TypesDiffer) on this side, and with
    /// the reason on the other side. A client does not reconnect in that case.
    ///
    /// # Panics
    /// Panics as [`types`](Router::types) does.
    #[must_use]
    #[track_caller]
    pub fn strict_types(mut self, registry: Registry) -> Self {
        self.types = Some(DeclaredTypes::new(registry, true));
        self
    }
}

#[track_caller]
fn or_panic<T>(result: Result<T, TypeError>) -> T {
    result.unwrap_or_else(|error| panic!("could not declare the message types: {error}"))
}

/// The declared types as they are sent, and the treatment of a peer with different types.
#[derive(Debug)]
pub(crate) struct DeclaredTypes {
    registry: Registry,
    fingerprints: Arc<Fingerprints>,
    /// True if a peer with different types is refused. Otherwise a warning is logged.
    strict: bool,
    log: RateLimitedLog,
}

impl DeclaredTypes {
    #[track_caller]
    fn new(registry: Registry, strict: bool) -> Self {
        let fingerprints = Arc::new(or_panic(Fingerprints::of(&registry)));
        Self { registry, fingerprints, strict, log: RateLimitedLog::default() }
    }

    /// Returns the types of both, strict if one of them is strict. Panics as [`Router::merge`]
    /// documents.
    #[track_caller]
    pub(super) fn merge(mut self, other: Self) -> Self {
        or_panic(self.registry.merge(other.registry));
        Self::new(self.registry, self.strict || other.strict)
    }

    pub(crate) const fn fingerprints(&self) -> &Arc<Fingerprints> {
        &self.fingerprints
    }

    /// Checks the types in a peer's hello.
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
        // Any number of peers with the other types may connect again and again.
        log_limited!(
            warn,
            self.log.decide(Instant::now()),
            %peer,
            ?codes,
            "the peer uses these message codes for other types: \
             build both sides from the same definitions"
        );
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
