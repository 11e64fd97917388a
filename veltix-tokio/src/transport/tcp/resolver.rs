//! [`Resolver`]: turns a name and a port into addresses.

use std::io;
use std::net::SocketAddr;
#[cfg(test)]
use std::sync::Arc;

use tokio::net::lookup_host;

/// Turns `host:port` into addresses. Tests put their own addresses in place of the system's.
#[derive(Clone, Debug, Default)]
pub(crate) enum Resolver {
    /// The resolver of the system, which reads its hosts file and asks its name servers.
    #[default]
    System,
    /// These addresses, whatever the name is.
    #[cfg(test)]
    Fixed(Arc<[SocketAddr]>),
}

impl Resolver {
    /// Returns the addresses of `addr`, each of them once: a hosts file may repeat a line. There is
    /// at least one.
    pub(super) async fn resolve(&self, addr: &str) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<_> = match self {
            Self::System => {
                let found = lookup_host(addr).await.map_err(|error| explained(addr, error))?;
                found.collect()
            }
            #[cfg(test)]
            Self::Fixed(addrs) => addrs.to_vec(),
        };
        let mut addrs = Vec::with_capacity(found.len());
        for found in found {
            if !addrs.contains(&found) {
                addrs.push(found);
            }
        }
        if addrs.is_empty() {
            let text = format!("{addr} resolves to no address: check the host name");
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
        }
        Ok(addrs)
    }
}

/// Names the missing port of an address, which the error of the standard library does not.
fn explained(addr: &str, error: io::Error) -> io::Error {
    let has_port = addr.contains(':') && !addr.ends_with(']');
    if has_port || error.kind() != io::ErrorKind::InvalidInput {
        return error;
    }
    io::Error::new(error.kind(), format!("`{addr}` has no port: write host:port"))
}
