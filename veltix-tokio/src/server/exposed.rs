//! A warning to who listens to the world without protection.

use crate::transport::PeerAddr;

/// What protects a server from who reaches it over a network.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Protection {
    /// What is sent is encrypted, and the server is known by its certificate.
    pub(super) tls: bool,
    /// Who connects is looked at before it is let in.
    pub(super) identity: bool,
}

/// Says once, when it is bound, what is missing to a server that other machines reach.
pub(super) fn warn_if_exposed(addr: &PeerAddr, protection: Protection) {
    if let Some(advice) = advice(addr, protection) {
        tracing::warn!(%addr, "other machines reach this server: {advice}, or listen on 127.0.0.1");
    }
}

/// What to switch on, if anything.
fn advice(addr: &PeerAddr, protection: Protection) -> Option<&'static str> {
    // An address of IPv4 that is written as one of IPv6 is none of the network's either.
    if addr.ip().is_none_or(|ip| ip.to_canonical().is_loopback()) {
        return None;
    }
    match (protection.tls, protection.identity) {
        (true, true) => None,
        (false, true) => Some("switch on TLS (ServerConfig::tls)"),
        (true, false) => Some("check who connects (Router::authenticate)"),
        (false, false) => {
            Some("switch on TLS (ServerConfig::tls) and check who connects (Router::authenticate)")
        }
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
                ["TLS", "who connects"].map(|word| advice.contains(word))
            };
            assert_eq!(tells(Protection::default()), [true, true], "{addr}");
            assert_eq!(tells(Protection { tls: false, ..ALL }), [true, false], "{addr}");
            assert_eq!(tells(Protection { identity: false, ..ALL }), [false, true], "{addr}");
            assert_eq!(tells(ALL), [false, false], "{addr}");
        }
    }
}
