//! The admission of connections: slots for peers, limits on pending handshakes, the rate at which
//! connections are accepted, and the networks of load balancers.

mod handshakes;
mod networks;
mod pace;
mod slots;

use std::net::{IpAddr, Ipv6Addr};

pub(crate) use handshakes::{Handshakes, Place, Ticket};
pub(crate) use networks::Networks;
pub(crate) use pace::Pace;
pub(crate) use slots::{Full, Slot, Slots};

/// Returns the address that limits count: the IPv4 address, or the 64-bit network of an IPv6
/// address, since the owner of one of its addresses has all of them.
fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}
