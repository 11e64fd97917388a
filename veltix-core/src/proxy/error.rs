//! [`ProxyError`]: a refused header.

use thiserror::Error;

/// Reports why a load balancer's connection has no usable header of the PROXY protocol.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// No header arrived: the connection sent nothing in time, or other bytes.
    #[error(
        "no PROXY protocol header came from a load balancer in `trust_proxy`: let it send version 2 (HAProxy: `send-proxy-v2`)"
    )]
    Missing,
    /// The header has version 1, a line of text.
    #[error(
        "the PROXY protocol header has version 1: let the load balancer send version 2 (HAProxy: `send-proxy-v2`)"
    )]
    Text,
    /// The header has another version than 2.
    #[error(
        "the PROXY protocol header has version {found}: let the load balancer send version 2 (HAProxy: `send-proxy-v2`)"
    )]
    Version {
        /// Holds the version.
        found: u8,
    },
    /// The command is neither LOCAL nor PROXY.
    #[error(
        "the PROXY protocol header has the command {found}: let the load balancer send LOCAL (0) or PROXY (1)"
    )]
    Command {
        /// Holds the number of the command.
        found: u8,
    },
    /// The family or the transport of the addresses is not supported: a datagram, for example.
    #[error(
        "the PROXY protocol header has addresses of kind {found:#04x}: let the load balancer forward TCP or Unix streams alone"
    )]
    Family {
        /// Holds the byte of family and transport.
        found: u8,
    },
    /// The header is longer than allowed. Its rest was not read.
    #[error(
        "the PROXY protocol header of {length} bytes is over the limit of {limit}: let the load balancer send fewer fields"
    )]
    TooLong {
        /// Holds the announced length of the whole header in bytes.
        length: usize,
        /// Holds the limit.
        limit: usize,
    },
    /// The announced length has no room for the addresses of the announced family.
    #[error(
        "the PROXY protocol header has {length} bytes of addresses and needs {needed}: update the load balancer"
    )]
    TooShort {
        /// Holds the announced length behind the first 16 bytes.
        length: usize,
        /// Holds the length of the addresses.
        needed: usize,
    },
    /// An additional field extends beyond the end of the header.
    #[error(
        "a field of the PROXY protocol header extends beyond its end: update the load balancer, or let it send fewer fields"
    )]
    BadField,
    /// The connection ended inside of the header, or the rest did not arrive in time.
    #[error(
        "the PROXY protocol header ended after {received} bytes: check the network to the load balancer"
    )]
    Cut {
        /// Counts the received bytes.
        received: usize,
    },
}
