//! A warning to who listens to the world without protection.

use crate::transport::PeerAddr;

/// Says once, when it is bound, that a server without TLS can be reached from other machines.
pub(super) fn warn_if_exposed(addr: &PeerAddr) {
    if is_exposed(addr) {
        tracing::warn!(
            %addr,
            "other machines reach this server, in plain text: put TLS in front of it and check who connects, or listen on 127.0.0.1"
        );
    }
}

/// Whether other machines may reach this address.
fn is_exposed(addr: &PeerAddr) -> bool {
    addr.ip().is_some_and(|ip| !ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r19_what_other_machines_reach_is_exposed() {
        let exposed = |addr: &str| is_exposed(&PeerAddr::Tcp(addr.parse().expect("an address")));
        for addr in ["127.0.0.1:80", "127.255.0.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(!exposed(addr), "{addr}");
        }
        for addr in ["0.0.0.0:80", "[::]:80", "192.168.0.1:80", "[fe80::1]:80", "10.0.0.1:80"] {
            assert!(exposed(addr), "{addr}");
        }
        assert!(!is_exposed(&PeerAddr::Memory(1)));
    }
}
