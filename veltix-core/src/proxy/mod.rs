//! Version 2 of the PROXY protocol: the header in which a load balancer names the client of a connection.
//!
//! The header comes before all other bytes, also before those of TLS. Its specification is
//! <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>.

mod error;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

pub use self::error::ProxyError;
use crate::limits::MAX_PROXY_HEADER_LEN;

/// Is the beginning of each header. The bytes begin no message of another protocol.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Is the beginning of a header of version 1.
const TEXT: &[u8] = b"PROXY";

/// Is the offset of the addresses: the length of the part that all headers have.
const ADDRESSES: usize = 16;

const VERSION: u8 = 2;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;

/// Values of the byte of family and transport.
const UNSPECIFIED: u8 = 0x00;
const TCP_V4: u8 = 0x11;
const TCP_V6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;

/// Is the room for each of the two paths of Unix sockets.
const UNIX_PATH: usize = 108;

/// Describes the header of a connection from a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    length: usize,
    client: ProxyClient,
}

/// Names the client of a connection from a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the driver must give each connection an address")]
pub enum ProxyClient {
    /// The client is the load balancer itself, for example for a health check (LOCAL), or its
    /// address has no known form. The connection's own address counts.
    Balancer,
    /// The client has this address.
    Tcp(SocketAddr),
    /// The client is on a Unix socket. The path is empty if the client's end has none, which is usual.
    Unix(Box<[u8]>),
}

/// Tells how far the reading of a header is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the driver must handle every step")]
pub enum ProxyStep {
    /// The header is not complete.
    Wait {
        /// Holds the number of bytes, from the beginning of the header, with which to ask again. None of
        /// them is behind the header.
        until: usize,
    },
    /// The header is complete.
    Done(ProxyHeader),
}

impl ProxyHeader {
    /// Reads the header at the beginning of these bytes. The result for more bytes of the same
    /// connection differs only after [`ProxyStep::Wait`].
    ///
    /// # Errors
    /// Returns a [`ProxyError`] as soon as the bytes cannot become a header.
    pub fn read(bytes: &[u8]) -> Result<ProxyStep, ProxyError> {
        let signed = bytes.len().min(SIGNATURE.len());
        if bytes[..signed] != SIGNATURE[..signed] {
            return match bytes.len() < TEXT.len() && TEXT.starts_with(bytes) {
                true => Ok(ProxyStep::Wait { until: ADDRESSES }),
                false if bytes.starts_with(TEXT) => Err(ProxyError::Text),
                false => Err(ProxyError::Missing),
            };
        }
        let mut has_client = true;
        if let Some(&version_and_command) = bytes.get(12) {
            let (version, command) = (version_and_command >> 4, version_and_command & 0x0f);
            match (version, command) {
                (VERSION, PROXY) => {}
                (VERSION, LOCAL) => has_client = false,
                (VERSION, found) => return Err(ProxyError::Command { found }),
                (found, _) => return Err(ProxyError::Version { found }),
            }
        }
        let mut addresses = 0;
        // The family of a LOCAL header has no meaning.
        if let Some(&family) = bytes.get(13).filter(|_| has_client) {
            addresses = match family {
                UNSPECIFIED => 0,
                TCP_V4 => 2 * 4 + 2 * 2,
                TCP_V6 => 2 * 16 + 2 * 2,
                UNIX_STREAM => 2 * UNIX_PATH,
                found => return Err(ProxyError::Family { found }),
            };
            has_client = family != UNSPECIFIED;
        }
        let Some(&[high, low]) = bytes.get(14..ADDRESSES).and_then(<[u8]>::first_chunk) else {
            return Ok(ProxyStep::Wait { until: ADDRESSES });
        };
        let behind = usize::from(u16::from_be_bytes([high, low]));
        let length = ADDRESSES + behind;
        if length > MAX_PROXY_HEADER_LEN {
            return Err(ProxyError::TooLong { length, limit: MAX_PROXY_HEADER_LEN });
        }
        if behind < addresses {
            return Err(ProxyError::TooShort { length: behind, needed: addresses });
        }
        let Some(block) = bytes.get(ADDRESSES..length) else {
            return Ok(ProxyStep::Wait { until: length });
        };
        // Without addresses, the form of the remaining bytes is unknown, and they are skipped as a whole.
        let client = match has_client {
            true => {
                let (addresses, fields) = block.split_at(addresses);
                check_fields(fields)?;
                client_of(addresses)
            }
            false => ProxyClient::Balancer,
        };
        Ok(ProxyStep::Done(Self { length, client }))
    }

    /// Returns whether the bytes begin a header, by its first five bytes, with which neither JSON behind a
    /// length nor TLS begins.
    #[must_use]
    pub const fn begins(bytes: &[u8]) -> bool {
        matches!(bytes, [b'\r', b'\n', b'\r', b'\n', 0, ..])
    }

    /// Returns the length of the header in bytes. The bytes of the client follow it.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Returns the client of the connection.
    #[must_use]
    pub fn into_client(self) -> ProxyClient {
        self.client
    }
}

/// Checks that each additional field ends inside of the header. Each has a type, a length of two bytes, and its
/// value. No field has a meaning for this side.
const fn check_fields(mut fields: &[u8]) -> Result<(), ProxyError> {
    while let [_, high, low, rest @ ..] = fields {
        let length = u16::from_be_bytes([*high, *low]) as usize;
        let Some((_, next)) = rest.split_at_checked(length) else {
            return Err(ProxyError::BadField);
        };
        fields = next;
    }
    // One or two bytes are no field.
    if fields.is_empty() { Ok(()) } else { Err(ProxyError::BadField) }
}

/// Returns the source in a block of source, destination and, in TCP, both ports. The length of the block
/// is that of its family.
fn client_of(addresses: &[u8]) -> ProxyClient {
    let tcp = |ip: std::net::IpAddr, high: u8, low: u8| {
        ProxyClient::Tcp(SocketAddr::new(ip, u16::from_be_bytes([high, low])))
    };
    if let &[a, b, c, d, _, _, _, _, high, low, _, _] = addresses {
        return tcp(Ipv4Addr::new(a, b, c, d).into(), high, low);
    }
    match (addresses.first_chunk::<16>(), addresses) {
        (Some(ip), [.., high, low, _, _]) if addresses.len() < UNIX_PATH => {
            tcp(Ipv6Addr::from(*ip).into(), *high, *low)
        }
        _ => {
            let path = addresses.split(|byte| *byte == 0).next().unwrap_or_default();
            ProxyClient::Unix(path[..path.len().min(UNIX_PATH)].into())
        }
    }
}
