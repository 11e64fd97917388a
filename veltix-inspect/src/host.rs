//! The check of the `Host` header. A page of another site can have a browser send requests here under a name of its
//! own that leads to this machine. Addresses and `localhost` cannot be such a name.

use std::net::IpAddr;

/// Returns whether a `Host` header names this machine: an address, or `localhost`, with or without a port.
pub(crate) fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if is_port(port) => {
                return name.parse::<std::net::Ipv6Addr>().is_ok();
            }
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if is_port_number(port) => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost") || matches!(name.parse(), Ok(IpAddr::V4(_)))
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(is_port_number)
}

fn is_port_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_may_be_of_another_site_is_not_local() {
        for host in
            ["127.0.0.1", "127.0.0.1:8088", "[::1]:8088", "[::1]", "localhost", "LocalHost:1"]
        {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "127.0.0.1.evil",
            "localhost.evil:80",
            "evil:127.0.0.1",
            "::1",
            "[::1",
            "[::1]x",
            "[127.0.0.1]",
            "127.0.0.1:",
            "127.0.0.1:+80",
            "127.0.0.1:99999",
            "127.0.0.1:80:80",
            "user@127.0.0.1",
            " 127.0.0.1",
            "0x7f000001",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
