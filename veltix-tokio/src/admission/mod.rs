//! Who may come in: slots for peers, caps on handshakes that are still pending, and how fast
//! connections are accepted.

mod handshakes;
mod pace;
mod slots;

use std::net::{IpAddr, Ipv6Addr};

pub(crate) use handshakes::{Handshakes, Ticket};
pub(crate) use pace::Pace;
pub(crate) use slots::{Full, Slot, Slots};

/// What counts as one address: one of IPv4, or the network of 64 bits of one of IPv6, since whoever
/// has one of these has all of its addresses.
fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}
