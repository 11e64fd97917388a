//! [`Servers`]: the list of NATS servers in a URL.

use std::net::IpAddr;

use async_nats::ServerAddr;

use super::login::Login;
use crate::error::ConnectError;

/// The NATS servers of one list, without the logins of their URLs, which the client would log.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) addrs: Vec<ServerAddr>,
    /// The first login of the list.
    pub(super) login: Option<Login>,
}

impl Servers {
    /// Reads URLs with commas between them.
    pub(super) fn read(urls: &str) -> Result<Self, ConnectError> {
        let mut servers = Self { addrs: Vec::new(), login: None };
        for url in urls.split(',') {
            let addr: ServerAddr = url.trim().parse().map_err(|_| ConnectError::Url)?;
            if !matches!(addr.scheme(), "nats" | "tls") || addr.host().is_empty() {
                return Err(ConnectError::Url);
            }
            let login = match (addr.username(), addr.password()) {
                (Some(user), Some(password)) => {
                    Some(Login::Password(decoded(user)?, decoded(password)?))
                }
                (Some(token), None) => Some(Login::Token(decoded(token)?)),
                (None, _) => None,
            };
            servers.login = servers.login.or(login);
            let mut url = addr.into_inner();
            let is_without = url.set_username("").and_then(|()| url.set_password(None));
            is_without.map_err(|()| ConnectError::Url)?;
            servers.addrs.push(ServerAddr::from_url(url).map_err(|_| ConnectError::Url)?);
        }
        Ok(servers)
    }

    /// Tells whether one of the servers is on another machine.
    pub(super) fn is_remote(&self) -> bool {
        self.addrs.iter().any(|addr| !is_local(addr))
    }

    /// Tells whether the URL of one of the servers asks for TLS.
    pub(super) fn has_tls(&self) -> bool {
        self.addrs.iter().any(ServerAddr::tls_required)
    }
}

fn is_local(addr: &ServerAddr) -> bool {
    addr.host() == "localhost" || addr.host().parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Decodes the part of a URL in which a percent sign and two digits stand for a byte.
fn decoded(text: &str) -> Result<String, ConnectError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%'
            && let Some((digits, after)) = after.split_first_chunk::<2>()
        {
            let digits = std::str::from_utf8(digits).map_err(|_| ConnectError::Url)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| ConnectError::Url)?);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| ConnectError::Url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_servers_are_read() {
        let servers = Servers::read("nats://127.0.0.1, tls://b.example:5222").unwrap();
        let texts: Vec<_> = servers.addrs.iter().map(|addr| (addr.host(), addr.port())).collect();
        assert_eq!(texts, [("127.0.0.1", 4222), ("b.example", 5222)]);
        assert!(servers.is_remote() && servers.has_tls());
        for (urls, is_remote, has_tls) in [
            ("nats://localhost:1,nats://[::1]:2", false, false),
            ("127.0.0.9", false, false),
            ("nats://127.0.0.1,nats://10.0.0.1", true, false),
            ("nats://localhost.example,tls://localhost", true, true),
        ] {
            let servers = Servers::read(urls).unwrap();
            assert_eq!((servers.is_remote(), servers.has_tls()), (is_remote, has_tls), "{urls}");
        }
        for urls in
            ["", ",", "nats://a,", "http://a", "ws://a", "nats://", "nats://a:x", "nats://%zz@a"]
        {
            assert!(matches!(Servers::read(urls), Err(ConnectError::Url)), "{urls}");
        }
    }

    #[test]
    fn a_login_is_taken_out_of_the_url() {
        for (urls, login) in [
            ("nats://a", None),
            ("nats://u%40x:p%3A%25@a", Some(Login::Password("u@x".into(), "p:%".into()))),
            ("nats://a,nats://secret@b", Some(Login::Token("secret".into()))),
        ] {
            let servers = Servers::read(urls).unwrap();
            assert_eq!(servers.login, login, "{urls}");
            assert!(servers.addrs.iter().all(|addr| !addr.as_url_str().contains('@')), "{urls}");
        }
    }
}
