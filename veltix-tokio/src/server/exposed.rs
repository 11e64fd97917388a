//! The warning of a server that listens on a network without protection.

use crate::transport::{PeerAddr, is_loopback};

/// The protection of a server against peers that reach it over a network.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Protection {
    /// True if messages are encrypted, and the server's certificate identifies the server.
    pub(super) tls: bool,
    /// True if peers are checked before they are admitted.
    pub(super) identity: bool,
}

/// Logs a warning when a server is bound to an address that other machines reach, with the missing
/// protection.
pub(super) fn warn_if_exposed(addr: &PeerAddr, protection: Protection) {
    if let Some(advice) = advice(addr, protection) {
        tracing::warn!(%addr, "other machines can reach this server: {advice}, or listen on 127.0.0.1");
    }
}

/// Returns the advice about missing protection, if any.
fn advice(addr: &PeerAddr, protection: Protection) -> Option<&'static str> {
    if addr.ip().is_none_or(is_loopback) {
        return None;
    }
    match (protection.tls, protection.identity) {
        (true, true) => None,
        (false, true) => Some("enable TLS (ServerConfig::tls, or Tcp::tls)"),
        (true, false) => Some("authenticate the peers (Router::authenticate)"),
        (false, false) => Some(
            "enable TLS (ServerConfig::tls, or Tcp::tls) and authenticate the peers (Router::authenticate)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Protection = Protection { tls: true, identity: true };

    fn advice_for(addr: &str, protection: Protection) -> Option<&'static str> {
        advice(&PeerAddr::Tcp(addr.parse().expect("an address")), protection)
    }

    #[test]
    fn r19_what_stays_on_this_machine_needs_no_advice() {
        for addr in ["127.0.0.1:80", "127.255.0.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(advice_for(addr, Protection::default()), None, "{addr}");
        }
        assert_eq!(advice(&PeerAddr::Memory(1), Protection::default()), None);
    }

    #[test]
    fn r19_what_other_machines_reach_is_told_what_is_missing() {
        for addr in ["0.0.0.0:80", "[::]:80", "192.168.0.1:80", "[fe80::1]:80", "10.0.0.1:80"] {
            let tells = |protection| {
                let advice = advice_for(addr, protection).unwrap_or_default();
                ["TLS", "authenticate the peers"].map(|word| advice.contains(word))
            };
            assert_eq!(tells(Protection::default()), [true, true], "{addr}");
            assert_eq!(tells(Protection { tls: false, ..ALL }), [true, false], "{addr}");
            assert_eq!(tells(Protection { identity: false, ..ALL }), [false, true], "{addr}");
            assert_eq!(tells(ALL), [false, false], "{addr}");
        }
    }
}
