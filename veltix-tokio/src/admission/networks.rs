//! [`Networks`]: the addresses of load balancers.

use std::net::IpAddr;
use std::str::FromStr;

use crate::error::ConfigError;

/// Networks of IP addresses, in the order in which they are searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Networks(Box<[Network]>);

/// The addresses that have the same first bits. An IPv4 address is its mapped IPv6 address, so that both
/// forms are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    first: u128,
    mask: u128,
}

impl Networks {
    /// Reads networks and addresses: `10.0.0.0/8`, `192.0.2.7`, `2001:db8::/32`.
    pub(crate) fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, ConfigError> {
        texts.iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether one of the networks contains the address.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        let ip = bits_of(ip);
        self.0.iter().any(|network| ip & network.mask == network.first)
    }
}

impl FromStr for Network {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refused = || ConfigError::Network { text: text.chars().take(64).collect() };
        let (addr, length) = match text.split_once('/') {
            Some((addr, length)) => (addr, Some(length)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| refused())?;
        let bits = if addr.is_ipv4() { 32 } else { 128 };
        let length = match length {
            // `u32` reads a sign as well.
            Some(length) if length.starts_with('+') => return Err(refused()),
            Some(length) => length.parse().ok().filter(|length| *length <= bits),
            None => Some(bits),
        };
        let open: u32 = bits - length.ok_or_else(refused)?;
        let mask = u128::MAX.checked_shl(open).unwrap_or_default();
        let first = bits_of(addr);
        // With further bits the text says two things, and one of them is a mistake.
        if first & mask == first { Ok(Self { first, mask }) } else { Err(refused()) }
    }
}

fn bits_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
    .to_bits()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn a_network_contains_the_addresses_with_its_first_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", &["10.0.0.0", "10.255.1.2", "::ffff:10.1.2.3"][..], "11.0.0.0"),
            ("192.0.2.7", &["192.0.2.7", "::ffff:192.0.2.7"], "192.0.2.6"),
            ("0.0.0.0/0", &["127.0.0.1", "255.255.255.255"], "::1"),
            ("2001:db8::/32", &["2001:db8::1", "2001:db8:ffff::"], "2001:db9::"),
            ("::1", &["::1"], "127.0.0.1"),
            ("::/0", &["::1", "2001:db8::", "10.0.0.1"], "-"),
            ("::ffff:10.0.0.0/104", &["10.2.3.4"], "11.0.0.0"),
        ] {
            let networks = Networks::parse(&["203.0.113.9/32", network]).expect("a network");
            let contains = |ip: &str| networks.contains(ip.parse().expect("an address"));
            assert!(inside.iter().all(|ip| contains(ip)), "{network}");
            assert!(outside == "-" || !contains(outside), "{network}");
        }
        let none = Networks::parse::<&str>(&[]).expect("nothing is wrong");
        assert!(none.is_empty() && !none.contains(Ipv6Addr::LOCALHOST.into()));
    }

    #[test]
    fn another_text_is_refused_with_it() {
        for text in [
            "",
            "10",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.1/8",
            "::/129",
            "2001:db8::1/64",
            "localhost",
            "10.0.0.1:80",
            " 10.0.0.1",
        ] {
            let error = ConfigError::Network { text: text.to_owned() };
            assert_eq!(Networks::parse(&["::1", text]), Err(error));
        }
    }
}
